"""Annotation files: COCO, LVIS with parts (PACO), PartImageNet and its successor, PASCAL parts, results, lists."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from pdstore import Ragged, masks
from stages.datasets.coco import CocoReader, encode_segmentation
from stages.datasets.paco_json import PacoReader
from stages.datasets.part_imagenet_pp import ClassFileReader
from stages.datasets.part_numbers import read_counts, read_names
from stages.datasets.pascal_part import PascalPartReader
from stages.datasets.truth import MALFORMED
from stages.evaluation.result_files import read_results
from stages.kernels.evaluation import evaluate
from stages.kernels.protocol import PROTOCOLS
from stages.source.images import ImageFault
from stages.source.listing import Listed
from stages.source.text_files import read_lines
from tests.fuzz.mutations import mutated_bytes, mutated_json, mutated_text

__all__ = ["DOORS"]

_SIZE = (24, 32)
_DRAWN = np.random.default_rng(0).random((4, *_SIZE)) < 0.3
_RLE = [counts.decode() for counts in masks.encode(_DRAWN)]
_KEYS = ["n00000001/a.jpg", "n00000001/b.jpg"]


def _masks() -> list[Any]:
    size = list(_SIZE)
    runs = np.diff(np.flatnonzero(np.diff(_DRAWN[0].T.ravel().astype(int))), prepend=-1, append=24 * 32 - 1).tolist()
    return [
        {"size": size, "counts": _RLE[0]},
        {"size": size, "counts": [24 * 32 - 40, 40]},
        [[1.0, 1.0, 20.5, 1.0, 20.5, 20.0, 1.0, 20.0]],
        [[2, 2, 5, 2, 5, 6], [10, 10, 14, 10, 14, 15]],
        {"size": size, "counts": [0, *runs] if _DRAWN[0, 0, 0] else runs},
    ]


def _coco(folder: Path) -> list[bytes]:
    images = [{"id": n + 1, "file_name": key, "height": 24, "width": 32} for n, key in enumerate(_KEYS)]
    names = ["Dog head", "Dog leg", "car:wheel"]
    categories = [{"id": n + 1, "name": name, "supercategory": "Dog"} for n, name in enumerate(names)]
    annotations = [
        {"id": n, "image_id": 1 + n % 2, "category_id": 1 + n % 3, "segmentation": mask, "iscrowd": 0, "obj_ann_id": 0}
        for n, mask in enumerate(_masks())
    ]
    return [json.dumps({"images": images, "categories": categories, "annotations": annotations}).encode()]


def _mutated_json(random: random.Random, files: list[bytes]) -> bytes:
    return mutated_json(random, json.loads(random.choice(files)))


def _read(reader: Any) -> None:
    for key in _KEYS:
        try:
            truth = reader.read(key, lambda path: b"")
        except ImageFault:
            continue  # a row of errors
        for thing in truth.objects if truth else ():
            masks.area(Ragged.from_list([thing.counts, *(p.counts for p in thing.parts)]), truth.height, truth.width)


def _read_coco(folder: Path, data: bytes) -> None:
    path = folder / "coco.json"
    path.write_bytes(data)
    reader = CocoReader([path])
    reader.match([Listed(n, key, "train", "n00000001") for n, key in enumerate(_KEYS)])
    _read(reader)


def _read_paco(folder: Path, data: bytes) -> None:
    path = folder / "paco.json"
    path.write_bytes(data)
    reader = PacoReader([path], is_linked=len(data) % 2 == 0, is_own_class=False)
    reader.match([Listed(n, key, "train", "n00000001") for n, key in enumerate(_KEYS)])
    _read(reader)


def _read_class_file(folder: Path, data: bytes) -> None:
    ClassFileReader("annotations", {}).read(_KEYS[0], lambda path: data)


def _tables(folder: Path) -> list[bytes]:
    names = {"n00000001.json": {"object": "dog", "parts": "dog head,dog leg"}}
    return [b"CLASSES = {'n00000001': 2, 'n00000002': 3}\n", json.dumps(names).encode()]


def _mutated_table(random: random.Random, files: list[bytes]) -> bytes:
    data = random.choice(files)
    if data.startswith(b"{"):
        return mutated_json(random, json.loads(data))
    return mutated_text(random, data.decode()).encode(errors="replace")


def _read_table(folder: Path, data: bytes) -> None:
    path = folder / "table"
    path.write_bytes(data)
    for read in (read_counts, read_names, lambda path: list(read_lines(path))):
        try:
            read(path)
        except Exception as error:
            if not _is_ours(error):
                raise


def _is_ours(error: Exception) -> bool:
    from pdstore import PdError

    return isinstance(error, PdError | ImageFault)


def _mats(folder: Path) -> list[bytes]:
    from tests.stages.datasets.published import box, write_mat

    path = folder / "a.mat"
    write_mat(path, ("dog", box(2, 3, 10, 12), [("head", box(2, 3, 4, 4))]), ("table", box(20, 0, 4, 4), []))
    return [path.read_bytes()]


def _mutated(random: random.Random, files: list[bytes]) -> bytes:
    return mutated_bytes(random, random.choice(files), files)


def _read_mat(folder: Path, data: bytes) -> None:
    PascalPartReader("mats").read("JPEGImages/a.jpg", lambda path: data)


def _results(folder: Path) -> list[bytes]:
    size = list(_SIZE)
    image = {"height": 24, "width": 32, "object_class": 0, "object_mask": {"size": size, "counts": _RLE[0]}}
    mask = {"size": size, "counts": _RLE[1]}
    return [
        json.dumps(
            {
                "images": [{"id": n, **image} for n in (1, 2, 3)],
                "ground_truth": [{"image_id": n, "part_class": n % 2, "segmentation": mask} for n in (1, 2, 3)],
                "vote_images": [1],
                "predictions": [
                    {"image_id": n, "score": 0.5, "cluster": n % 2, "segmentation": mask} for n in (1, 2, 3)
                ],
            }
        ).encode()
    ]


def _read_results(folder: Path, data: bytes) -> None:
    path = folder / "all.json"
    path.write_bytes(data)
    found = read_results(path, path)
    for protocol in PROTOCOLS["both"]:
        found.check(protocol)
        evaluate(found.images, protocol, num_parts=found.num_parts, num_clusters=found.num_clusters)


def _strings(folder: Path) -> list[bytes]:
    return [json.dumps(mask).encode() for mask in _masks()]


def _read_string(folder: Path, data: bytes) -> None:
    # As the readers do: whatever is wrong with a mask is a row of errors.
    try:
        encoded = encode_segmentation(json.loads(data), *_SIZE)
    except (*MALFORMED, RecursionError):
        return
    rle = Ragged.from_list([encoded])
    masks.area(rle, *_SIZE)
    masks.resize(rle, _SIZE, (48, 20))
    masks.decode(rle, *_SIZE)


DOORS = {
    "COCO": (_coco, _mutated_json, _read_coco, 3),
    "PACO": (_coco, _mutated_json, _read_paco, 2),
    "PartImageNet++": (_coco, _mutated_json, _read_class_file, 1),
    "tables": (_tables, _mutated_table, _read_table, 1),
    "PASCAL parts": (_mats, _mutated, _read_mat, 1),
    "results": (_results, _mutated_json, _read_results, 1),
    "run lengths": (_strings, _mutated_json, _read_string, 1),
}
