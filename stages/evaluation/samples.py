"""What an evaluation scores: samples of ground truth and predictions, from the rows of a block.

An image that has a class is scored by its objects of that class. An image without one (Pascal Part, Cityscapes Part)
shows several objects: those of each class are a sample, and where predictions are cut to true object masks each object
is one, as in the reference. Proposals know no class: of them an image is one sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pdstore import Layer, Ragged, Rows, masks
from stages.kernels.evaluation import ImageResult
from stages.kernels.protocol import Protocol

__all__ = ["Parts", "Scored"]

Parts = Mapping[tuple[str, str], int]
"""(object class, part) -> number of the part."""

_IMAGE = ["image_id", "class_id", "split", "height", "width"]


@dataclass(frozen=True, eq=False)
class Scored:
    """The rows of a block that an evaluation reads: ground truth, and of one role the masks that are scored.

    Attributes:
        has_clusters: the masks are predictions of parts, not proposals.
        outlines: true objects, numbered as in ``truth``; None without them.
    """

    has_clusters: bool
    images: Rows
    truth: Rows
    found: Rows
    outlines: Rows | None

    @classmethod
    def read(cls, layers: Mapping[str, Layer], role: str, block: int, has_clusters: bool) -> Scored:
        truth = _read(layers["truth"], block, "category_name", "part_name")
        outlines = _read(layers["truth_objects"], block) if "truth_objects" in layers else None
        found = _read(layers[role], block, "cluster", "score")
        return cls(has_clusters, layers["images"].read(block, _IMAGE), truth, found, outlines)

    def samples(self, parts: Parts, protocol: Protocol, vote_split: str) -> Iterator[tuple[str, ImageResult]]:
        """(split, sample), by image. Images without ground truth of their own class are left out."""
        true_rows, found_rows, none = self.truth.by("image_id"), self.found.by("image_id"), np.zeros(0, np.int64)
        for i in range(len(self.images)):
            image_id, class_id, split = (self.images[name][i] for name in ("image_id", "class_id", "split"))
            size = int(self.images["height"][i]), int(self.images["width"][i])
            true = self.truth.take(true_rows.get(int(image_id), none))
            true = true.take(true["category_id"] == class_id if class_id >= 0 else true["category_id"] >= 0)
            found = self.found.take(found_rows.get(int(image_id), none))
            for own in self._split(true, protocol):
                category = int(own["category_id"][0])
                yield (
                    str(split),
                    ImageResult(
                        int(image_id),
                        category,
                        self._outline(own, *size) if protocol.cuts_to_object else None,
                        own.ragged("rle"),
                        [parts[pair] for pair in zip(own["category_name"], own["part_name"], strict=True)],
                        **self._predicted(found, category if class_id < 0 else None),
                        size=size,
                        votes=split == vote_split,
                    ),
                )

    def _split(self, true: Rows, protocol: Protocol) -> Iterator[Rows]:
        if not self.has_clusters:
            yield from [true] if len(true) else []
            return
        for index in true.by("object_id" if protocol.cuts_to_object else "category_id").values():
            yield true.take(index)

    def _predicted(self, found: Rows, category: int | None) -> dict[str, Ragged | npt.ArrayLike]:
        """The masks of the sample: those of the image's best object, or of an object class where there are several."""
        if category is None and "object_id" in found.columns:
            found = found.take(found["object_id"] == 0)
        elif category is not None and self.has_clusters:
            found = found.take(found["category_id"] == category)
        clusters = found["cluster"] if "cluster" in found.columns else np.zeros(len(found), np.int64)
        return {"pred_masks": found.ragged("rle"), "pred_clusters": clusters, "pred_scores": found["score"]}

    def _outline(self, own: Rows, height: int, width: int) -> bytes:
        assert self.outlines is not None
        of_image = self.outlines["image_id"] == own["image_id"][0]
        mine = np.flatnonzero(of_image & np.isin(self.outlines["object_id"], own["object_id"]))
        return masks.union(self.outlines.ragged("rle").take(mine), height, width)


def _read(layer: Layer, block: int, *columns: str) -> Rows:
    """Masks with their images, objects, and those of the columns that the layer has."""
    wanted = ["image_id", "object_id", "category_id", "rle", *columns]
    return layer.read(block, [name for name in wanted if name in layer.table.names])
