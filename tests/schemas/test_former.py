"""Pipelines that ranked segments without a node ``candidates``."""

from __future__ import annotations

from typing import Any

import pytest

from pdstore.errors import UsageError
from schemas.former import with_candidates, with_moved_settings
from schemas.pipeline import PipelineSpec
from schemas.stages import CandidatesSettings, RankingSettings
from stages.plan.pipeline import Pipeline

INPUTS = {"images": "ingest", "objects": "detic", "segments": "crf"}
OLD: dict[str, Any] = {
    "nodes": {
        "ingest": {},
        "detic": {"inputs": {"images": "ingest"}},
        "grouping": {"inputs": {"images": "ingest", "objects": "detic"}, "settings": {"backend": "pixels"}},
        "crf": {"inputs": {"images": "ingest", "parts": "grouping"}},
        "ranking": {
            "inputs": {**INPUTS, "parts": "crf"},
            "settings": {"k": 5, "min_score": 0.2, "object_mask": "parts"},
        },
        "crf-ranking": {
            "stage": "ranking",
            "inputs": INPUTS,
            "settings": {"split": "", "wandb": True},
            "optional": True,
        },
        "plain": {"stage": "ranking", "inputs": INPUTS},
        "labels": {"inputs": {**INPUTS, "clusters": "ranking"}, "settings": {"min_score": 0.3}},
    }
}


def test_an_old_ranking_is_two_nodes() -> None:
    """Inputs and what acts before clustering go to the candidates; the rest, and every other node, stays."""
    nodes = PipelineSpec.parse(OLD, "pipeline").nodes
    assert list(nodes) == [
        *("ingest", "detic", "grouping", "crf", "candidates", "ranking", "crf-candidates", "crf-ranking"),
        *("plain-candidates", "plain", "labels"),
    ]
    assert nodes["candidates"].inputs == {r: (n,) for r, n in {**INPUTS, "parts": "crf"}.items()}
    assert nodes["candidates"].settings == {"min_score": 0.2, "object_mask": "parts"}
    assert (nodes["ranking"].inputs, nodes["ranking"].settings) == ({"candidates": ("candidates",)}, {"k": 5})
    assert (nodes["crf-candidates"].settings, nodes["crf-ranking"].settings) == ({"split": ""}, {"wandb": True})
    assert nodes["crf-candidates"].optional and nodes["crf-ranking"].optional and not nodes["candidates"].optional
    assert nodes["labels"].settings == {"min_score": 0.3}
    assert Pipeline(PipelineSpec.parse(OLD, "pipeline"))["plain"].inputs == {"candidates": ("plain-candidates",)}


def test_a_pipeline_of_today_is_left_alone() -> None:
    """What was read once reads the same again, and values that are no pipeline are left to the validation."""
    today = PipelineSpec.parse(OLD, "pipeline").model_dump(mode="json")
    assert with_candidates(today) is today and PipelineSpec.parse(today, "pipeline").model_dump(mode="json") == today
    for wrong in (None, 3, {"nodes": 3}, {"nodes": {"ranking": 3}}, {"nodes": {"ranking": {"inputs": "crf"}}}):
        assert with_candidates(wrong) is wrong


def test_a_name_that_is_taken_is_not_used_twice() -> None:
    """A node of the user's that is called like the new one keeps its name."""
    nodes = {**OLD["nodes"], "candidates": {"stage": "crf", "inputs": {"images": "ingest", "parts": "grouping"}}}
    read = PipelineSpec.parse({"nodes": nodes}, "pipeline").nodes
    assert read["candidates"].stage == "crf" and read["ranking"].inputs == {"candidates": ("candidates-candidates",)}


def test_recorded_overrides_move_with_their_settings() -> None:
    """Those of ranking that are settings of its candidates now; nothing else."""
    nodes = PipelineSpec.parse(OLD, "pipeline").nodes
    given = {"ranking": {"k": 3, "min_score": 0.4}, "labels": {"min_score": 0.1}, "crf": {"iterations": 2}}
    assert with_moved_settings(nodes, given) == {
        "ranking": {"k": 3},
        "candidates": {"min_score": 0.4},
        "labels": {"min_score": 0.1},
        "crf": {"iterations": 2},
    }
    assert given["ranking"] == {"k": 3, "min_score": 0.4}


def test_an_old_setting_says_where_it_is_now() -> None:
    """One error names the stage that has it; a setting that never was leads to the nearest."""
    spec = PipelineSpec.parse(OLD, "pipeline")
    with pytest.raises(UsageError) as caught:
        Pipeline(spec, {"crf-ranking": {"min_inside": 0.5, "kk": 3}})
    text = str(caught.value)
    place = "set it at the node of this stage that crf-ranking reads, such as candidates.min_inside"
    assert f"crf-ranking.min_inside: this is a setting of stage candidates now; {place}" in text
    assert "crf-ranking.kk: unknown setting" in text


def test_every_setting_that_moved_exists() -> None:
    """At its new place, and no longer at the old one."""
    for name, stage in RankingSettings.former.items():
        assert stage == "candidates" and name in CandidatesSettings.model_fields
        assert name not in RankingSettings.model_fields
