"""The names in a ground truth, and the rows that an evaluation writes with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Layer
from pdstore.errors import InputMissing
from stages.evaluation.samples import Parts
from stages.kernels.evaluation import Scores
from stages.source.listing import ImageClass
from stages.unit import Setup

__all__ = ["TruthNames", "unique_names"]


def unique_names(classes: Sequence[ImageClass]) -> dict[int, str]:
    """class_id -> name; the code where several share a name, as classes of PartImageNet do."""
    occurrences = Counter(c.name for c in classes)
    return {c.class_id: c.name if occurrences[c.name] == 1 else c.wnid for c in classes}


@dataclass(frozen=True)
class TruthNames:
    """The names in the ground truth.

    Attributes:
        parts: (category, part) -> number of the part.
        categories: class_id -> name in the ground truth. shown: class_id -> name in metrics, which is unique.
    """

    parts: Parts
    categories: Mapping[int, str]
    shown: Mapping[int, str]

    @classmethod
    def read(cls, layer: Layer, setup: Setup) -> TruthNames:
        """Read the names from the true parts. Raises InputMissing if there is no part."""
        pairs: set[tuple[str, str]] = set()
        categories: dict[int, str] = {}
        for rows in layer.scan(["category_id", "category_name", "part_name"]):
            pairs |= set(zip(rows["category_name"], rows["part_name"], strict=True))
            categories |= dict(zip(rows["category_id"].tolist(), rows["category_name"], strict=True))
        if not pairs:
            raise InputMissing("there are no ground-truth parts", layer.node, "Check its setting file, or folder")
        parts = {pair: number for number, pair in enumerate(sorted(pairs))}
        return cls(parts, categories, unique_names(setup.classes))

    def taught(self, predicted: Layer, num_clusters: int) -> dict[int, npt.NDArray[np.int64]] | None:
        """Object class -> (K,) part of each cluster, for a model that was taught part names; None if it was not.

        A taught name is a part, or an object class and a part: ``head`` or ``quadruped head``.
        """
        if "part_name" not in predicted.table.names:
            return None
        names: dict[int, str] = {}
        for rows in predicted.scan(["cluster", "part_name"]):
            names |= dict(zip(rows["cluster"].tolist(), rows["part_name"], strict=True))
        if not any(names.values()):
            return None
        background = len(self.parts)
        vote = {class_id: np.full(num_clusters, background, np.int64) for class_id in self.categories}
        for class_id, category in self.categories.items():
            for cluster, name in names.items():
                part = self.parts.get((category, name.removeprefix(f"{category} ")))
                vote[class_id][cluster] = background if part is None else part
        return vote

    def own_names(self) -> dict[int, npt.NDArray[np.int64]]:
        """The same for masks whose cluster is the number of their part."""
        return dict.fromkeys(self.categories, np.arange(len(self.parts)))

    def records(self, scores: Scores) -> Iterator[dict[str, Any]]:
        """Rows of ``metrics``."""
        part_names = [part for _, part in self.parts]
        rows = [(metric, "", "", value) for metric, value in scores.metrics.items()]
        rows += [("mIoU", self.shown[c], "", value) for c, value in scores.class_miou.items()]
        rows += [("IoU", self.shown[c], part_names[p], value) for (c, p), value in scores.part_iou.items()]
        rows.append(("samples", "", "", float(scores.num_images)))
        for metric, class_name, part_name, value in rows:
            yield {"metric": metric, "class_name": class_name, "part_name": part_name, "step": 0, "value": value}

    def confusions(self, scores: Scores) -> Iterator[dict[str, Any]]:
        """For each class, the pixels of true part × predicted part, for the parts that occur, background last."""
        names = [*(part for _, part in self.parts), "background"]
        for class_id, pixels in scores.confusion.items():
            occurs = np.flatnonzero(np.append((pixels.sum(0) + pixels.sum(1))[:-1] > 0, True))
            yield {
                "class_name": self.shown[class_id],
                "parts": [names[n] for n in occurs],
                "pixels": pixels.T[np.ix_(occurs, occurs)].tolist(),
            }
