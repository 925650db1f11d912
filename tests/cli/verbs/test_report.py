"""``pd report``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Pd
from tests.stages.show.report.reading import read


def test_a_page_is_written(pd: Pd, store: Path, tmp_path: Path) -> None:
    """The path goes to stdout, the page is complete, and it replaces an older file."""
    assert pd("run").code == 0
    out = tmp_path / "parts & more.html"
    out.write_text("old")
    result = pd("report", "--out", out, "--images", 2, "--classes", 1)
    assert (result.code, result.out) == (0, f"{out}\n")
    page = read(out.read_text(encoding="utf-8"))
    assert "no ground truth" in page.text and f"pd --store {store} sql" in page.text
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    (row,) = [row for row in page.cells if row[:2] == ["crf", "grouping"]]
    head = next(row for row in page.cells if row[:2] == ["node", "reads"])
    coverage = pd(
        "sql", "SELECT images_out, rows_out FROM coverage WHERE node = 'crf' AND role = 'parts'", "--format", "csv"
    )
    assert [row[head.index(name)] for name in ("images out", "rows out")] == coverage.out.splitlines()[1].split(",")


def test_a_store_where_nothing_ran(pd: Pd, store: Path) -> None:
    """The page is written to report.html in the current folder, and says what to run."""
    assert pd("report").out == "report.html\n"
    assert "Nothing has been computed yet" in read(Path("report.html").read_text(encoding="utf-8")).text


def test_a_place_where_no_page_can_be_is_an_error(pd: Pd, store: Path, tmp_path: Path) -> None:
    """A missing folder, a folder in place of the file and a wrong number are each one line, before anything is read."""
    for words, message in (
        (
            ("--out", tmp_path / "none" / "x.html"),
            f"the folder {tmp_path / 'none'} does not exist. Create it first: mkdir -p {tmp_path / 'none'}.",
        ),
        (("--out", tmp_path), "expected a file, found a folder. Name a file in it"),
        (("--images", "-1"), "not in the range"),
        (("--dataset", "nope"), "the pipeline has no data set 'nope'"),
    ):
        result = pd("report", *words)
        assert result.code == 2 and message in result.err and result.err.count("\n") == 1, result.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error(pd: Pd, store: Path, tmp_path: Path) -> None:
    """The error says why the file cannot be written."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    result = pd("report", "--out", folder / "x.html")
    assert result.code == 1 and "the file cannot be written (" in result.err


def test_monitors_are_views_of_sql(pd: Pd, store: Path) -> None:
    """Monitors are listed with the tables, and a misspelt name gets a suggestion."""
    assert "cluster_collapse" in pd("sql", "SHOW TABLES").out
    assert "Did you mean 'coverage'" in pd("sql", "FROM coverag").err
