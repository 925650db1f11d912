"""Sealed records: JSON objects with a digest of themselves, under the key ``digest``.

The digest is the sha256 of the canonical JSON of everything else. A record of an earlier release has none and is taken
as it is. A single damaged byte cannot lead there: it would have to be in the word ``digest``, and then everything else
is as it was written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pdstore.fingerprint import digest

__all__ = ["DIGEST", "is_sealed", "seal", "sealed_line", "unseal"]

DIGEST = "digest"


def seal(values: Mapping[str, Any]) -> bytes:
    """The record as indented JSON, with its digest.

    Raises:
        ValueError: it holds a number that JSON has no word for.
    """
    return json.dumps(_sealed(values), sort_keys=True, indent=1).encode()


def sealed_line(values: Mapping[str, Any]) -> str:
    """The record as one line of JSON, with its digest and the end of the line."""
    return json.dumps(_sealed(values)) + "\n"


def unseal(data: bytes | str) -> dict[str, Any]:
    """The values of a record, without its digest.

    Raises:
        ValueError: it is not a JSON object, or was changed since it was written.
    """
    values = json.loads(data)
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    recorded = values.pop(DIGEST, None)
    if recorded is not None and recorded != digest(values):
        raise ValueError("its digest differs from its content")
    return values


def is_sealed(data: bytes | str) -> bool:
    """Whether the JSON object has a digest. Raises ValueError if it is not a JSON object."""
    values = json.loads(data)
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    return DIGEST in values


def _sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    # What is read again has text for keys and lists for tuples: the digest is of that.
    plain: dict[str, Any] = json.loads(json.dumps(dict(values), allow_nan=False))
    return plain | {DIGEST: digest(plain)}
