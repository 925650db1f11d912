"""The records with which a store and a layer describe themselves: ``store.json`` and ``layer.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.fingerprint import Identity
from pdstore.records.sealed import unseal
from pdstore.table import Table

__all__ = ["FORMAT", "LayerInfo", "StoreInfo", "read_record"]

FORMAT = 2
"""Of new stores. In a store of format 1, nothing but commits and judgements had digests, and of the pipeline there was
one record, ``pipeline.json``; it becomes one of format 2 with the next change of its pipeline."""
READABLE = (1, 2)

T = TypeVar("T")


@dataclass(frozen=True)
class StoreInfo:
    """``store.json``. ``source`` says where the images come from; ``vocabulary`` is the digest of the class list."""

    block_size: int
    seed: int
    source: Mapping[str, Any]
    vocabulary: str = ""
    format: int = FORMAT

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StoreInfo:
        if values["format"] not in READABLE:
            problem = f"expected a store of format {FORMAT}, found format {values['format']}"
            raise CorruptData(problem, "store.json", "Update the program")
        return cls(**values)


@dataclass(frozen=True)
class LayerInfo:
    """The record ``layer.json``: what computed the layer, and the table that it holds."""

    node: str
    identity: Identity
    table: Table
    program: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "identity": self.identity.to_dict(),
            "table": self.table.to_dict(),
            "program": self.program,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LayerInfo:
        identity, table = Identity.from_dict(values["identity"]), Table.from_dict(values["table"])
        return cls(values["node"], identity, table, values["program"])


def read_record(files: Files, path: str, parse: Callable[[Any], T], data: bytes | None = None) -> T:
    """The sealed record ``path``, parsed.

    Args:
        data: its content, if that was read already.

    Raises:
        FileNotFoundError: the file does not exist.
        CorruptData: the file is not valid JSON, was changed since it was written, or is not what ``parse`` expects.
    """
    data = files.read(path) if data is None else data
    try:
        return parse(unseal(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = f"the file is not a record that this program wrote ({error!r})"
        raise CorruptData(problem, files.full(path), "Restore the file from a copy") from None
