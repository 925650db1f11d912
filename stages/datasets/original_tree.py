"""The original system's pseudo-labels of a block's images: what original-objects, -parts and -labels share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Ragged, Rows, Table, masks
from pdstore.errors import InputMissing
from schemas.sources import OriginalSettings
from stages.datasets.original_files import DAMAGED, NO_FILE, Kind, OriginalFile, read_file
from stages.datasets.original_grid import from_grid
from stages.source.frames import Size
from stages.source.images import ImageFault, decode_ahead
from stages.unit import LeftOut, Output, Setup, Unit

__all__ = ["Found", "file_of", "start_reading"]

_PROBES = 1000
"""Names of the tree that are looked for in the store before anything is read."""
_WHAT: Mapping[Kind, str] = {"objects": "object masks", "parts": "part segments", "labels": "part labels"}


@dataclass(frozen=True)
class Found:
    """The masks of an image, in its frame; none of them is empty.

    Attributes:
        category: (class_id, class_name) of the image.
        numbers: (N,) int64, the place of each mask in the file.
        area: (N,) int64, in pixels of the frame.
    """

    image_id: int
    category: tuple[int, str]
    file: OriginalFile
    frame: Size
    rle: Ragged
    numbers: npt.NDArray[np.int64]
    area: npt.NDArray[np.int64]

    def object_ratio(self) -> npt.NDArray[np.float64]:
        """(N,) float64: area relative to that of all masks of the image together."""
        together = masks.union(self.rle, *self.frame)
        return self.area / masks.area(Ragged.from_list([together]), *self.frame)[0] if len(self.rle) else self.area / 1


def file_of(folder: Path, wnid: str, key: str) -> Path:
    """Where a tree has the pseudo-labels of an image."""
    return folder / wnid / Path(key).name


def start_reading(
    kind: Kind, table: Table, columns: Callable[[Found], dict[str, Any]], settings: OriginalSettings, setup: Setup
) -> Callable[[Unit], Output]:
    """A function from a block to the rows of ``table`` that the tree has of its images.

    An image without a file, and masks without a pixel, become rows of ``errors``, which count as left-out annotations;
    an image whose file is damaged, or of another kind or size, becomes one that counts as a left-out image.

    Args:
        columns: the columns of the rows but for ``image_id`` and those of the mask. Where our own export has noted
            them in the file, they are taken from there.

    Raises:
        InputMissing: there is no such folder, or none of its files is of an image of the store.
    """
    folder = Path(settings.folder)
    _check(folder, setup)

    def run(unit: Unit) -> Output:
        block = unit.own_block
        wnids = dict(zip(block.keys, block.image_rows["wnid"].tolist(), strict=True))
        frames, sizes = block.frames(settings.long_side), block.frames(0)
        paths = [(i, file_of(folder, wnids[i], key)) for i, key in sorted(block.keys.items())]
        made = []
        for (image_id, path), file in decode_ahead(paths, lambda item: _of_kind(read_file(item[1]), kind, item[1])):
            unit.check_stop()
            unit.advance(1)
            try:
                if isinstance(file, ImageFault):
                    raise file
                place = (image_id, block.classes[image_id])
                found = _found(unit, place, file, sizes[image_id], frames[image_id])
                made.append(_rows(table, found, columns(found)))
            except ImageFault as fault:
                of: LeftOut = "annotation" if fault.reason == NO_FILE else "image"
                detail = fault.detail if str(path) in fault.detail else f"{path}: {fault.detail}"
                unit.reject(image_id, fault.reason, detail, of=of)
        return Output(Rows.concat(table, made))

    return run


def _check(folder: Path, setup: Setup) -> None:
    where, fix = str(folder), "Set the folder that holds a folder per class: pd config set NODE.folder=DIR"
    if not folder.is_dir():
        raise InputMissing("there is no such folder", where, fix)
    codes = [c.wnid for c in setup.classes if (folder / c.wnid).is_dir()]
    if not codes:
        raise InputMissing("no folder in it is named by the code of a class of the store", where, fix)
    probes = set(islice(((code, file.name) for code in codes for file in (folder / code).iterdir()), _PROBES))
    if not any((image.wnid, Path(image.key).name) in probes for image in setup.listed()):
        raise InputMissing(f"none of the first {len(probes)} files is of an image of the store", where, fix)


def _of_kind(file: OriginalFile, kind: Kind, path: Path) -> OriginalFile:
    if file.kind != kind and len(file.rle):
        raise ImageFault(DAMAGED, f"expected a file with {_WHAT[kind]}, found one with {_WHAT[file.kind]}: {path}")
    return file


def _found(unit: Unit, place: tuple[int, tuple[int, str]], file: OriginalFile, size: Size, frame: Size) -> Found:
    rle = from_grid(file.rle, (file.height, file.width), size, frame) if len(file.rle) else file.rle
    area = masks.area(rle, *frame)
    kept = np.flatnonzero(area)
    for number in np.flatnonzero(area == 0).tolist():
        unit.reject(place[0], "empty_mask", f"mask {number} of the file has no pixels", of="part")
    return Found(*place, file, frame, rle.take(kept), kept, area[kept])


def _rows(table: Table, found: Found, columns: dict[str, Any]) -> Rows:
    kept, (height, width) = found.numbers, found.frame
    for name in table.names:
        values = found.file.columns.get(name)
        if values is not None:
            columns[name] = [values[i] for i in kept] if isinstance(values, list) else values[kept]
    columns |= {"image_id": found.image_id, "area": found.area, "height": height, "width": width, "rle": found.rle}
    try:
        return Rows.filled(table, len(kept), columns)
    except ValueError as error:
        raise ImageFault(DAMAGED, f"the columns that were exported with the masks do not fit them: {error}") from None
