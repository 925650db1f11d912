"""Image files -> upright RGB arrays, with a reason for each file that cannot be read."""

from __future__ import annotations

import io
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from stages.source.decoded_size import MAX_DECODED_MB, NESTED, decoded_bytes, num_scans, webp_size
from stages.source.frames import Size
from stages.source.png_chunks import is_png, without_pixels, without_text
from stages.source.png_rows import can_stream, scaled
from stages.source.sample_range import UnknownRange, describe_tiff, grey, is_deep, refuse_dark

__all__ = ["TOO_LARGE", "ImageFault", "Picture", "decode", "decode_ahead"]

TOO_LARGE = "too_large"
"""Reason in ``errors`` for an image that has more pixels, or takes more memory, than the settings allow."""

Pixels = npt.NDArray[np.uint8]
# The limit on image size is a setting of ours. Pillow's is switched off, because its warning cannot be silenced here:
# warning filters are not thread-safe.
Image.MAX_IMAGE_PIXELS = None

_TEXT_LIMIT = re.compile("MAX_TEXT_|text chunks")
"""In Pillow's errors about comments or a colour profile that are longer than it accepts; the picture is sound."""
_LARGE = 1 << 23
"""Pixels of a picture beyond which it is decoded alone: a few such pictures at once would fill the memory."""
_MOST_SCANS = 200
"""Of a JPEG. Programs write ten or twenty; thousands cost hours, and hardly any bytes."""
_ALONE = threading.RLock()
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> the operation that turns the image upright; 1 is upright already."""
_LYING = {5, 6, 7, 8}
"""EXIF orientations of a picture whose rows are columns in the file."""


class ImageFault(Exception):
    """An image that cannot be used. ``reason`` is a short code, ``detail`` says what is wrong."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded image.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, 0 to 255, EXIF orientation applied, in the frame that was asked for.
        mode: format and mode of the file, such as ``JPEG/CMYK``.
        orientation: the file's EXIF orientation, 1 to 8.
        size: (H, W) of the file's picture, EXIF orientation applied.
    """

    pixels: Pixels
    mode: str
    orientation: int
    size: Size


def decode(
    data: bytes,
    max_pixels: int | None = None,
    frame: Callable[[Size], Size] | None = None,
    max_mb: int = MAX_DECODED_MB,
) -> Picture:
    """Decode a file's bytes; the format is detected from the content, never from the name.

    Args:
        data: the whole file.
        max_pixels: the largest height × width that is accepted; None accepts any.
        max_mb: the most MiB that may be in memory while it is decoded.
        frame: (H, W) of the upright picture -> the size to bring it to, with antialiasing; None keeps its size. A JPEG
            file is decoded at a fraction of its size if that is at least twice the frame, and a large PNG file a few
            rows at a time, so neither is in memory as a whole.

    Raises:
        ImageFault: if the file is empty, not an image, truncated, damaged, or too large, or if nobody can know which
            of its values are black and white.
    """
    if not data:
        raise ImageFault("empty_file", "expected an image, found 0 bytes")
    try:
        try:
            return _decoded(data, max_pixels, frame, max_mb)
        except ValueError as error:
            if not (is_png(data) and _TEXT_LIMIT.search(str(error))):
                raise
            return _decoded(without_text(data), max_pixels, frame, max_mb)
    except (ImageFault, MemoryError):
        raise
    except UnidentifiedImageError:
        unsupported = describe_tiff(data)
        if unsupported:
            raise ImageFault("unsupported", unsupported) from None
        raise ImageFault("not_an_image", f"expected an image, found {data[:8]!r}…") from None
    except UnknownRange as error:
        raise ImageFault("unknown_range", f"{error}; convert it to 8 bits") from None
    except Exception as error:
        # Each of Pillow's decoders raises what it likes (AVIF: RuntimeError, DDS: NotImplementedError), and one file
        # must not cost its whole block. A lack of memory is not the file's fault: the block is tried again.
        detail = str(error) or type(error).__name__
        raise ImageFault("truncated" if "truncat" in detail.lower() else "damaged", detail) from None


def _decoded(data: bytes, max_pixels: int | None, frame: Callable[[Size], Size] | None, max_mb: int) -> Picture:
    if (canvas := webp_size(data)) is not None:
        # Opening it makes room for all its pixels.
        _check_pixels(canvas, max_pixels)
        _check_memory(16 * canvas[0] * canvas[1], max_mb, canvas, "WEBP")
    image = Image.open(io.BytesIO(data))
    full = image.size
    _check_pixels(full, max_pixels)
    if image.format in NESTED:
        raise ImageFault("unsupported", f"a file of type {image.format} may hold anything; convert it to PNG or JPEG")
    if image.format in ("JPEG", "MPO") and num_scans(data) > _MOST_SCANS:
        raise ImageFault("damaged", f"expected a JPEG of at most {_MOST_SCANS} scans, found {num_scans(data)}")
    mode, orientation = f"{image.format}/{image.mode}", _orientation(image, data)
    # Pillow turns a TIFF upright while it loads it, and says its upright size before.
    turn = _UPRIGHT.get(orientation) if image.format != "TIFF" else None
    is_lying = turn is not None and orientation in _LYING
    size = (image.width, image.height) if is_lying else (image.height, image.width)
    target = frame(size) if frame else size
    height, width = target[::-1] if is_lying else target
    if target != size:
        image.draft(None, (2 * width, 2 * height))
    wanted = (width, height) if target != size else None
    is_streamed = wanted is not None and image.width * image.height > _LARGE and can_stream(image, data)
    needed = decoded_bytes(image, wanted, is_streamed, full)
    _check_memory(needed, max_mb, full, mode)
    if wanted is not None and is_streamed:
        pixels = np.asarray(scaled(image, data, wanted, _to_scale).convert("RGB"))
    else:
        with _ALONE if image.width * image.height > _LARGE else nullcontext():
            pixels = _to_rgb(image, data, wanted)
    if turn is not None and _orientation(image, data) > 1:
        # Not exif_transpose: it rewrites the metadata, so it fails if they are damaged.
        pixels = np.asarray(Image.fromarray(pixels).transpose(turn))
    return Picture(pixels, mode, orientation, size)


def _check_pixels(size: tuple[int, int], most: int | None) -> None:
    if most is not None and size[0] * size[1] > most:
        raise ImageFault(TOO_LARGE, f"expected at most {most} pixels, found {size[0]}x{size[1]}")


def _check_memory(needed: int, max_mb: int, size: tuple[int, int], kind: str) -> None:
    """Raises ImageFault before a small file takes the memory of the machine."""
    if needed > max_mb << 20:
        found = f"{size[0]}x{size[1]} ({kind}), which takes {-(-needed >> 20)} MiB"
        fix = "scale it down, or raise ingest.max_decoded_mb"
        raise ImageFault(TOO_LARGE, f"expected a picture of at most {max_mb} MiB when decoded, found {found}; {fix}")


def decode_ahead(
    items: Iterable[Any], load: Callable[[Any], Any], *, threads: int = 4, ahead: int = 32
) -> Iterator[tuple[Any, Any | ImageFault]]:
    """(item, result of ``load`` or the fault that it raised) in order, computed up to ``ahead`` items in advance.

    An item that does not fit into memory is tried once more, while no other large picture is decoded.
    """
    waiting: deque[tuple[Any, Future[Any]]] = deque()
    source = iter(items)
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            for item in source:
                waiting.append((item, pool.submit(_caught, load, item)))
                if len(waiting) >= ahead:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _caught(load: Callable[[Any], Any], item: Any) -> Any:
    try:
        return load(item)
    except ImageFault as fault:
        return fault
    except MemoryError:
        try:
            with _ALONE:
                return load(item)
        except ImageFault as fault:
            return fault
        except MemoryError:
            return ImageFault("out_of_memory", "the picture did not fit into memory, not even alone")


def _orientation(image: Image.Image, data: bytes) -> int:
    """EXIF orientation, 1 to 8; 1 if it is missing or makes no sense."""
    if image.format == "PNG" and is_png(data):
        # Pillow decodes a PNG as a whole to look for EXIF data behind its pixels.
        image = Image.open(io.BytesIO(without_pixels(data)))
    value = image.getexif().get(_ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def _to_rgb(image: Image.Image, data: bytes, target: tuple[int, int] | None) -> Pixels:
    """RGB pixels, scaled to ``target`` (width, height) if it is given. A large picture is copied seldom."""
    if is_deep(image):
        image = Image.fromarray(grey(image, data))
    else:
        refuse_dark(image, data)
    if target is not None:
        image = _to_scale(image).resize(target, Image.Resampling.BILINEAR)
    return np.asarray(_without_palette(image).convert("RGB"))


def _to_scale(image: Image.Image) -> Image.Image:
    """The picture in the mode in which it is scaled: as RGB, if it has no colours of its own or is transparent."""
    image = _without_palette(image)
    return image if image.mode in ("L", "RGB", "CMYK", "YCbCr") else image.convert("RGB")


def _without_palette(image: Image.Image) -> Image.Image:
    """A picture whose transparent colours are listed in the file, with an alpha channel: Pillow warns otherwise."""
    return image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image
