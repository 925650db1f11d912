"""Reads JSON files of other programs; whatever is wrong becomes one error that names the file and the record."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdstore.errors import CorruptData
from pdstore.runlength import check_run_lengths, compress

__all__ = ["Record", "read_json"]

_KINDS = {int: "a whole number", float: "a finite number", list: "a list", dict: "an object"}
_FIX = "Fix the file"


def read_json(path: Path) -> Any:
    """The content of a file. Raises CorruptData if the file is not valid JSON."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CorruptData(
            f"the file is not valid JSON: {error!s}", str(path), "Fix the file, or write it again"
        ) from None


@dataclass(frozen=True)
class Record:
    """One JSON object.

    Attributes:
        where: the file and the position in it, for error messages.
    """

    values: Mapping[str, Any]
    where: str

    @classmethod
    def of(cls, value: Any, where: str) -> Record:
        """Raises CorruptData unless ``value`` is an object."""
        return cls(_checked(value, dict, where), where)

    def fault(self, expected: str, found: object, fix: str = _FIX) -> CorruptData:
        """An error about this record, to be raised by the caller."""
        return CorruptData(f"expected {expected}, found {found!s}", self.where, fix)

    def get(self, key: str, kind: type) -> Any:
        """The value of a key: int, finite float, list or dict.

        Raises:
            CorruptData: if the key is missing, or its value is of another kind.
        """
        if key not in self.values:
            keys = ", ".join(map(repr, self.values)) or "no key"
            raise self.fault(f"the key {key!r}", keys, f"Add {key!r} to it")
        return _checked(self.values[key], kind, f"{self.where}, {key}")

    def index(self, key: str, stop: int | None = None) -> int:
        """A whole number, at least 0 and below ``stop``. Raises CorruptData."""
        value: int = self.get(key, int)
        if value < 0 or (stop is not None and value >= stop):
            raise self.fault(f"{key} from 0 on" if stop is None else f"{key} in 0..{stop - 1}", value)
        return value

    def records(self, key: str) -> Iterator[Record]:
        """The objects of a list. Raises CorruptData."""
        for number, value in enumerate(self.get(key, list)):
            yield Record.of(value, f"{self.where}, {key}[{number}]")

    def mask(self, key: str, height: int, width: int) -> bytes:
        """Compressed run lengths of a (height, width) mask, given as COCO's ``{"size", "counts"}``.

        Raises:
            CorruptData: if the size differs, or the counts, compressed or not, are not run lengths of such a mask.
        """
        rle = Record.of(self.get(key, dict), f"{self.where}, {key}")
        size = rle.get("size", list)
        if size != [height, width]:
            raise rle.fault(f"size {[height, width]}, as its image has", size)
        counts = rle.values.get("counts")
        try:
            if isinstance(counts, list):
                return compress(counts, height, width)
            encoded = str(counts or "").encode("ascii")
            check_run_lengths(encoded, height, width)
        except ValueError as error:
            fix = "Write counts as pycocotools.mask.encode does"
            raise rle.fault("counts that are COCO run lengths", error, fix) from None
        return encoded


def _checked(value: Any, kind: type, where: str) -> Any:
    fits = isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)
    if not fits or (kind is float and not math.isfinite(value)):
        text = json.dumps(value)
        shown = text if len(text) < 60 else f"{text[:57]}…"
        raise CorruptData(f"expected {_KINDS[kind]}, found {shown}", where, _FIX)
    return value
