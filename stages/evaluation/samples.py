"""What an evaluation scores: samples of ground truth and predictions, made from the rows of a block.

All masks of a sample are in the pixels of the original image, whatever the frames of the rows.

An image that has a class is scored by its objects of that class. An image without a class (Pascal Part, Cityscapes
Part) shows several objects: the objects of each class are one sample; if predictions are cut to true object masks, each
object is a sample, as in the reference. Proposals have no class: for them, an image is one sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pdstore import Layer, Rows, masks
from stages.kernels.evaluation import ImageResult
from stages.kernels.protocol import Protocol
from stages.source.frames import Size, masks_at

__all__ = ["Parts", "Scored"]

Parts = Mapping[tuple[str, str], int]
"""(object class, part name) -> number of the part."""

_IMAGE = ["image_id", "class_id", "split", "height", "width"]


@dataclass(frozen=True, eq=False)
class Scored:
    """The rows of a block that an evaluation reads: the ground truth, and the masks of the input role that is scored.

    Attributes:
        has_clusters: the masks are predictions of parts, not proposals.
        scored: the masks that are scored.
        outlines: true objects, numbered as in ``truth``; None if the evaluation reads none.
    """

    has_clusters: bool
    images: Rows
    truth: Rows
    scored: Rows
    outlines: Rows | None

    @classmethod
    def read(cls, layers: Mapping[str, Layer], role: str, block: int, has_clusters: bool) -> Scored:
        return cls.beside(layers, block, _read(layers[role], block, "cluster", "score"), has_clusters)

    @classmethod
    def beside(cls, layers: Mapping[str, Layer], block: int, scored: Rows, has_clusters: bool) -> Scored:
        """The ground truth of a block beside masks that are at hand."""
        truth = _read(layers["truth"], block, "category_name", "part_name")
        outlines = _read(layers["truth_objects"], block) if "truth_objects" in layers else None
        return cls(has_clusters, layers["images"].read(block, _IMAGE), truth, scored, outlines)

    def samples(self, parts: Parts, protocol: Protocol, vote_split: str) -> Iterator[tuple[str, ImageResult]]:
        """(split, sample), image by image. Images without ground truth of their own class are left out.

        Args:
            parts: the parts of the whole evaluation.
            vote_split: split whose images name the clusters.
        """
        true_rows, scored_rows, none = self.truth.by("image_id"), self.scored.by("image_id"), np.zeros(0, np.int64)
        for i in range(len(self.images)):
            image_id, class_id, split = (self.images[name][i] for name in ("image_id", "class_id", "split"))
            size = int(self.images["height"][i]), int(self.images["width"][i])
            true = self.truth.take(true_rows.get(int(image_id), none))
            true = true.take(true["category_id"] == class_id if class_id >= 0 else true["category_id"] >= 0)
            of_image = self.scored.take(scored_rows.get(int(image_id), none))
            for group in self._split(true, protocol):
                category = int(group["category_id"][0])
                predicted = self._predicted(of_image, category if class_id < 0 else None)
                yield (
                    str(split),
                    ImageResult(
                        int(image_id),
                        category,
                        self._outline(group, size) if protocol.cuts_to_object else None,
                        masks_at(group, size),
                        [parts[pair] for pair in zip(group["category_name"], group["part_name"], strict=True)],
                        masks_at(predicted, size),
                        predicted["cluster"] if "cluster" in predicted.columns else np.zeros(len(predicted), np.int64),
                        predicted["score"],
                        size=size,
                        votes=bool(split == vote_split),
                    ),
                )

    def _split(self, true: Rows, protocol: Protocol) -> Iterator[Rows]:
        """The true parts of an image, sample by sample."""
        if not self.has_clusters:
            yield from [true] if len(true) else []
            return
        for index in true.by("object_id" if protocol.cuts_to_object else "category_id").values():
            yield true.take(index)

    def _predicted(self, rows: Rows, category: int | None) -> Rows:
        """Of an image's scored masks, those of a sample.

        They are the masks of the image's best object or, if the image has several objects, those of ``category``.
        """
        if category is None and "object_id" in rows.columns:
            return rows.take(rows["object_id"] == 0)
        if category is not None and self.has_clusters:
            return rows.take(rows["category_id"] == category)
        return rows

    def _outline(self, parts: Rows, size: Size) -> bytes:
        """Run lengths of the union of the true objects that the parts belong to."""
        assert self.outlines is not None
        of_image = self.outlines["image_id"] == parts["image_id"][0]
        owners = np.flatnonzero(of_image & np.isin(self.outlines["object_id"], parts["object_id"]))
        return masks.union(masks_at(self.outlines.take(owners), size), *size)


def _read(layer: Layer, block: int, *columns: str) -> Rows:
    """The masks of a block with their images and objects, and with those of ``columns`` that the layer has."""
    wanted = ["image_id", "object_id", "category_id", "height", "width", "rle", *columns]
    return layer.read(block, [name for name in wanted if name in layer.table.names])
