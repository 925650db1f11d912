"""The cost of a preset beside the demo's own."""

from __future__ import annotations

from pathlib import Path

from bench.cost import again, table
from stages.plan.project import Project
from stages.run.demo import open_demo


def test_a_table_has_the_mean_of_each_stage_and_the_ratio_of_the_sums() -> None:
    """A stage that one preset does not have costs it nothing; the spread is that of the repeats' ratios."""
    before = [{"crf": 10.0, "proposals": 10.0}, {"crf": 20.0, "proposals": 20.0}]
    after = [{"crf": 15.0}, {"crf": 60.0}]
    assert table(before, after).splitlines() == [
        "| stage | before | after | ratio |",
        "|---|---|---|---|",
        "| crf | 15.0 | 37.5 | 2.50 |",
        "| proposals | 15.0 | 0.0 | 0.00 |",
        "| **all** | 30.0 | 37.5 | 1.25 (0.75 to 1.50) |",
    ]


def test_every_node_but_scores_is_there_again(tmp_path: Path) -> None:
    """It reads what the first one reads; a training has this share of its steps, and anything else is the same."""
    project = Project.open(open_demo(str(tmp_path / "demo"), 3, 12, preset="demo_best"))
    nodes = again(project, "again-", 0.1).nodes
    assert {name for name in nodes if name.startswith("again-")} == {
        f"again-{name}" for name, node in project.nodes.items() if node.stage.name not in ("eval", "losses")
    }
    settings = nodes["again-distill-train"].settings.model_dump()
    assert (settings["steps"], settings["warmup_steps"], settings["checkpoint_every"]) == (100, 5, 10)
    assert settings["seed"] == 3
    assert nodes["again-grouping"].inputs == project["grouping"].inputs
    assert nodes["again-grouping"].fingerprint == project["grouping"].fingerprint
