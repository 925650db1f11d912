"""Writes small data sets as their authors publish them: photographs of noise, with a few boxes as parts.

``box(y, x, height, width)`` is in pixels; every image is HEIGHT x WIDTH.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco
from scipy.io import savemat

HEIGHT, WIDTH = 24, 32
Parts = Sequence[tuple[str, np.ndarray]]


def box(y: int, x: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + height, x : x + width] = True
    return mask


def photograph(path: Path, height: int = HEIGHT, width: int = WIDTH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)


def polygon(y: int, x: int, height: int, width: int) -> list[int]:
    """The corners of a box, as x, y, x, y, …"""
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def compressed(mask: np.ndarray) -> dict[str, Any]:
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


def uncompressed(mask: np.ndarray) -> dict[str, Any]:
    flat = mask.flatten("F")
    runs = np.diff([0, *(np.flatnonzero(np.diff(flat)) + 1), len(flat)]).tolist()
    return {"size": list(mask.shape), "counts": [0, *runs] if flat[0] else runs}


PIM_CATEGORIES = ("Quadruped Head", "Quadruped Tail", "Car Body", "Car Side Mirror")


def write_coco(path: Path, images: Mapping[str, Sequence[tuple[int, Any]]], **changes: Any) -> None:
    """Write a JSON of PartImageNet: file name -> (category, segmentation) of each annotation."""
    listed = list(images)
    annotations = [(listed.index(name), *one) for name, several in images.items() for one in several]
    content = {
        "images": [{"id": i, "file_name": n, "height": HEIGHT, "width": WIDTH} for i, n in enumerate(listed)],
        "categories": [{"id": i, "name": n, "supercategory": n.split()[0]} for i, n in enumerate(PIM_CATEGORIES)],
        "annotations": [
            {"id": i, "image_id": image, "category_id": category, "iscrowd": 0, "area": 1, "segmentation": drawn}
            for i, (image, category, drawn) in enumerate(annotations)
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, **changes}))


PACO_CATEGORIES = {
    23: "trash_can",
    207: "car_(automobile)",
    400: "dog",
    2000: "car_(automobile):side_mirror",
    2001: "dog:head",
    2002: "dog:leg",
    2003: "trash_can:lid",
}


def paco(number: int, category: int, owner: int | None, drawn: Any, **changes: Any) -> dict[str, Any]:
    """An annotation of PACO; an object has its own number as ``owner``, and None leaves the key out."""
    linked = {} if owner is None else {"obj_ann_id": owner}
    attributes = {"attribute_ids": [4], "dom_color_ids": [], "unknown_color": 0, "bbox": [0, 0, 1, 1], "area": 1.0}
    return {"id": number, "category_id": category, "segmentation": drawn, **linked, **attributes, **changes}


def write_paco(
    path: Path, images: Mapping[str, Sequence[dict[str, Any]]], changes: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Write a JSON of PACO: file name -> the annotations of the image, from :func:`paco`."""
    listed = list(images)
    content = {
        "images": [
            {"id": 10 + i, "file_name": n, "height": HEIGHT, "width": WIDTH, "neg_category_ids": []}
            for i, n in enumerate(listed)
        ],
        "categories": [
            {"id": i, "name": n, "supercategory": "PART" if ":" in n else "OBJECT"} for i, n in PACO_CATEGORIES.items()
        ],
        "part_categories": [{"id": 0, "name": "head", "supercategory": "PART"}],
        "attributes": [{"id": 4, "name": "light_brown", "supercategory": "ATTR"}],
        "annotations": [
            {"image_id": 10 + listed.index(name), **one} for name, several in images.items() for one in several
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, **changes}))


PPP_PARTS = {"n01440764": ("tench", ["head", "tail fin"]), "n01530575": ("brambling", ["head", "wing", "foot"])}
"""Two classes of PartImageNet++; their parts have the numbers 1 and 2, and 3 to 5."""


