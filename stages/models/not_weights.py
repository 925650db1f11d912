"""Files that stand in the place of weights and are something else: a pointer, a web page, nothing, a bomb.

A bomb is a file that asks for far more memory than it has bytes: that is asked before it is read.
"""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pdstore.errors import CorruptData

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_pickle", "checked_tensor", "refuse_not_weights"]

_LFS = b"version https://git-lfs.github.com/spec/"
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--")
_FETCH = "Fetch the file itself with git lfs pull, or download it from its publisher"
_DOWNLOAD = "Download the file itself: its page has a link to it (on the hub: 'resolve' in place of 'blob')"
_PLAUSIBLE_BYTES = 256 << 20
"""Up to here, an archive may hold whatever compresses well."""
_MOST_RATIO = 20
"""Bytes that a larger archive may hold per byte of its file. Weights hardly compress; torch stores them as they are."""


def refuse_not_weights(path: Path) -> None:
    """Raise CorruptData if a file is a Git LFS pointer, a web page or empty, and say which. Reads a few bytes."""
    with path.open("rb") as file:
        start = file.read(1024)
    if start.startswith(_LFS):
        size = next((line[5:].decode() for line in start.splitlines() if line.startswith(b"size ")), "")
        what = f" of {int(size):,} bytes" if size.isdigit() else ""
        raise CorruptData(f"this is a Git LFS pointer to a file{what}, not the file itself", str(path), _FETCH)
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGES):
        raise CorruptData("this is a web page, not a file of weights", str(path), _DOWNLOAD)
    if not start:
        raise CorruptData("the file is empty", str(path), "Download it again")


def check_pickle(file: BinaryIO, is_torch: bool) -> None:
    """Raises UnpicklingError if the file asks for more memory than anything sound in a file of its size.

    Cost: a pass over the opcodes of a pickle, which are few per array; of an archive, its list of contents.
    """
    size = file.seek(0, 2)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            held = sum(entry.file_size for entry in archive.infolist())
        if held > max(_PLAUSIBLE_BYTES, _MOST_RATIO * size):
            raise pickle.UnpicklingError(f"an archive of {size} bytes that would become {held}")
    elif not is_torch:
        file.seek(0)
        for opcode, argument, _ in pickletools.genops(file):
            # The memory of an unpickler is an array, which it makes as long as the largest number.
            if opcode.name == "LONG_BINPUT" and isinstance(argument, int) and argument > size:
                raise pickle.UnpicklingError(f"a pickle of {size} bytes that keeps {argument} values")


def checked_tensor(tensor: Tensor) -> Tensor:
    """The tensor, if its values are stored: by its strides, one number can stand for any number of them.

    Raises:
        UnpicklingError: they are not.
    """
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise pickle.UnpicklingError(f"a tensor of the shape {tuple(tensor.shape)} that is larger than what is stored")
    return tensor
