from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image

from stages.source.images import ImageFault, decode
from stages.source.png_chunks import wrapped

MODES = {
    "PNG": ("1", {}),
    "TIFF": ("1", {"compression": "group4"}),
    "GIF": ("P", {}),
    "WEBP": ("RGB", {"lossless": True, "method": 0}),
    "JPEG2000": ("RGB", {}),
}
LIMITED = """
import resource, sys
from stages.source.images import ImageFault, decode
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20),) * 2)
for path in sys.argv[1:]:
    try:
        decode(open(path, "rb").read(), max_mb=128)
        print("decoded")
    except ImageFault as fault:
        print(fault)
"""


def bomb(kind: str, side: int = 5000) -> bytes:
    mode, options = MODES[kind]
    sink = io.BytesIO()
    Image.new(mode, (side, side)).save(sink, kind, **options)
    return sink.getvalue()


def with_size(data: bytes, at: int, form: str, *sides: int) -> bytes:
    size = struct.pack(form, *sides)
    return data[:at] + size + data[at + len(size) :]


def test_a_small_file_of_a_large_picture_is_refused_before_it_takes_memory(tmp_path: object) -> None:
    """Of every format, in a process that may not take 300 MiB more: one fault with the size, the limit, the setting."""
    files = [bomb(kind) for kind in MODES]
    sink = io.BytesIO()
    Image.new("L", (9000, 9000)).save(sink, "JPEG", progressive=True, quality=1)
    bytes_of_bmp = io.BytesIO()
    Image.new("RGB", (8, 8)).save(bytes_of_bmp, "BMP")
    files += [sink.getvalue(), with_size(bytes_of_bmp.getvalue(), 18, "<ii", 30_000, 30_000), b"P6 30000 30000 255\n"]
    paths = [f"{tmp_path}/{number}" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        with open(path, "wb") as file:
            file.write(data)
    done = subprocess.run([sys.executable, "-c", LIMITED, *paths], capture_output=True, text=True, check=True)
    found = done.stdout.splitlines()
    assert len(found) == len(files)
    for line in found:
        assert line.startswith("too_large: expected a picture of at most 128 MiB when decoded, found ")
        assert line.endswith("; scale it down, or raise ingest.max_decoded_mb")


def test_a_picture_within_the_limit_is_decoded() -> None:
    """The limit counts what a decoder takes: a PNG that is decoded a few rows at a time takes little."""
    data = bomb("PNG")
    assert decode(data, frame=lambda size: (500, 500), max_mb=32).pixels.shape == (500, 500, 3)
    with pytest.raises(ImageFault, match=r"found 5000x5000 \(PNG/1\), which takes 263 MiB"):
        decode(data, max_mb=32)
    assert decode(data, max_mb=512).size == (5000, 5000)


def test_a_very_long_picture_counts_its_rows() -> None:
    """A row takes memory of its own, however short it is."""
    rows = zlib.compress(bytes(2 * 4_000_000), 9)
    data = wrapped((b"IHDR", struct.pack(">IIBBBBB", 1, 4_000_000, 8, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    with pytest.raises(ImageFault, match="too_large: .* found 1x4000000"):
        decode(data, max_mb=100)


def test_a_large_tile_counts() -> None:
    """The tiles of a TIFF can be larger than the picture that is cut out of them."""
    data = zlib.compress(bytes(16 * 16))
    for side, reason in ((1 << 15, "too_large: .* takes 2049 MiB"), (16, "")):
        tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: len(data)}
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        padded = data + bytes(len(data) % 2)
        tiff = struct.pack("<2sHI", b"II", 42, 8 + len(padded)) + padded
        tiff += struct.pack("<H", len(tags)) + entries + bytes(4)
        if reason:
            with pytest.raises(ImageFault, match=reason):
                decode(tiff, max_mb=128)
        else:
            assert decode(tiff, max_mb=128).size == (16, 16)


@pytest.mark.parametrize("kind", ["ICO", "EPS"])
def test_a_file_that_may_hold_anything_is_not_opened(kind: str) -> None:
    """What an icon holds can be larger than the icon says, and EPS is a program: neither is decoded."""
    sink = io.BytesIO()
    Image.new("RGB", (32, 32)).save(sink, kind)
    with pytest.raises(ImageFault, match=f"unsupported: a file of type {kind} may hold anything; convert it"):
        decode(sink.getvalue())


def test_a_jpeg_of_many_scans_is_refused() -> None:
    """Each scan takes time for all pixels and a few bytes, so thousands of them would stop the work for hours."""
    sink = io.BytesIO()
    Image.new("RGB", (64, 64)).save(sink, "JPEG", progressive=True)
    data = sink.getvalue()
    assert decode(data).size == (64, 64)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(ImageFault, match="damaged: expected a JPEG of at most 200 scans, found"):
        decode(data[:-2] + data[last:-2] * 300 + data[-2:])
