"""From a judgement to a node that trainings read: the last block of docs/judgements.md."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cli.main import run_command
from pdstore import Store
from pdstore.judgements import add_judgement
from schemas.catalog import catalog_of
from stages.show.judging import cluster_subject, subjects_where

PAGE = Path(__file__).parents[5] / "docs" / "judgements.md"


def test_what_is_kept_becomes_a_node(ranked: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new node has the kept rows, with merged clusters as one; an image that was rejected has none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PD_STORE", ranked.url)
    for name in ("cats", "dogs"):
        add_judgement(ranked.files, "ann", "merge", [cluster_subject(ranked, "labels", name, 1)], into_cluster=0)
    add_judgement(ranked.files, "ann", "name", [cluster_subject(ranked, "labels", "cats", 0)], value="left ear")
    add_judgement(ranked.files, "ann", "reject", subjects_where(ranked, "ingest", "m.image_id = 3"))
    block = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[-1]
    for line in block.splitlines():
        assert run_command(shlex.split(line)[1:]) == 0, line
    sql = "SELECT image_id, category_id, cluster, area FROM {} WHERE node = '{}' ORDER BY ALL"
    catalog = catalog_of(ranked)
    kept = catalog.query(sql.format("labels_kept", "labels")).to_pylist()
    assert catalog.query(sql.format("labels", "labels-kept")).to_pylist() == kept
    assert kept and {row["cluster"] for row in kept} == {0} and 3 not in {row["image_id"] for row in kept}
