from __future__ import annotations

import json

import pytest

from pdstore.records.sealed import is_sealed, seal, sealed_line, unseal

VALUES = {"name": "crf", "numbers": (1, 2.5), "nested": {"a": None}}


def test_what_is_sealed_is_read_again() -> None:
    """Lists come back for tuples, and the digest is not among the values."""
    assert unseal(seal(VALUES)) == {"name": "crf", "numbers": [1, 2.5], "nested": {"a": None}}
    assert unseal(sealed_line(VALUES)) == unseal(seal(VALUES)) and sealed_line(VALUES).count("\n") == 1


def test_every_flipped_bit_is_noticed_or_changes_nothing() -> None:
    """Whatever bit is flipped: an error, or the same values as before, beside a word that was ``digest``."""
    data = seal(VALUES)
    for place in range(len(data)):
        for bit in range(8):
            damaged = data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]
            try:
                found = unseal(damaged)
            except ValueError:
                continue
            assert {name: value for name, value in found.items() if name in VALUES} == unseal(data)


def test_a_record_of_an_earlier_release_is_taken_as_it_is() -> None:
    """It has no digest, which can be asked."""
    old = json.dumps({"a": 1}).encode()
    assert unseal(old) == {"a": 1}
    assert not is_sealed(old) and is_sealed(seal({"a": 1}))


@pytest.mark.parametrize("data", [b"", b"[]", b"7", b"{", b"\xff"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    """A list, a number, half a record and bytes that are no text are ValueErrors."""
    with pytest.raises(ValueError):
        unseal(data)
    with pytest.raises(ValueError):
        is_sealed(data)
