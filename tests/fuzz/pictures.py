"""Pictures, label maps and tar files of pictures."""

from __future__ import annotations

import io
import random
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, features

from stages.datasets.cityscapes_part import _pixels
from stages.datasets.part_numbers import ClassNames, LabelMapReader
from stages.source.frames import frame_of
from stages.source.images import decode
from stages.source.photos import EncodedPhoto
from stages.source.tars import list_members
from tests.fuzz.mutations import mutated_bytes

__all__ = ["DOORS"]

_RGB = np.random.default_rng(0).integers(0, 255, (33, 20, 3), dtype=np.uint8)
_KINDS: list[tuple[str, str, dict[str, object]]] = [
    ("JPEG", "RGB", {}),
    ("JPEG", "CMYK", {}),
    ("JPEG", "L", {"progressive": True}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "P", {}),
    ("PNG", "I;16", {}),
    ("PNG", "1", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("GIF", "P", {}),
    ("TIFF", "RGB", {}),
    ("TIFF", "L", {"compression": "tiff_lzw"}),
    ("TIFF", "I;16", {"compression": "tiff_deflate"}),
    ("TIFF", "F", {"compression": "packbits"}),
    ("TIFF", "1", {"compression": "group4"}),
    ("BMP", "RGB", {}),
    ("PPM", "RGB", {}),
    ("JPEG2000", "RGB", {}),
    ("TGA", "RGB", {}),
    ("ICO", "RGB", {}),
    ("SGI", "RGB", {}),
    ("PCX", "RGB", {}),
    ("DDS", "RGB", {}),
]


def _files(folder: Path) -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    files = []
    kinds = [*_KINDS, *([("AVIF", "RGB", {})] if features.check("avif") else [])]
    for kind, mode, options in kinds:
        image = Image.fromarray(_RGB if mode != "I;16" else (_RGB[..., 0].astype(np.uint16) << 8))
        sink = io.BytesIO()
        (image if mode == "I;16" else image.convert(mode)).save(sink, kind, **options)
        files.append(sink.getvalue())
        if kind in ("JPEG", "PNG", "WEBP", "TIFF") and mode == "RGB":
            sink = io.BytesIO()
            image.save(sink, kind, exif=exif, icc_profile=bytes(200), **options)
            files.append(sink.getvalue())
    return files


def _decode(folder: Path, data: bytes) -> None:
    decode(data, 10**8, partial(frame_of, longest=16), 256)


def _decode_whole(folder: Path, data: bytes) -> None:
    EncodedPhoto(data, "key", (33, 20), (33, 20), 256).reduced(2.0)
    decode(data, max_mb=256)


def _maps(folder: Path) -> list[bytes]:
    files = []
    for values in ((_RGB[..., 0] % 3).astype(np.uint8), (_RGB[..., 0] % 3).astype(np.uint16)):
        for kind in ("PNG", "TIFF"):
            sink = io.BytesIO()
            Image.fromarray(values).save(sink, kind)
            files.append(sink.getvalue())
    sink = io.BytesIO()
    Image.fromarray((_RGB[..., 0].astype(np.int32) % 3) * 1000 + 24_001_001).save(sink, "TIFF")
    return [*files, sink.getvalue()]


def _read_map(folder: Path, data: bytes) -> None:
    if data[:1] == b"\x89":
        names = {"n00000001": ClassNames("dog", ("head", "leg"))}
        LabelMapReader("maps", {"n00000001": 2}, names).read("n00000001/a.JPEG", lambda path: data)
    else:
        _pixels(data)


def _tars(folder: Path) -> list[bytes]:
    files = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        inner = io.BytesIO()
        with tarfile.open(fileobj=inner, mode="w", format=form) as archive:
            for name in ("a.jpg", "é" * 60 + "/b.jpg"):
                entry = tarfile.TarInfo(name)
                entry.size = 700
                archive.addfile(entry, io.BytesIO(bytes(700)))
        outer = io.BytesIO()
        with tarfile.open(fileobj=outer, mode="w", format=form) as archive:
            entry = tarfile.TarInfo("n01.tar")
            entry.size = len(inner.getvalue())
            archive.addfile(entry, io.BytesIO(inner.getvalue()))
        files += [inner.getvalue(), outer.getvalue()]
    return files


def _mutated_tar(random: random.Random, files: list[bytes]) -> bytes:
    data = bytearray(mutated_bytes(random, random.choice(files), files))
    # Where a header begins, its sum is made right again, so that its numbers are looked at.
    for at in range(0, len(data) - 511, 512):
        if data[at + 257 : at + 262] == b"ustar":
            if random.random() < 0.5:
                field, width = random.choice([(124, 12), (100, 8), (345, 155), (156, 1), (0, 100)])
                data[at + field : at + field + width] = (
                    random.choice([b"\x80" + b"\0" * 11, b"\xff" * 12, b"77777777777", b"../../x", b"-1", b"S", b"x"])
                    + bytes(width)
                )[:width]
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


def _read_tar(folder: Path, data: bytes) -> None:
    path = folder / "a.tar"
    path.write_bytes(data)
    for number, _ in enumerate(list_members(path, "a.tar")):
        assert number < 1000


def _mutated(random: random.Random, files: list[bytes]) -> bytes:
    return mutated_bytes(random, random.choice(files), files)


DOORS = {
    "pictures": (_files, _mutated, _decode, 4),
    "whole pictures": (_files, _mutated, _decode_whole, 2),
    "label maps": (_maps, _mutated, _read_map, 1),
    "tar files": (_tars, _mutated_tar, _read_tar, 1),
}
