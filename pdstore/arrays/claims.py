"""What stored bytes claim to become when they are decoded, asked before memory is taken for it."""

from __future__ import annotations

__all__ = ["check_claim", "content_bytes"]

_PLAUSIBLE_BYTES = 1 << 30
"""Up to here, an array may be of whatever compresses well."""
_PLAUSIBLE_RATIO = 1000
"""Most bytes of an array that is larger, per stored byte."""
_MAGIC = b"\x28\xb5\x2f\xfd"
_LENGTHS = (0, 2, 4, 8)
"""Bytes of the content's size in the header of a frame, by the two highest bits of its descriptor."""


def check_claim(name: str, claimed: int, stored: int) -> None:
    """Raises ValueError if ``stored`` bytes claim to be an array so large that nothing that was committed is."""
    if claimed > max(_PLAUSIBLE_BYTES, _PLAUSIBLE_RATIO * stored):
        raise ValueError(f"{name} claims to have {claimed} bytes, of which {stored} are stored")


def content_bytes(frame: bytes) -> int:
    """The size of what a Zstandard frame decompresses to, from its header.

    Raises:
        ValueError: it is no such frame, or does not say.

    Source: RFC 8878, section 3.1.1.1.
    """
    if frame[:4] != _MAGIC or len(frame) < 6:
        raise ValueError("the bytes are no Zstandard frame")
    descriptor = frame[4]
    is_single = descriptor >> 5 & 1
    length = _LENGTHS[descriptor >> 6] or is_single
    start = 5 + (1 - is_single) + _LENGTHS[descriptor & 3] // 2
    if not length or len(frame) < start + length:
        raise ValueError("a Zstandard frame does not say the size of its content")
    return int.from_bytes(frame[start : start + length], "little") + (256 if length == 2 else 0)
