from __future__ import annotations

from pathlib import Path

import pytest

from pdstore import Catalog, layout
from pdstore.errors import CorruptData
from pdstore.store import Layer
from tests.pdstore.example import TABLES, filled, new_layer, parts

SUM = "SELECT sum(image_id), sum(part) FROM parts"


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    return filled(str(tmp_path))


def ask(layer: Layer, sql: str = SUM, current: str = "") -> list[dict[str, object]]:
    catalog = Catalog(layer.store, TABLES, {"grouping": current or layer.fingerprint})
    return list(catalog.query(sql).to_pylist())


def damage(path: Path) -> None:
    """Change one byte among the values, where DuckDB notices it seldom."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def test_a_flipped_byte_in_the_rows_of_a_block_is_named(layer: Layer) -> None:
    """Also after a query that found the file sound; a query of another table does not mind."""
    ask(layer)
    damage(layer.store.files.local(f"{layer.manifest(1).folder}/rows.parquet"))
    with pytest.raises(CorruptData, match=r"grouping unit 1: rows.parquet is damaged.*pd verify"):
        ask(layer)
    assert ask(layer, "SELECT count(*) AS n FROM classes") == [{"n": 0}]


def test_the_rows_of_another_block_are_not_taken(layer: Layer) -> None:
    """A sound file in the wrong place is damage."""
    one, other = (layer.store.files.local(f"{layer.manifest(unit).folder}/rows.parquet") for unit in (0, 1))
    one.write_bytes(other.read_bytes())
    with pytest.raises(CorruptData, match="unit 0"):
        ask(layer)


def test_damaged_gathered_rows_are_replaced_by_those_of_the_blocks(layer: Layer) -> None:
    """Whatever byte is damaged, the answer is the same, and a catalog that was kept from before is not used."""
    expected = ask(layer)
    layer.compact(everything=True)
    assert ask(layer) == expected
    folder = layer.store.files.local(layout.index(layer.node, layer.fingerprint))
    damage(next(folder.glob("*.rows.parquet")))
    assert ask(layer) == expected


def test_what_is_sound_is_noted_and_the_note_may_be_lost(layer: Layer) -> None:
    """It is a cache: nonsense in it, or its loss, costs time alone."""
    path = layer.store.files.local(layout.CHECKED)
    expected = ask(layer)
    assert path.exists()
    for nonsense in (b"", b"\xff\n{}", path.read_bytes()[:-3]):
        path.write_bytes(nonsense)
        assert ask(layer) == expected


def test_a_former_layer_is_in_the_way_of_those_who_ask_for_it_alone(layer: Layer) -> None:
    """Its damaged record leaves the current one readable; ``parts_all`` and ``layers`` say what is wrong."""
    new = new_layer(layer.store, k=5)
    new.commit(0, parts(4))
    layer.store.files.write(layout.layer_info(layer.node, layer.fingerprint), b"{")
    assert ask(layer, "SELECT count(*) AS n FROM parts", new.fingerprint) == [{"n": 4}]
    for table in ("parts_all", "layers", "commits"):
        with pytest.raises(CorruptData, match="layer.json"):
            ask(layer, f"SELECT count(*) FROM {table}", new.fingerprint)
