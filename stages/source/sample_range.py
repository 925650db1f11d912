"""Pictures with more than 8 bits per sample -> 8 bits, by the range that the file declares.

One range for all pictures of a kind: a picture is never stretched by its own brightest pixel, because then equal
things would look different in two pictures. A picture whose range is unknown is refused; it would come out black, or
in a scale of its own.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from stages.source.png_chunks import bit_depth, is_png, significant_bits

__all__ = ["UnknownRange", "describe_tiff", "grey", "is_deep", "refuse_dark"]

Pixels = npt.NDArray[np.uint8]
Range = tuple[float, float]

_BITS, _PHOTOMETRIC, _MAX, _FORMAT, _SMIN, _SMAX = 258, 262, 281, 339, 340, 341
"""Tags of TIFF."""
_FORMATS = {1: "unsigned", 2: "signed", 3: "floating-point"}
_FULL = 65535.0
_DARK = 4096
"""A 16-bit picture without a brighter sample has 12 bits at most, or shows nothing: it would come out black."""
_DARK_BYTE = _DARK // 256
_STRIP = 1 << 20
"""Samples that are scaled at a time."""


class UnknownRange(ValueError):
    """The file does not say which values are black and white."""


def is_deep(image: Image.Image) -> bool:
    """True if Pillow gives the samples as they are and not as bytes, or as bytes that have lost their sign."""
    return image.mode.startswith("I") or image.mode == "F" or (image.mode == "L" and _tiff_format(image) == 2)


def grey(image: Image.Image, data: bytes) -> Pixels:
    """(H, W) uint8 of a picture that :func:`is_deep`; ``data`` is its file.

    Raises:
        UnknownRange: if the file declares no range, or contradicts the one that it declares.
    """
    values = np.asarray(image)
    if image.format == "TIFF":
        values, (low, high), is_inverted = _tiff(image, values)
    elif image.format == "PNG":
        low, high, is_inverted = 0.0, _png_top(values, significant_bits(data)), False
    elif image.format in ("PPM", "JPEG2000") and image.mode != "F":
        low, high, is_inverted = 0.0, _FULL, False  # Pillow has scaled them by the range in the file
    else:
        raise UnknownRange(f"{image.format} does not declare the range of its {image.mode} samples")
    if not high > low:
        raise UnknownRange(f"the file declares a range from {low:g} to {high:g}")
    scaled = np.empty(values.shape, np.uint8)
    # A few rows at a time: as numbers of 64 bits a large picture would take many times its bytes.
    rows = max(1, _STRIP // max(1, values.shape[1]))
    for top in range(0, len(values), rows):
        share = np.nan_to_num((values[top : top + rows].astype(np.float64) - low) / (high - low), nan=0.0)
        scaled[top : top + rows] = (np.clip(share, 0, 1) * 255).astype(np.uint8)
    return np.subtract(255, scaled, out=scaled) if is_inverted else scaled


def refuse_dark(image: Image.Image, data: bytes) -> None:
    """Raise UnknownRange for a 16-bit colour picture whose samples have 12 bits at most, or a range of their own.

    Of such a picture Pillow gives only the upper bytes, so there is nothing left to scale.
    """
    if not image.mode.startswith(("RGB", "LA")) or _sample_bits(image, data) <= 8:
        return
    declared = [_tag(image, tag) for tag in (_SMIN, _SMAX)]
    if image.format == "TIFF" and any(value is not None for value in declared):
        low, high = declared
        if (low or 0, _FULL if high is None else high) != (0, _FULL):
            raise UnknownRange(f"colours with a range of their own ({low} to {high}) are not supported")
    extremes = image.getextrema()[: len(image.mode.rstrip("AaX"))]
    if max(int(high) for _, high in extremes) < _DARK_BYTE:  # type: ignore[misc]
        raise UnknownRange(f"no sample reaches {_DARK} of {_FULL:g}, so these seem to have fewer than 16 bits")


def describe_tiff(data: bytes) -> str:
    """What kind of samples a TIFF has that Pillow cannot open; empty if this is no TIFF."""
    if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return ""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if data[2:3] == b"+" or data[3:4] == b"+" else 8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        bits, kinds = tags.get(_BITS, (1,)), tags.get(_FORMAT, (1,))
        samples = f"{len(bits)} {_FORMATS.get(kinds[0], 'unusual')} samples of {bits[0]} bits per pixel"
    except Exception:  # a damaged directory fails in as many ways as a damaged picture
        samples = "a damaged directory"
    return f"a TIFF with {samples}, which is not supported; convert it to 8 bits"


def _png_top(values: npt.NDArray[Any], bits: int) -> float:
    """65535, because PNG wants samples scaled up to 16 bits; but some programs store ``bits`` bits as they are."""
    if 8 <= bits < 16:
        # Samples that were scaled up end in zeros (or in one, by rounding), as long as they are this small.
        is_plain = values.max(initial=0) < 2**bits and bool((values % 2 ** (16 - bits) > 1).any())
        return 2.0**bits - 1 if is_plain else _FULL
    if bits != 16:
        _refuse_low(values, _FULL)
    return _FULL


def _tiff(image: Image.Image, values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Range, bool]:
    """Samples with their sign, their declared range, and whether low values are bright."""
    bits, kind = int(_tag(image, _BITS) or 1), _tiff_format(image)
    if kind == 2 and bits == 8:
        values = values.view(np.int8)
    elif kind == 1 and bits == 32:
        values = values.view(np.uint32)
    low, high, top = _tag(image, _SMIN), _tag(image, _SMAX), _tag(image, _MAX)
    if high is None and kind == 1 and bits <= 16:
        # The tag MaxSampleValue is statistics of the picture, unless it is the largest value of a number of bits.
        is_depth = top is not None and 255 <= top < 2**bits and int(top + 1).bit_count() == 1
        high = float(top) if is_depth and top is not None else 2.0**bits - 1
        if bits == 16 and not is_depth:
            _refuse_low(values, high)
    if high is None:
        kinds = f"{_FORMATS.get(kind, 'unusual')} samples of {bits} bits"
        raise UnknownRange(f"{kinds} need a declared range (the tags SMinSampleValue, SMaxSampleValue)")
    if low is None and kind != 1:
        raise UnknownRange("the file declares its largest sample, but not its smallest (tag SMinSampleValue)")
    return values, (low or 0.0, high), image.tag_v2.get(_PHOTOMETRIC) == 0  # type: ignore[attr-defined]


def _refuse_low(values: npt.NDArray[Any], top: float) -> None:
    found = int(values.max(initial=0))
    if found < _DARK:
        problem = f"no sample is above {found} of {top:g}, so these seem to have fewer than 16 bits"
        raise UnknownRange(f"{problem}, and the file does not say how many")


def _sample_bits(image: Image.Image, data: bytes) -> int:
    if image.format == "TIFF":
        return int(_tag(image, _BITS) or 1)
    return bit_depth(data) if image.format == "PNG" and is_png(data) else 8


def _tiff_format(image: Image.Image) -> int:
    value = _tag(image, _FORMAT) if image.format == "TIFF" else None
    return 1 if value is None else int(value)


def _tag(image: Image.Image, tag: int) -> float | None:
    """A number from a TIFF's directory; of several (one per sample), the first."""
    value = image.tag_v2.get(tag) if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    value = value[0] if isinstance(value, tuple) and value else value
    return None if value is None or isinstance(value, tuple | str | bytes) else float(value)