def write_class_file(
    root: Path,
    wnid: str,
    images: Mapping[str, Sequence[tuple[int, Any]]],
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write ``json/<wnid>.json``: name of an image -> (number of a part of the class from 1, segmentation)."""
    listed = list(images)
    content = {
        "images": [
            {"id": i + 1, "width": WIDTH, "height": HEIGHT, "file_name": f"{wnid}/{n}"} for i, n in enumerate(listed)
        ],
        "categories": [{"id": i, "name": n} for i, n in enumerate(PPP_PARTS[wnid][1], 1)],
        "annotations": [
            {"id": f"{i}-{j}", "image_id": i, "category_id": part, "segmentation": drawn, "iscrowd": 0, "area": 1}
            for i, name in enumerate(listed, 1)
            for j, (part, drawn) in enumerate(images[name])
        ],
    }
    (root / "json").mkdir(parents=True, exist_ok=True)
    (root / f"json/{wnid}.json").write_text(json.dumps({**content, **changes}))


def write_tables(root: Path) -> None:
    """Write the tables of the classes: numbers of parts, and names."""
    root.mkdir(parents=True, exist_ok=True)
    lines = "".join(f'"{wnid}": {len(parts)},\n' for wnid, (_, parts) in PPP_PARTS.items())
    (root / "classinfo_1k_pp.py").write_text(f"CLASSES = {{\n{lines}}}\n")
    names = [{"file_name": f"{w}.json", "part_name": parts, "object_name": n} for w, (n, parts) in PPP_PARTS.items()]
    (root / "category_name.json").write_text(json.dumps(names))


def write_label_map(path: Path, *boxes: tuple[int, np.ndarray], mode: str = "I;16") -> None:
    """Write a PNG of part numbers: (number, where) of each part; the later lies on the earlier."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint16 if mode == "I;16" else np.uint8)
    for number, mask in boxes:
        labels[mask] = number
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    if mode == "P":
        image.putpalette(bytes(range(256)) * 3)
    image.save(path)


def _struct(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> np.ndarray:
    """A MATLAB struct array (1, N)."""
    array = np.empty((1, len(rows)), [(name, object) for name in names])
    for i, row in enumerate(rows):
        for name, value in zip(names, row, strict=True):
            array[0, i][name] = value
    return array


def write_mat(path: Path, *objects: tuple[str, np.ndarray, Parts]) -> None:
    """Write a file of Pascal Part: (class, mask, parts) of each object; without parts, the array is empty."""
    rows = []
    for number, (name, mask, parts) in enumerate(objects):
        listed = [(part, drawn.astype(np.uint8)) for part, drawn in parts]
        nested = _struct(("part_name", "mask"), listed) if listed else np.zeros((0, 0))
        rows.append((name, number + 1, mask.astype(np.uint8), nested))
    found = _struct(("class", "class_ind", "mask", "parts"), rows) if rows else np.zeros((0, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"anno": _struct(("imname", "objects"), [(path.stem, found)])}, do_compression=True)


def write_voc(root: Path, **splits: Sequence[str]) -> None:
    """Write photographs and ``ImageSets`` of VOC: split -> ids."""
    for split, names in splits.items():
        path = root / f"ImageSets/Main/{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}\n" for name in names))
        for name in names:
            photograph(root / f"JPEGImages/{name}.jpg")


def write_tiff(path: Path, uids: np.ndarray, **options: Any) -> None:
    """Write a file of Cityscapes Panoptic Parts: (H, W) int32 or uint16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(uids).save(path, format="TIFF", **options)


def street(root: Path, split: str, name: str) -> Path:
    """Write a photograph of Cityscapes, and return the path for the file of its annotation."""
    city = name.split("_")[0]
    photograph(root / f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png")
    return root / f"gtFinePanopticParts/{split}/{city}/{name}_gtFinePanopticParts.tif"
