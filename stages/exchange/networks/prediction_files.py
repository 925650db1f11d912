"""Answers about pictures as files: COCO JSON, label maps, and pictures with coloured parts.

Each result is written under another name in the same folder and renamed when it is complete, so it is there as a whole
or not at all. In memory is one picture at a time.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import numpy as np
from PIL import Image

from pdstore import masks
from pdstore.errors import UsageError
from stages.exchange.networks.picture_list import PictureFile
from stages.exchange.networks.picture_run import Answer, LeftOut
from stages.exchange.outputs import publish
from stages.kernels.pictures import Overlay, draw_overlay
from stages.source.frames import frame_of
from stages.source.images import decode

__all__ = ["CATEGORIES_NAME", "CocoFile", "LabelMaps", "Overlays", "Result", "check_place", "result_file"]

CATEGORIES_NAME = "categories.json"
"""The file in a folder of results that says what their numbers mean, and that the folder is one."""
LONGEST_PX = 1024
"""Longer side of a picture with coloured parts, at most."""
MOST_LABELS = 65535

Category = tuple[str, str]
"""(name, object class or an empty text)."""


class Result(Protocol):
    """A result that is being written."""

    def add(self, picture: PictureFile, answer: Answer) -> None: ...

    def commit(self, left_out: Sequence[tuple[PictureFile, LeftOut]]) -> None:
        """Put the result in its place."""
        ...

    def discard(self) -> None:
        """Remove what is not in its place."""
        ...


def result_file(out: Path, categories: Sequence[Category], source: str) -> Result:
    """COCO JSON if the name ends in ``.json``, otherwise a folder of label maps."""
    return CocoFile(out, categories, source) if out.suffix == ".json" else LabelMaps(out, categories, source)


def check_place(out: Path, overwrite: bool) -> None:
    """Check, before any work is done, that a result can be written to ``out``.

    Raises:
        UsageError: something is there and is not to be overwritten, or is no result; or its parent folder is missing.
    """
    if not out.absolute().parent.is_dir():
        raise UsageError("its folder does not exist", str(out), f"Create it first: mkdir -p {out.parent}")
    if not out.exists() or (out.is_dir() and out.suffix != ".json" and not any(out.iterdir())):
        return
    if not overwrite:
        raise UsageError("this exists", str(out), "Name another, or add --overwrite")
    is_file = out.suffix == ".json"
    if out.is_dir() == is_file or not (is_file or (out / CATEGORIES_NAME).is_file()):
        kind = "a file" if is_file else f"a folder of results (with {CATEGORIES_NAME})"
        raise UsageError(f"expected {kind} to overwrite, found something else", str(out), "Name another")


class CocoFile:
    """COCO instances, and what COCO has no place for under ``info``: the model, and the pictures that were left out.

    The ``id`` of an image is its position among the pictures plus 1, and that of a category its label plus 1; an
    annotation has a ``score``, and its mask as compressed run lengths. Format: https://cocodataset.org/#format-data
    """

    def __init__(self, out: Path, categories: Sequence[Category], source: str) -> None:
        self._out, self._categories, self._source = out, categories, source
        self._parts = [out.with_name(f".{out.name}.{uuid4().hex}") for _ in range(2)]
        self._images, self._annotations = (path.open("w+") for path in self._parts)
        self._count = 0

    def add(self, picture: PictureFile, answer: Answer) -> None:
        height, width = answer.size
        image = {"id": answer.number + 1, "file_name": picture.name, "height": height, "width": width}
        self._images.write(_line(image))
        if not len(answer.rle):
            return
        boxes, areas = masks.boxes(answer.rle, *answer.size).tolist(), masks.area(answer.rle, *answer.size).tolist()
        for n, counts in enumerate(answer.rle):
            self._count += 1
            annotation = {
                "id": self._count,
                "image_id": answer.number + 1,
                "category_id": int(answer.labels[n]) + 1,
                "segmentation": {"size": [height, width], "counts": counts.decode()},
                "area": areas[n],
                "bbox": boxes[n],
                "iscrowd": 0,
                "score": round(float(answer.scores[n]), 6),
            }
            self._annotations.write(_line(annotation))

    def commit(self, left_out: Sequence[tuple[PictureFile, LeftOut]]) -> None:
        lost = [{"file_name": p.name, "reason": one.reason, "detail": one.detail} for p, one in left_out]
        named = [
            {"id": number, "name": name, "supercategory": thing}
            for number, (name, thing) in enumerate(self._categories, 1)
        ]
        head = {"info": {"description": f"parts by {self._source}", "left_out": lost}, "categories": named}

        def write(path: Path) -> None:
            with path.open("w") as file:
                file.write(json.dumps(head, ensure_ascii=False, indent=1)[:-2])
                for key, lines in (("images", self._images), ("annotations", self._annotations)):
                    file.write(f',\n "{key}": [')
                    lines.seek(0)
                    for number, line in enumerate(lines):
                        file.write(("," if number else "") + "\n" + line.rstrip("\n"))
                    file.write("\n ]")
                file.write("\n}\n")

        publish(self._out, write)
        self.discard()

    def discard(self) -> None:
        for file in (self._images, self._annotations):
            file.close()
        for path in self._parts:
            path.unlink(missing_ok=True)


class _Folder:
    """A folder with a file per picture, named after it, and ``categories.json``."""

    def __init__(self, out: Path, categories: Sequence[Category], source: str) -> None:
        self._out, self._source = out.absolute(), source
        self.categories = categories
        self._temporary = self._out.with_name(f".{self._out.name}.{uuid4().hex}")
        self._temporary.mkdir()

    def place(self, picture: PictureFile, suffix: str) -> Path:
        path = self._temporary / f"{picture.name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def commit(self, left_out: Sequence[tuple[PictureFile, LeftOut]]) -> None:
        meant = {
            "source": self._source,
            "categories": [{"id": n, "name": name} for n, (name, _) in enumerate(self.categories, 1)],
            "left_out": [{"file_name": p.name, "reason": one.reason, "detail": one.detail} for p, one in left_out],
        }
        (self._temporary / CATEGORIES_NAME).write_text(json.dumps(meant, ensure_ascii=False, indent=1) + "\n")
        publish(self._out, lambda path: os.replace(self._temporary, path))

    def discard(self) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)


class LabelMaps(_Folder):
    """PNG files of the pictures' size: 0 is no part, other values are ids of categories; 8 bits, or 16 beyond 255.

    Where proposals overlap, a pixel is of the best.
    """

    def __init__(self, out: Path, categories: Sequence[Category], source: str) -> None:
        if len(categories) > MOST_LABELS:
            fix = "Write COCO JSON: --out FILE.json; or ask about fewer classes"
            raise UsageError(f"a label map holds {MOST_LABELS} labels, and there are {len(categories)}", str(out), fix)
        super().__init__(out, categories, source)
        self._type = np.uint8 if len(categories) < 256 else np.uint16

    def add(self, picture: PictureFile, answer: Answer) -> None:
        labels = np.zeros(answer.size, self._type)
        for n in range(len(answer.rle) - 1, -1, -1):
            labels[masks.decode_one(answer.rle[n], *answer.size)] = answer.labels[n] + 1
        Image.fromarray(labels).save(self.place(picture, ".png"), "PNG")


class Overlays(_Folder):
    """JPEG files of at most ``LONGEST_PX``: the picture with each part in the colour of its number."""

    def add(self, picture: PictureFile, answer: Answer) -> None:
        pixels = decode(picture.path.read_bytes(), frame=partial(frame_of, longest=LONGEST_PX)).pixels
        height, width = pixels.shape[:2]
        frames = np.tile(np.array([answer.size]), (len(answer.rle), 1))
        stack = masks.decode(masks.resize_each(answer.rle, frames, (height, width)), height, width)
        # All proposals have one label, so they are told apart by their order.
        is_one = len(self.categories) == 1
        colours = list(range(len(stack))) if is_one else [int(label) for label in answer.labels]
        drawn = draw_overlay(pixels, Overlay(stack, colours), width, height)
        drawn.save(self.place(picture, ".jpg"), "JPEG", quality=90)


def _line(record: dict[str, Any]) -> str:
    return "  " + json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
