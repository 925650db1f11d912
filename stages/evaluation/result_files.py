"""Predictions and ground truth from COCO-style JSON files, checked record by record.

The ground truth has ``images`` (id, height, width, object_class, object_mask), ``ground_truth`` (image_id, part_class,
segmentation) and, for the honest protocol, ``vote_images``. The predictions are a list of (image_id, score,
segmentation, and cluster unless they are proposals), or an object with that list as ``predictions``. One file may hold
everything and be given twice. Masks are run lengths of the image's size. All of a file is in memory while it is scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pdstore import Ragged
from pdstore.errors import CorruptData
from stages.kernels.evaluation import ImageResult
from stages.kernels.protocol import Protocol
from stages.source.json_records import Record, read_json

__all__ = ["ResultFiles", "read_results"]


@dataclass(frozen=True, eq=False)
class ResultFiles:
    """What two files say.

    Attributes:
        truth: path of the ground truth.
        num_clusters: 0 if the predictions are proposals, which have none.
    """

    truth: str
    images: Sequence[ImageResult]
    num_parts: int
    num_clusters: int

    def check(self, protocol: Protocol) -> None:
        """Raises CorruptData if something is missing that the protocol needs."""
        if protocol.cuts_to_object:
            for number, image in enumerate(self.images):
                if image.object_mask is None:
                    fix = "Add the mask of the image's object, or use --protocol honest"
                    raise CorruptData(
                        "expected the key 'object_mask', found none", f"{self.truth}, images[{number}]", fix
                    )
        voters = sum(image.votes for image in self.images)
        if protocol.splits and (voters == len(self.images) or (self.num_clusters and not voters)):
            fix = "List there the ids of some of the images, which name the clusters, or use --protocol reference"
            found = f"{voters} of {len(self.images)} images"
            raise CorruptData(f"expected vote_images, and images beside them to score, found {found}", self.truth, fix)


def read_results(predictions: Path, truth: Path) -> ResultFiles:
    """Both files, or the one that holds everything.

    Raises:
        CorruptData: at the first fault, with the file, the record, and what to do.
    """
    true = Record.of(read_json(truth), str(truth))
    content = true.values if predictions.resolve() == truth.resolve() else read_json(predictions)
    if not isinstance(content, list | dict):
        fix = "Write it as pd eval-file --help says"
        raise CorruptData(
            f"expected a list of predictions, or an object with one, found {type(content).__name__}",
            str(predictions),
            fix,
        )
    found = Record({"predictions": content} if isinstance(content, list) else content, str(predictions))
    images = _images(true)
    parts, segments = _by_image(true, "ground_truth", images), _by_image(found, "predictions", images)
    voters, num_clusters = _voters(true, images), _num_clusters(found)
    results = [
        _result(image, parts[image_id], segments[image_id], bool(num_clusters), votes=image_id in voters)
        for image_id, image in images.items()
    ]
    return ResultFiles(str(truth), results, _count(true, "ground_truth", "part_class", "part_classes"), num_clusters)


def _images(true: Record) -> dict[int, Record]:
    num_classes = len(true.get("object_classes", list)) if "object_classes" in true.values else None
    images: dict[int, Record] = {}
    for image in true.records("images"):
        image_id = image.get("id", int)
        if image_id in images:
            raise image.fault("an id of its own", f"{image_id}, which {images[image_id].where} has")
        if not (image.index("height") and image.index("width")):
            raise image.fault(
                "a height and a width of at least 1", f"{image.values['height']} x {image.values['width']}"
            )
        image.index("object_class", num_classes)
        images[image_id] = image
    return images


def _by_image(file: Record, key: str, images: Mapping[int, Record]) -> dict[int, list[Record]]:
    """image_id -> its records, in listed order."""
    grouped: dict[int, list[Record]] = {image_id: [] for image_id in images}
    for record in file.records(key):
        image_id = record.get("image_id", int)
        if image_id not in grouped:
            fix = "Add the image to the ground truth's images, or leave the record out"
            raise record.fault("image_id of a listed image", image_id, fix)
        grouped[image_id].append(record)
    return grouped


def _voters(true: Record, images: Mapping[int, Record]) -> set[int]:
    """The ids in ``vote_images``; a file that holds expected numbers may have them there."""
    expected = true.values.get("expected")
    honest = expected.get("honest_protocol") if isinstance(expected, dict) else None
    holder = true if "vote_images" in true.values or not isinstance(honest, dict) else Record(honest, true.where)
    listed = holder.get("vote_images", list) if "vote_images" in holder.values else []
    for image_id in listed:
        if isinstance(image_id, bool) or not isinstance(image_id, int) or image_id not in images:
            raise holder.fault("ids of listed images in vote_images", repr(image_id))
    return set(listed)


def _num_clusters(found: Record) -> int:
    """0 if there are predictions and none has a cluster."""
    records = list(found.records("predictions"))
    if records and not any("cluster" in record.values for record in records):
        return 0
    return _count(found, "predictions", "cluster", "num_clusters")


def _count(file: Record, records: str, key: str, declared: str) -> int:
    """How many values of ``key`` there are: as declared, by a number or by names, else as the records have them."""
    stop = file.values.get(declared)
    if stop is not None:
        stop = len(file.get(declared, list)) if isinstance(stop, list) else file.index(declared)
    numbers = [record.index(key, stop) for record in file.records(records)]
    return stop or 1 + max(numbers, default=0)


def _result(image: Record, parts: list[Record], segments: list[Record], has_clusters: bool, votes: bool) -> ImageResult:
    size = image.values["height"], image.values["width"]
    return ImageResult(
        image.values["id"],
        image.values["object_class"],
        image.mask("object_mask", *size) if "object_mask" in image.values else None,
        Ragged.from_list(part.mask("segmentation", *size) for part in parts),
        [part.index("part_class") for part in parts],
        Ragged.from_list(segment.mask("segmentation", *size) for segment in segments),
        [segment.index("cluster") if has_clusters else 0 for segment in segments],
        [segment.get("score", float) for segment in segments],
        size,
        votes,
    )
