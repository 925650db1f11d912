"""``pd judge``: what a person says is seen in ``pd sql`` at once, and can be taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pdstore import layout
from tests.cli.conftest import Pd, assert_error
from tests.judged_store import Judged


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judged:
    """A small store, which PD_STORE names, and a person, whom PD_WHO names."""
    made = Judged(tmp_path / "judged")
    monkeypatch.setenv("PD_STORE", made.store.url)
    monkeypatch.setenv("PD_WHO", "ann")
    return made


def rows(pd: Pd, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(pd("sql", sql, "--format", "json").out)
    return found


def test_reject_and_undo(pd: Pd, judged: Judged) -> None:
    """A rejected row is left out of the kept rows until its judgement is taken back."""
    kept = "SELECT count(*) AS n FROM labels_kept WHERE node = 'labels'"
    made = pd("judge", "reject", "labels", "--where", "m.cluster = 3", "--because", "background", "--json")
    assert json.loads(made.out) == {"number": 0, "kind": "reject", "who": "ann", "subjects": 6}
    assert rows(pd, kept) == [{"n": 18}]
    assert rows(pd, "SELECT DISTINCT reason, who FROM rejected") == [{"reason": "background", "who": "ann"}]
    result = pd("judge", "reject-cluster", "labels", "cat", 2)
    assert result.code == 0 and result.err == "reject: 1 cluster. To take it back: pd judge undo 1\n"
    assert rows(pd, kept) == [{"n": 12}]
    assert pd("judge", "undo").err == "Judgement 1 no longer holds.\n"
    assert pd("judge", "undo", 0).code == 0
    assert rows(pd, kept) == [{"n": 24}]


def test_name_merge_and_tag(pd: Pd, judged: Judged) -> None:
    """Names, merges and tags are columns of views; ``--who`` names another person."""
    assert pd("judge", "name", "ranking", "cat", 1, "head").code == 0
    assert pd("judge", "merge", "labels", "cat", 2, "--into", 1, "--who", "bob").code == 0
    assert pd("judge", "tag", "crf", "good", "--where", "m.image_id = 1 AND m.object_id = 0").code == 0
    named = "SELECT cluster, merged_into, name FROM cluster_names WHERE node = 'predict' ORDER BY cluster"
    assert [tuple(row.values()) for row in rows(pd, named)] == [(1, None, "head"), (2, 1, "head")]
    assert rows(pd, "SELECT tag, row_id FROM tags") == [{"tag": "good", "row_id": 0}]
    assert [row["who"] for row in rows(pd, "SELECT who FROM judgements ORDER BY number")] == ["ann", "bob", "ann"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("undo",), "ann has made no judgement"),
        (("undo", "5"), "no such judgement"),
        (("name", "ranking", "cow", "1", "head"), "there is no class 'cow'"),
        (("merge", "ranking", "cat", "1", "--into", "9"), "no cluster 9"),
        (("merge", "ranking", "cat", "1", "--into", "1"), "another one of its class"),
        (("reject", "labels"), "Missing option '--where'"),
    ],
)
def test_what_cannot_be_said_is_refused(pd: Pd, judged: Judged, words: tuple[str, ...], problem: str) -> None:
    """One error says what is wrong, and nothing is written."""
    assert_error(pd("judge", *words), 2, problem)
    assert judged.store.files.names(layout.JUDGEMENTS) == []


def test_verify_reports_a_damaged_judgement(pd: Pd, judged: Judged) -> None:
    """It is an error in SQL and in ``pd verify``; ``--repair`` sets it aside, and the rest can be read again."""
    for tag in ("good", "bad"):
        pd("judge", "tag", "ingest", tag, "--where", "m.image_id = 0")
    judged.store.files.write(layout.judgement(0), b"{}")
    assert_error(pd("sql", "SELECT 1"), 1, "judgements/000000.json", "pd verify --repair")
    result = pd("verify", "--json")
    assert result.code == 1 and json.loads(result.out)["damage"][0]["file"] == "judgements/000000.json"
    assert "1 damaged judgements were set aside" in pd("verify", "--repair").err
    assert rows(pd, "SELECT tag FROM tags") == [{"tag": "bad"}]
