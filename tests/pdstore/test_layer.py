from __future__ import annotations

from pathlib import Path

import pytest

from pdstore import layout
from pdstore.errors import CorruptData
from pdstore.store import Store
from tests.pdstore.example import filled, new_layer


def test_the_record_of_another_layer_is_refused(tmp_path: Path) -> None:
    """However sound it is: it would give the rows other columns."""
    layer = filled(str(tmp_path))
    other = new_layer(layer.store, k=5)
    files, path = layer.store.files, layout.layer_info(layer.node, layer.fingerprint)
    files.write(path, files.read(layout.layer_info(other.node, other.fingerprint)))
    with pytest.raises(CorruptData, match="the record of another layer"):
        _ = Store(str(tmp_path)).layer(layer.node, layer.fingerprint).table


def test_chunks_of_another_unit_are_refused(tmp_path: Path) -> None:
    """Their own crc32c holds, but the manifest's sha256 does not."""
    layer = filled(str(tmp_path))
    folders = [layer.store.files.local(layer.manifest(unit).folder) for unit in (0, 1)]
    chunk = next(p for p in sorted(folders[0].rglob("c/*")) if p.is_file())
    chunk.write_bytes((folders[1] / chunk.relative_to(folders[0])).read_bytes())
    with pytest.raises(CorruptData, match="is damaged"):
        layer.read(0)
