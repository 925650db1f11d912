from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdstore import Catalog, Column, Identity, Layer, Rows, Store, Table, View, blockfile, layout
from pdstore.errors import CorruptData, InputMissing, UsageError
from tests.pdstore.conftest import Place
from tests.pdstore.example import PARTS, TABLES, filled, new_layer, new_store, parts

COUNT = "SELECT count(*) AS n, sum(image_id)::BIGINT AS total FROM parts"


def catalog(store: Store, *current: Layer) -> Catalog:
    return Catalog(store, TABLES, {layer.node: layer.fingerprint for layer in current})


def query(layer: Layer, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = catalog(layer.store, layer).query(sql).to_pylist()
    return rows


class TestContract:
    """SQL over a store, wherever the store is."""

    @pytest.fixture
    def layer(self, place: Place) -> Layer:
        return filled(place.url, **place.options)

    def test_a_view_shows_the_committed_rows(self, layer: Layer) -> None:
        """A view has the scalars of every committed unit, with their node and layer."""
        assert query(layer, COUNT) == [{"n": 9, "total": 6 + 510}]
        (row,) = query(layer, "SELECT * FROM parts WHERE image_id = 102")
        expected = parts(5, seed=1).to_arrow().to_pylist()[2]
        assert row == {"node": "grouping", "layer": layer.fingerprint, **expected}

    def test_a_new_commit_is_seen_at_once(self, layer: Layer) -> None:
        """So are a withdrawal and the commit that replaces the withdrawn unit."""
        assert query(layer, COUNT)[0]["n"] == 9
        layer.commit(2, parts(2, seed=2))
        assert query(layer, COUNT)[0]["n"] == 11
        layer.withdraw(1)
        assert query(layer, COUNT)[0]["n"] == 6
        layer.commit(1, parts(1, seed=3))
        assert query(layer, COUNT) == [{"n": 7, "total": 6 + 401 + 300}]

    def test_gathered_rows_are_the_same(self, layer: Layer) -> None:
        """SQL answers from the index as from the blocks, also after a unit of it was withdrawn and computed again."""
        every = "SELECT * FROM parts ORDER BY image_id"
        others = ["SELECT * FROM errors ORDER BY ALL", "SELECT * FROM commits ORDER BY unit", "SELECT * FROM layers"]
        before = [query(layer, sql) for sql in (every, *others)]
        assert layer.compact(everything=True).units == 2
        assert [query(layer, sql) for sql in (every, *others)] == before
        layer.withdraw(1)
        assert query(layer, COUNT) == [{"n": 4, "total": 6}]
        assert query(layer, "SELECT count(*) AS n FROM errors") == [{"n": 0}]
        layer.commit(1, parts(1, seed=3))
        assert query(layer, COUNT) == [{"n": 5, "total": 306}]
        layer.compact(everything=True)
        assert query(layer, COUNT) == [{"n": 5, "total": 306}]

    @pytest.mark.parametrize("table", ["commits", "parts", "errors_all"])
    def test_a_table_whose_name_is_computed_has_its_rows(self, layer: Layer, table: str) -> None:
        """What a query reads is not always among its words; rows are never missing for that."""
        named = query(layer, f"SELECT count(*) AS n FROM {table}")
        assert named[0]["n"] > 0
        first, rest = table[:2], table[2:]
        assert query(layer, f"SELECT count(*) AS n FROM query_table('{first}' || '{rest}')") == named
        assert query(layer, f"SELECT * FROM query('SELECT count(*) AS n FROM {first}' || '{rest}')") == named

    def test_a_layer_that_was_deleted_and_computed_again_is_read_anew(self, layer: Layer) -> None:
        """The units and the fingerprint are the same as before; the files are not."""
        assert query(layer, COUNT)[0]["n"] == 9
        layer.store.files.remove_tree(layout.layer("grouping", layer.fingerprint))
        again = new_layer(layer.store, k=4)
        for unit in (0, 1):
            again.commit(unit, parts(2, seed=unit))
        assert query(again, COUNT)[0]["n"] == 4

    def test_units_without_the_record_of_their_layer_are_an_error(self, layer: Layer) -> None:
        """Otherwise their rows would silently be missing."""
        layer.store.files.remove(layout.layer_info("grouping", layer.fingerprint))
        # In an object store there is a copy, which serves as well.
        layer.store.files.remove(layout.recent_layer("grouping", layer.fingerprint))
        with pytest.raises(InputMissing, match="grouping.*pd stage run grouping"):
            query(layer, COUNT)

    def test_attempts_that_are_not_committed_are_not_seen(self, layer: Layer) -> None:
        """The rows of a Parquet file that no manifest names are not in the view."""
        stray = layout.attempt("grouping", layer.fingerprint, 7, "dead")
        layer.store.files.write(f"{stray}/rows.parquet", blockfile.parquet_bytes(parts(3).to_arrow()))
        assert query(layer, COUNT)[0]["n"] == 9

    def test_a_view_shows_the_current_layer_and_its_twin_all_layers(self, layer: Layer) -> None:
        """``parts`` has the rows of the pipeline's current layer, ``parts_all`` those of every layer."""
        other = new_layer(layer.store, k=5)
        other.commit(0, parts(3, seed=7))
        assert query(layer, "SELECT count(*) AS n FROM parts") == [{"n": 9}]
        assert query(other, "SELECT count(*) AS n FROM parts") == [{"n": 3}]
        by_layer = query(layer, "SELECT layer, count(*) AS n FROM parts_all GROUP BY 1 ORDER BY n")
        assert by_layer == [{"layer": other.fingerprint, "n": 3}, {"layer": layer.fingerprint, "n": 9}]

    def test_errors_of_every_node_are_one_view(self, layer: Layer) -> None:
        """Each row names the node that left the image out."""
        assert query(layer, "SELECT node, reason, count(*) AS n FROM errors GROUP BY ALL") == [
            {"node": "grouping", "reason": "truncated", "n": 2}
        ]

    def test_views_of_an_empty_store_have_no_rows(self, place: Place) -> None:
        """Every declared table can be queried, with its columns, before anything has been computed."""
        store = new_store(place.url, **place.options)
        for name in ("parts", "parts_all", "errors", "errors_all", "classes", "commits", "layers"):
            assert catalog(store).query(f"SELECT * FROM {name}").num_rows == 0
        expected = pa.schema([("node", pa.string()), ("layer", pa.string()), *PARTS.arrow_schema])
        assert catalog(store).query("SELECT * FROM parts").schema == expected

    def test_further_views_are_made_of_the_tables(self, layer: Layer) -> None:
        """They can be queried like tables, hints name them, and a change of their SQL takes effect at once."""
        for number in (1, 2):
            sql = f"SELECT count(*) + {number} AS n FROM parts JOIN layers USING (layer)"
            view = View("good", "Good parts.", (), sql)
            further = Catalog(layer.store, TABLES, {layer.node: layer.fingerprint}, [view])
            assert further.query("SELECT n FROM good").to_pylist() == [{"n": 9 + number}]
        with pytest.raises(UsageError, match="Did you mean 'good'"):
            further.query("FROM goood")
        assert query(layer, COUNT)[0]["n"] == 9

    def test_classes_are_one_file(self, place: Place) -> None:
        """The table ``classes`` belongs to the store, not to a node."""
        store = new_store(place.url, **place.options)
        store.files.write(layout.CLASSES, blockfile.parquet_bytes(pa.table({"category_id": [4, 2]})))
        assert catalog(store).query("SELECT max(category_id) AS m FROM classes").to_pylist() == [{"m": 4}]


class TestStatements:
    """Which SQL is accepted."""

    @pytest.fixture
    def layer(self, tmp_path: Path) -> Layer:
        return filled(str(tmp_path))

    @pytest.mark.parametrize("sql", ["SHOW TABLES", "DESCRIBE parts", "EXPLAIN SELECT 1", "FROM parts", "SELECT 1;"])
    def test_statements_that_read_are_answered(self, layer: Layer, sql: str) -> None:
        """That includes statements about the tables themselves."""
        assert catalog(layer.store, layer).query(sql).num_rows > 0

    def test_every_column_of_an_answer_has_a_name_of_its_own(self, layer: Layer) -> None:
        """A repeated name is numbered, and the numbered name is never that of another column."""
        assert query(layer, "SELECT 1 a, 2 a, 3 a_1, 4 a") == [{"a": 1, "a_2": 2, "a_1": 3, "a_3": 4}]
        (row,) = query(layer, "SELECT a.*, b.* FROM parts a JOIN parts b USING (image_id) WHERE image_id = 102")
        assert row["score"] == row["score_1"]

    @pytest.mark.parametrize(
        ("sql", "message"),
        [
            ("DROP VIEW parts", "reads.*DROP"),
            ("INSERT INTO commits SELECT * FROM commits", "reads.*INSERT"),
            ("COPY parts TO 'x.csv'", "reads.*COPY"),
            ("SELECT 1; SELECT 2", "one statement, found 2"),
            ("", "one statement, found 0"),
            ("SELEC 1", "query is not valid: .*syntax"),
            ("SELECT * FROM partz", "Did you mean 'parts'"),
            ("SELECT scor FROM parts", "query is not valid: .*scor"),
            ("SELECT 'x'::INTEGER", "query is not valid: .*Conver"),
            ("SELECT * FROM 'nothing.parquet'", "no file but the store's own: .*nothing.parquet"),
        ],
    )
    def test_other_statements_are_usage_errors(self, layer: Layer, sql: str, message: str) -> None:
        """Writing, several statements and invalid SQL are refused with the reason, and change nothing."""
        with pytest.raises(UsageError, match=f"(?s){message}"):
            catalog(layer.store, layer).query(sql)
        assert query(layer, COUNT)[0]["n"] == 9

    def test_a_damaged_file_is_corrupt_data(self, layer: Layer) -> None:
        """Whether a query or the making of the views meets it, the error names the file and the repair."""
        path = layout.attempt("grouping", layer.fingerprint, 0, layer.manifest(0).attempt) + "/rows.parquet"
        assert query(layer, COUNT)[0]["n"] == 9
        layer.store.files.write(path, b"not Parquet at all")
        with pytest.raises(CorruptData, match=r"(?s)rows\.parquet.*pd verify"):
            query(layer, COUNT)
        os.unlink(layer.store.files.local(layout.CATALOG))
        with pytest.raises(CorruptData, match=r"(?s)rows\.parquet.*pd verify"):
            query(layer, COUNT)


def test_damaged_gathered_rows_do_not_change_an_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They are left out with a note, and the blocks are read."""
    layer = filled(str(tmp_path))
    layer.compact(everything=True)
    assert query(layer, COUNT)[0]["n"] == 9
    for path in (tmp_path / layout.index(layer.node, layer.fingerprint)).glob("*.parquet"):
        path.write_bytes(b"half")
    (tmp_path / layout.CATALOG).unlink()
    assert query(layer, COUNT)[0]["n"] == 9
    assert "rows.parquet is left out" in caplog.text


class TestCache:
    """The file ``catalog.duckdb``."""

    @pytest.fixture
    def layer(self, tmp_path: Path) -> Layer:
        return filled(str(tmp_path))

    def test_it_is_made_again_only_when_commits_changed(self, layer: Layer, tmp_path: Path) -> None:
        """A second query does not write it, deleting it loses nothing, and no other file is left behind."""
        path, before = tmp_path / "catalog.duckdb", set(os.listdir(tmp_path))
        assert query(layer, COUNT)[0]["n"] == 9
        made = path.stat().st_ino
        assert query(layer, COUNT)[0]["n"] == 9
        assert path.stat().st_ino == made
        path.unlink()
        assert query(layer, COUNT)[0]["n"] == 9
        assert set(os.listdir(tmp_path)) == before | {"catalog.duckdb", "catalog.checked"}

    def test_a_damaged_one_is_made_again(self, layer: Layer, tmp_path: Path) -> None:
        """It is a cache: whatever its content, the answer is right."""
        (tmp_path / "catalog.duckdb").write_bytes(b"not a database")
        assert query(layer, COUNT)[0]["n"] == 9

    def test_open_connections_keep_their_view_and_new_ones_see_more(self, layer: Layer) -> None:
        """A connection that is held open does not hide later commits from others in its process."""
        with contextlib.closing(catalog(layer.store, layer).connect()) as old:
            layer.commit(2, parts(2, seed=2))
            assert query(layer, COUNT)[0]["n"] == 11
            assert old.execute(COUNT).fetchone() == (9, 516)

    def test_nothing_can_be_written_through_a_connection(self, layer: Layer) -> None:
        """The file is attached read-only."""
        connection = catalog(layer.store, layer).connect()
        with contextlib.closing(connection), pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("CREATE TABLE store.x AS SELECT 1")

    @pytest.mark.parametrize("refused", ["making it", "replacing it"])
    def test_a_reader_who_may_not_write_it_is_answered_all_the_same(
        self, layer: Layer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
    ) -> None:
        """The answer includes commits since it was made; the old file stays, and no other file is left behind."""
        assert query(layer, COUNT)[0]["n"] == 9
        layer.commit(2, parts(2, seed=2))
        before, made = set(os.listdir(tmp_path)), (tmp_path / "catalog.duckdb").read_bytes()

        def refuse(source: str, target: str) -> None:
            raise PermissionError("Permission denied")

        if refused == "making it":
            monkeypatch.setattr(layout, "TEMPORARY", "no folder/")
        else:
            monkeypatch.setattr(os, "replace", refuse)
        assert query(layer, COUNT)[0]["n"] == 11
        assert set(os.listdir(tmp_path)) == before
        assert (tmp_path / "catalog.duckdb").read_bytes() == made

    def test_a_full_disk_does_not_change_the_answer(self, layer: Layer, tmp_path: Path) -> None:
        """Half a catalog never replaces a whole one, even if only its last bytes cannot be written."""
        before, room = set(os.listdir(tmp_path)), resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, room[1]))
        try:
            assert query(layer, COUNT)[0]["n"] == 9
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, room)
        assert set(os.listdir(tmp_path)) - {"catalog.checked"} == before

    def test_a_moved_store_is_queried_at_its_new_place(self, layer: Layer, tmp_path: Path) -> None:
        """The catalog holds absolute paths, so it is rebuilt after a move."""
        assert query(layer, COUNT)[0]["n"] == 9
        moved = tmp_path.with_name("moved it's")
        tmp_path.rename(moved)
        assert catalog(Store(str(moved)), layer).query(COUNT).to_pylist()[0]["n"] == 9


def test_a_layer_of_an_earlier_program_may_lack_columns(tmp_path: Path) -> None:
    """Its rows have NULL in them, and the rows of other layers are complete."""
    store = new_store(str(tmp_path))
    less = Table("parts", "", (Column("image_id", "int64", ""), Column("part", "int32", "")))
    old = store.declare("grouping", Identity("grouping", 0), less, "pdstore 0.0.1")
    old.commit(0, Rows(less, {"image_id": [1, 2], "part": [0, 0]}))
    new = new_layer(store)
    new.commit(0, parts(4))
    counts = catalog(store, new).query("SELECT count(*) AS n, count(score) AS s FROM parts_all").to_pylist()
    assert counts == [{"n": 6, "s": 4}]
    only = catalog(store, old).query("SELECT score, name FROM parts").to_pylist()
    assert only == [{"score": None, "name": None}] * 2


def test_the_rows_are_plain_parquet(tmp_path: Path) -> None:
    """Any Parquet reader sees the rows that SQL sees."""
    layer = filled(str(tmp_path), units=[1])
    frame = pq.read_table(tmp_path / layer.manifest(1).folder / "rows.parquet")
    assert frame.equals(parts(5, seed=1).to_arrow())
