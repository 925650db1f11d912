"""What a store and a layer say of themselves: the records ``store.json`` and ``layer.json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.fingerprint import Identity
from pdstore.table import Table

__all__ = ["FORMAT", "LayerInfo", "StoreInfo", "read_record"]

FORMAT = 1

T = TypeVar("T")


@dataclass(frozen=True)
class StoreInfo:
    """store.json. ``source`` says where the images come from; ``vocabulary`` is the digest of the class list."""

    block_size: int
    seed: int
    source: Mapping[str, Any]
    vocabulary: str = ""
    format: int = FORMAT

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StoreInfo:
        if values["format"] != FORMAT:
            fix = "Update the program"
            raise CorruptData(
                f"expected a store of format {FORMAT}, found format {values['format']}", "store.json", fix
            )
        return cls(**values)


@dataclass(frozen=True)
class LayerInfo:
    """layer.json: everything that says what the layer's content is."""

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


def read_record(files: Files, path: str, parse: Callable[[Any], T]) -> T:
    """The JSON file ``path``, parsed.

    Raises:
        FileNotFoundError: it is not there.
        CorruptData: it is not JSON, or not what ``parse`` expects.
    """
    data = files.read(path)
    try:
        return parse(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "Restore the file from a copy"
        raise CorruptData(f"expected what this program writes there, found {error!r}", files.full(path), fix) from None
