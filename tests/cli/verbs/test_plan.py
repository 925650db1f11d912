"""``pd plan``: which units would run, and why."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Pd, committed


def test_plan_and_status_agree_on_what_is_missing(pd: Pd, store: Path) -> None:
    """`pd plan` names the units that `pd status` does not count as done."""
    pd("run", "--until", "detic")
    plan, status = json.loads(pd("plan", "--json").out)["nodes"], json.loads(pd("status", "--json").out)["nodes"]
    assert plan["detic"]["run"] == [] and status["detic"]["state"] == "done" and status["detic"]["done"] == [0, 1, 2]
    assert plan["crf"]["run"] == [0, 1, 2] == plan["crf"]["waiting"] and status["crf"]["state"] == "not started"
    assert "after its inputs" in pd("plan").out
    assert "grouping" in pd("status").out


def test_plan_tries_overrides_without_recording_them(pd: Pd, store: Path) -> None:
    """`pd plan node.key=value` says which nodes would run again and what changed."""
    pd("run", "--until", "grouping")
    before = committed(store)
    why = json.loads(pd("plan", "detic.min_score=0.1", "--json").out)["nodes"]
    assert why["ingest"]["why"] == "" and why["detic"]["why"] == "settings changed: detic.min_score: 0.0 -> 0.1"
    assert why["grouping"]["why"].startswith(why["detic"]["why"])
    assert committed(store) == before
