"""Every code block of docs/judgements.md runs, in order, on a small store of hand-made rows.

The one about trainings needs pictures: tests/stages/show/web/work/test_round_trip.py runs it.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from cli.main import run_command
from pdstore.judgements import read_judgements
from schemas.catalog import catalog_of
from tests.judged_store import Judged

PAGE = Path(__file__).parents[2] / "docs" / "judgements.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands succeed, queries have rows that show what the commands said, and the program prints what it added."""
    judged = Judged(tmp_path / "store")
    monkeypatch.setenv("PD_STORE", judged.store.url)
    monkeypatch.setenv("PD_WHO", "ann")
    answers: list[list[dict[str, Any]]] = []
    kinds = []
    for kind, body in FENCE.findall(PAGE.read_text().split("## In trainings")[0]):
        kinds.append(kind)
        if kind == "sh":
            for line in body.splitlines():
                program, *words = shlex.split(line)
                assert program == "pd"
                assert run_command(words) == 0, line
        elif kind == "sql":
            answers.append(catalog_of(judged.store).query(body).to_pylist())
        else:
            capsys.readouterr()
            exec(compile(body, str(PAGE), "exec"), {"store": judged.store})
            assert capsys.readouterr().out.endswith("(7, 'reject'), (8, 'name'), (9, 'undo')]\n")
    assert kinds == ["sh", "sql", "sql", "sql", "sql", "sql", "python"]
    numbered, kept, tagged, named, chosen = answers
    assert [row["kind"] for row in numbered if row["number"] == 6] == ["undo"]
    assert {row["part_name"] for row in kept if row["cluster"] == 1 and row["node"] == "labels"} == {"head"}
    assert not any(row["cluster"] == 2 for row in kept if row["node"] == "labels")
    assert {row["tag"] for row in tagged} == {"good"}
    assert {(row["cluster"], row["merged_into"]) for row in named} == {(1, None), (2, 1)}
    assert {row["image_id"] for row in chosen} == {0, 1}
    assert len(read_judgements(judged.store.files)) == 10
