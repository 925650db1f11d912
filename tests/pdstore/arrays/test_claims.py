from __future__ import annotations

import pytest
from numcodecs.zstd import Zstd

from pdstore.arrays.claims import check_claim, content_bytes


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 65_791, 65_792, 1 << 20])
@pytest.mark.parametrize("level", [1, 3])
def test_the_size_of_the_content_stands_in_the_header(count: int, level: int) -> None:
    """In each of its four lengths; nothing is decompressed."""
    frame = Zstd(level=level).encode(bytes(count)) if count else b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"
    assert content_bytes(frame[:20]) == count


def test_what_is_no_frame_or_does_not_say_is_refused() -> None:
    """Then nobody knows how much it becomes."""
    for frame in (b"", b"123456789", b"\x28\xb5\x2f\xfd\x00\x58\x01\x00\x00", b"\x28\xb5\x2f\xfd\xe0\x00"):
        with pytest.raises(ValueError, match="Zstandard frame"):
            content_bytes(frame)


def test_a_claim_is_believed_up_to_what_compresses() -> None:
    """A gigabyte of zeros may be a few bytes; of more than that, a thousandth has to be there."""
    check_claim("x", 1 << 30, 10)
    check_claim("x", 1 << 40, 1 << 31)
    with pytest.raises(ValueError, match="x claims to have 1000000000000 bytes, of which 10 are stored"):
        check_claim("x", 10**12, 10)
