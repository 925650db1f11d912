"""The identity of a layer: everything that its content depends on, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Identity", "canonical", "difference", "digest"]


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(value: Any) -> str:
    """sha256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


@dataclass(frozen=True)
class Identity:
    """Everything that the content of a layer depends on.

    Attributes:
        stage, version: what computes the layer; the version rises when the same settings would give other results.
        settings: the settings that change results, as JSON values.
        weights: name of a weights or annotation file -> its sha256.
        upstream: input role -> fingerprint of the layer that is read.
    """

    stage: str
    version: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    upstream: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the digest: short enough for a path."""
        return digest(self.to_dict())[:16]

    def to_dict(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "version": self.version,
            "settings": dict(self.settings),
            "weights": dict(self.weights),
            "upstream": dict(self.upstream),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Identity:
        return cls(**{name: values[name] for name in ("stage", "version", "settings", "weights", "upstream")})


def difference(old: Identity, new: Identity) -> list[str]:
    """What changed between two identities, one line per change: ``k: 4 -> 5``, ``upstream parts: ab12 -> cd34``."""
    before, after = _flatten(old.to_dict()), _flatten(new.to_dict())
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            shown = name.removeprefix("settings.").replace("upstream.", "upstream ").replace("weights.", "weights ")
            lines.append(f"{shown}: {before.get(name, 'not set')} -> {after.get(name, 'not set')}")
    return lines


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    return {k: v for name, inner in value.items() for k, v in _flatten(inner, f"{prefix}.{name}".lstrip(".")).items()}
