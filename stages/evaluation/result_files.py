"""Predictions and ground truth from COCO-style JSON files, checked record by record.

The ground truth has ``images`` (id, height, width, object_class, object_mask), ``ground_truth`` (image_id, part_class,
segmentation) and, for the honest protocol, ``vote_images``. The predictions are a list of (image_id, score,
segmentation, and cluster unless they are proposals), or an object that has this list under ``predictions``. A single
file may hold everything; then it is given twice. Masks are run lengths at the size of the image. A file is held in
memory as a whole while it is scored.
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


_MOST_PIXELS = 2**31
_MOST_NUMBERS, _MOST_PAIRS = 1_000_000, 100_000_000
"""Of parts or clusters, and of pairs of them: there is a table with a number for each pair."""


@dataclass(frozen=True, eq=False)
class ResultFiles:
    """The contents of the two files.

    Attributes:
        truth: path of the ground truth.
        num_clusters: 0 if the predictions are proposals, which have no clusters.
    """

    truth: str
    images: Sequence[ImageResult]
    num_parts: int
    num_clusters: int

    def check(self, protocol: Protocol) -> None:
        """Raises CorruptData if the files lack something that the protocol needs."""
        if protocol.cuts_to_object:
            for number, image in enumerate(self.images):
                if image.object_mask is None:
                    fix = "Add the mask of the image's object, or use --protocol honest"
                    problem = f"the key 'object_mask' is missing, which the protocol {protocol.name} needs"
                    raise CorruptData(problem, f"{self.truth}, images[{number}]", fix)
        num_voters = sum(image.votes for image in self.images)
        if protocol.splits and (num_voters == len(self.images) or (self.num_clusters and not num_voters)):
            fix = "List some of the image ids in vote_images: they name the clusters. Or use --protocol reference"
            share = f"{num_voters} of {len(self.images)} images"
            raise CorruptData(
                f"expected vote_images to list some of the images, but not all, found {share}", self.truth, fix
            )


def read_results(predictions: Path, truth: Path) -> ResultFiles:
    """Read both files; ``predictions`` and ``truth`` may name the same file.

    Raises:
        CorruptData: at the first fault, with the file, the record, and what to do.
    """
    truth_file = Record.of(read_json(truth), str(truth))
    content = truth_file.values if predictions.resolve() == truth.resolve() else read_json(predictions)
    if not isinstance(content, list | dict):
        fix = "Write the file as pd eval-file --help describes it"
        raise CorruptData(
            f"expected a list of predictions, or an object that has one, found {type(content).__name__}",
            str(predictions),
            fix,
        )
    prediction_file = Record({"predictions": content} if isinstance(content, list) else content, str(predictions))
    images = _images(truth_file)
    parts = _by_image(truth_file, "ground_truth", images)
    segments = _by_image(prediction_file, "predictions", images)
    voters, num_clusters = _voters(truth_file, images), _num_clusters(prediction_file)
    results = [
        _result(image, parts[image_id], segments[image_id], bool(num_clusters), votes=image_id in voters)
        for image_id, image in images.items()
    ]
    num_parts = _count(truth_file, "ground_truth", "part_class", "part_classes")
    if num_parts * num_clusters > _MOST_PAIRS:
        fix = "Number parts and clusters from 0 on, without gaps"
        raise truth_file.fault(f"at most {_MOST_PAIRS} pairs of a part and a cluster", num_parts * num_clusters, fix)
    return ResultFiles(str(truth), results, num_parts, num_clusters)


def _images(truth_file: Record) -> dict[int, Record]:
    has_classes = "object_classes" in truth_file.values
    num_classes = len(truth_file.get("object_classes", list)) if has_classes else None
    images: dict[int, Record] = {}
    for image in truth_file.records("images"):
        image_id = image.get("id", int)
        if image_id in images:
            raise image.fault("a unique id", f"{image_id}, which {images[image_id].where} already has")
        height, width = image.index("height"), image.index("width")
        if not 0 < height * width < _MOST_PIXELS:
            raise image.fault("a height and a width of at least 1, of a picture that can be", f"{height} x {width}")
        image.index("object_class", num_classes)
        images[image_id] = image
    return images


def _by_image(file: Record, key: str, images: Mapping[int, Record]) -> dict[int, list[Record]]:
    """image_id -> the records of this image, in the order of the file."""
    grouped: dict[int, list[Record]] = {image_id: [] for image_id in images}
    for record in file.records(key):
        image_id = record.get("image_id", int)
        if image_id not in grouped:
            fix = "Add the image to the images of the ground truth, or leave this record out"
            raise record.fault("the image_id of a listed image", image_id, fix)
        grouped[image_id].append(record)
    return grouped


def _voters(truth_file: Record, images: Mapping[int, Record]) -> set[int]:
    """The ids in ``vote_images``; in a file with expected numbers they may stand beside those."""
    expected = truth_file.values.get("expected")
    honest = expected.get("honest_protocol") if isinstance(expected, dict) else None
    holder = truth_file
    if "vote_images" not in truth_file.values and isinstance(honest, dict):
        holder = Record(honest, truth_file.where)
    listed = holder.get("vote_images", list) if "vote_images" in holder.values else []
    for image_id in listed:
        if isinstance(image_id, bool) or not isinstance(image_id, int) or image_id not in images:
            raise holder.fault("ids of listed images in vote_images", repr(image_id))
    return set(listed)


def _num_clusters(prediction_file: Record) -> int:
    """The number of clusters; 0 if there are predictions and none of them has a cluster."""
    records = list(prediction_file.records("predictions"))
    if records and not any("cluster" in record.values for record in records):
        return 0
    return _count(prediction_file, "predictions", "cluster", "num_clusters")


def _count(file: Record, records: str, key: str, declared: str) -> int:
    """The number of values of ``key``: as the file declares it, by a number or a list, or as its records need it."""
    stop = file.values.get(declared)
    if stop is not None:
        stop = len(file.get(declared, list)) if isinstance(stop, list) else file.index(declared)
    numbers = [record.index(key, stop) for record in file.records(records)]
    found: int = stop or 1 + max(numbers, default=0)
    if found > _MOST_NUMBERS:
        raise file.fault(f"numbers of {key} below {_MOST_NUMBERS}", found, "Number them from 0 on, without gaps")
    return found


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
