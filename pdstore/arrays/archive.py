"""The files of a block's arrays in one object: a Zip file, uncompressed, which Zarr opens as a ``ZipStore``.

An object store bills each object, and lets one wait for it; the arrays of a block are many small files. Where each
begins follows from the names and sizes of those before it, so a reader who knows these asks for no directory.

Source: the ZIP file format specification (APPNOTE.TXT), 4.3.7: a local header is 30 bytes and the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["ARCHIVE", "ARCHIVE_BYTES", "GROUP", "archived", "in_group", "joined", "starts"]

GROUP = "data.zarr"
"""The folder of an attempt that holds its arrays."""
ARCHIVE = f"{GROUP}.zip"
"""The file of an attempt that holds them in place of the folder. Its names begin inside the folder."""
ARCHIVE_BYTES = 64 << 20
"""Most bytes of the files of an archive: it is in memory beside them, and is sent in one request."""

_HEADER_BYTES = 30
_GAP_BYTES = 1 << 20
"""Bytes that are read to save a request: as many as arrive while it is waited for."""
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def in_group(names: Iterable[str]) -> list[str]:
    """Those of the names of an attempt's files that an archive holds, in its order."""
    return sorted(name for name in names if name.startswith(f"{GROUP}/"))


def archived(files: Mapping[str, bytes]) -> bytes:
    """The archive of those of an attempt's files that belong to one. Equal files give equal bytes."""
    import io
    import zipfile

    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name in in_group(files):
            archive.writestr(zipfile.ZipInfo(name[len(GROUP) + 1 :], _EARLIEST), files[name])
    return sink.getvalue()


def starts(sizes: Mapping[str, int]) -> dict[str, int]:
    """Name of a file of an attempt -> the byte of the archive at which it begins, for those that an archive holds."""
    found, end = {}, 0
    for name in in_group(sizes):
        found[name] = end + _HEADER_BYTES + len(name[len(GROUP) + 1 :].encode())
        end = found[name] + sizes[name]
    return found


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans (start, stop) of one object that cover these; those that lie close to each other are one."""
    found: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if found and start - found[-1][1] <= _GAP_BYTES:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return found
