from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from stages.source.matlab_files import check_mat


def test_a_small_file_of_large_contents_is_refused() -> None:
    """300 MiB of zeros in 300 KiB, in one element or in several; memory is that of a piece."""
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    whole = zlib.compressobj(9)
    packed = b"".join(whole.compress(bytes(1 << 20)) for _ in range(150)) + whole.flush()
    element = struct.pack("<II", 15, len(packed)) + packed
    check_mat(header + element)
    with pytest.raises(ValueError, match="that become more than 256 MiB"):
        check_mat(header + element + element)


def test_sound_and_damaged_files_are_left_to_their_reader() -> None:
    """What is cut off, of another level or not compressed says itself what is wrong with it."""
    sink = io.BytesIO()
    savemat(sink, {"a": np.arange(1000)}, do_compression=True)
    data = sink.getvalue()
    for file in (data, data[:-5], data[:130], b"", b"MATLAB 7.3", data[:200] + b"x" * 50 + data[250:]):
        check_mat(file)
