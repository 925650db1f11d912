from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import pdstore
from pdstore.errors import UsageError
from stages.notebook import Database


def test_open_gives_a_database(db: Database) -> None:
    """Of a folder with a store; anything else is the error of Store."""
    assert isinstance(db, Database) and Path(db.url).name == "my-store" and db.store.url == db.url
    with pytest.raises(UsageError, match="there is no store here"):
        pdstore.open(str(Path(db.url).parent))


def test_opening_loads_no_network_library(db: Database) -> None:
    """``import pdstore`` loads neither DuckDB nor numba nor torch; rows by SQL need DuckDB alone."""
    program = (
        "import sys, pdstore; heavy = ('duckdb', 'numba', 'torch', 'stages'); "
        "print(*[m for m in heavy if m in sys.modules], sep=','); db = pdstore.open(sys.argv[1]); "
        "db.sql('SELECT 1'); print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, db.url], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", "False False"] and done.stderr == ""


def test_rows_of_sql(db: Database) -> None:
    """What a query gives, with tables of one's own beside those of the store."""
    assert db.sql("SELECT count(*) AS n FROM images")[0] == {"n": 12}
    mine = pa.table({"image_id": [3, 5], "note": ["a", "b"]})
    for given in (mine, mine.to_pylist(), db.sql("SELECT * FROM mine", mine=mine)):
        rows = db.sql("SELECT note, key FROM images JOIN mine USING (image_id) ORDER BY note", mine=given)
        assert rows["note"].tolist() == ["a", "b"]
    with pytest.raises(UsageError, match="the store has a table parts of its own"):
        db.sql("SELECT 1", parts=mine)


@pytest.mark.parametrize(
    "query",
    ["DROP VIEW parts", "SELECT * FROM '/etc/passwd'", "COPY (SELECT 1) TO '/tmp/pd-copy.csv'", "SELECT 1; SELECT 2"],
)
def test_a_query_does_nothing_but_read_the_store(db: Database, query: str) -> None:
    """The fences of ``pd sql`` stand here, too."""
    with pytest.raises(UsageError):
        db.sql(query)


def test_rows_of_a_table(db: Database) -> None:
    """Condition, columns, order and limit are those of SQL; masks and vectors only if they are named."""
    rows = db.table("parts", "node = 'crf' -- the last\n AND score > 0", order_by="area DESC", limit=5)
    assert len(rows) == 5 and set(rows["node"]) == {"crf"} and "rle" not in rows.columns
    assert rows["area"].tolist() == sorted(rows["area"], reverse=True)
    named = db.table("parts", columns=["rle", "feature", "score"], limit=2)
    assert named.columns == ["rle", "feature", "score"] and np.stack(named["feature"]).dtype == np.float32
    assert len(db.table("parts")) == db.sql("SELECT count(*) AS n FROM parts")[0]["n"] > 20
    assert len(db.table("commits", "node = 'crf'")) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("part",), r"there is no table 'part'\. Did you mean 'parts'\?"),
        (("parts", "scor > 1"), "scor"),
        (("parts", "", ["nothing"]), "nothing"),
        (("parts", "", ['a" FROM images --']), "not valid"),
        (("parts) --",), "there is no table"),
    ],
)
def test_a_table_that_is_wrong_is_refused(db: Database, arguments: tuple[str, ...], message: str) -> None:
    """The error names the nearest table, or what DuckDB does not know."""
    with pytest.raises(UsageError, match=message):
        db.table(*arguments)


def test_what_is_committed_later_is_seen(db: Database, tmp_path: Path) -> None:
    """Each call asks anew."""
    shutil.copytree(db.url, tmp_path / "copy")
    other = pdstore.open(str(tmp_path / "copy"))
    before = len(other.table("parts", "node = 'crf'"))
    layer = other.store.layers("crf")[0]
    layer.withdraw(0)
    assert 0 < len(other.table("parts", "node = 'crf'")) < before
    assert list(other.image(0).layers) == ["detic", "grouping"]


def test_an_image_is_found_by_its_key(db: Database) -> None:
    """Whole, or by its end; an id in place of it, too, and as a text."""
    (row,) = db.table("images", "key LIKE '%/07.png'")
    for given in (row["image_id"], row["key"], "07.png", str(row["image_id"]), np.int64(row["image_id"])):
        assert db.image(given).key == row["key"]
    with pytest.raises(UsageError, match="no image has this id, and no key ends like this"):
        db.image("7.png")


def test_it_prints_its_nodes(db: Database) -> None:
    """With their tables, rows and blocks, in the order in which they were computed; in a notebook as a table."""
    lines = repr(db).splitlines()
    assert lines[0] == f"<Database {db.url}: 12 images in blocks of 3>"
    assert [line.split()[0] for line in lines[2:-1]] == ["ingest", "detic", "grouping", "crf"]
    assert lines[2].split() == ["ingest", "images", "12", "4"]
    assert "12 images in blocks of 3" in db._repr_html_() and "<td>grouping</td>" in db._repr_html_()


def test_an_empty_store_prints_itself(db: Database, tmp_path: Path) -> None:
    """Before anything has been computed."""
    shutil.copytree(db.url, tmp_path / "copy", ignore=shutil.ignore_patterns("layers", "catalog.duckdb"))
    assert repr(pdstore.open(str(tmp_path / "copy"))).splitlines()[0].endswith("0 images in blocks of 3>")
