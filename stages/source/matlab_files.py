"""How large the contents of a MATLAB file become, asked before it is read: its parts are compressed."""

from __future__ import annotations

import struct
import zlib

__all__ = ["check_mat"]

MOST_BYTES = 256 << 20
_HEADER, _TAG, _COMPRESSED = 128, 8, 15
_PIECE = 1 << 20


def check_mat(data: bytes) -> None:
    """Raises ValueError if the compressed parts of a file of level 5 become more than 256 MiB.

    Cost: they are decompressed, a piece at a time. Files of other levels, and damaged ones, are left to who reads them.

    Source: MathWorks, MAT-File Format, level 5: elements with a tag of type and length; type 15 is compressed by zlib.
    """
    order, at, found = "<" if data[126:128] == b"IM" else ">", _HEADER, 0
    while at + _TAG <= len(data):
        kind, length = struct.unpack(f"{order}II", data[at : at + _TAG])
        if kind == _COMPRESSED:
            inflate, rest = zlib.decompressobj(), data[at + _TAG : at + _TAG + length]
            while rest and not inflate.eof:
                try:
                    piece = inflate.decompress(rest, _PIECE)
                except zlib.error:
                    return
                found, rest = found + len(piece), inflate.unconsumed_tail
                if found > MOST_BYTES:
                    raise ValueError(f"{len(data)} bytes that become more than {MOST_BYTES >> 20} MiB")
        at += _TAG + length
