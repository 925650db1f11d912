"""What is tried one setting at a time, and the table of it."""

from __future__ import annotations

from bench.settings import CHAIN, FURTHER, STEPS, TUNED, Choice, Scored, choices, nodes_of, table
from schemas.pipeline import PipelineSpec
from stages.plan.overrides import merge_overrides
from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset

BEFORE = {
    "grouping": {"k": 4, "metric": "l2"},
    "crf": {"gt_prob": 0.6},
    "candidates": {"min_score": 0.0},
    "ranking": {"k": 6, "metric": "l2"},
    "labels": {"metric": "l2"},
}
AFTER = BEFORE | {
    "grouping": {"k": 8, "metric": "l2", "k_min": 3, "blur": 0.7},
    "candidates": {"min_score": 0.0, "place": True},
    "ranking": {"k": 6, "metric": "l2", "place": 1.2},
}

ADDED = {
    f"{base} + `{setting}`{value}"
    for base in ("demo", "all")
    for setting, value in (
        ("grouping.map_weights", " [1, 2]"),
        ("grouping.divide", " 12"),
        ("grouping.boundary", " 0.5"),
        ("ranking.merge", " 0.3"),
    )
}


def test_each_setting_is_added_to_the_first_and_taken_from_the_last() -> None:
    """k and k_min count as one; places of candidates follow the ranking; what is not allowed alone is left out."""
    rows = {choice.text: choice.settings for choice in choices(BEFORE, AFTER, FURTHER)}
    assert list(rows) == [
        "demo",
        "demo + `grouping.k` 8, `grouping.k_min` 3",
        "demo + `grouping.blur` 0.7",
        "demo + `ranking.place` 1.2",
        "demo + `grouping.map_weights` [1, 2]",
        "demo + `grouping.divide` 12",
        "demo + `ranking.merge` 0.3",
        "demo + all of `grouping`",
        "demo + all of `ranking`",
        "all",
        "all − `grouping.k` 8, `grouping.k_min` 3",
        "all − `grouping.blur` 0.7",
        "all − `ranking.place` 1.2",
        "all + `grouping.map_weights` [1, 2]",
        "all + `grouping.divide` 12",
        "all + `grouping.boundary` 0.5",
        "all + `ranking.merge` 0.3",
    ]
    assert [choice.text for choice in choices(BEFORE, AFTER)] == [text for text in rows if text not in ADDED]
    assert rows["demo"] == BEFORE and rows["all"] == AFTER
    assert rows["demo + `grouping.blur` 0.7"] == BEFORE | {"grouping": {"k": 4, "metric": "l2", "blur": 0.7}}
    assert rows["demo + all of `ranking`"] == BEFORE | {name: AFTER[name] for name in ("candidates", "ranking")}
    without = rows["all − `grouping.k` 8, `grouping.k_min` 3"]
    assert without == AFTER | {"grouping": {"k": 4, "metric": "l2", "blur": 0.7}}
    assert rows["all − `ranking.place` 1.2"]["candidates"] == {"min_score": 0.0}


def test_the_nodes_of_the_last_have_the_settings_of_the_preset() -> None:
    """They are those of demo_best, up to their names; nodes that the pipeline has are not added again."""
    demo, best = read_preset("demo").nodes, read_preset("demo_best").nodes
    before = {stage: demo[node].settings for stage, node in CHAIN.items()}
    after = before | {stage: best[stage].settings for stage in TUNED}
    after["candidates"] = {**before["candidates"], "place": True}
    known = dict(demo)
    assert nodes_of(Choice("", before), known)[:-1] == list(CHAIN.values()) and len(known) == len(demo) + 1
    names = nodes_of(Choice("", after), known)
    assert nodes_of(Choice("", after), known) == names and len(known) == len(demo) + 1 + 6
    spec = read_preset("demo").model_copy(update={"nodes": known})
    tried = Pipeline(spec, merge_overrides([])).nodes
    wanted = Pipeline(PipelineSpec.parse(read_preset("demo_best").model_dump(), "")).nodes
    assert tried[names[-1]].inputs["labels"] == (names[-2],)
    for name, stage in zip(names, CHAIN, strict=False):
        assert tried[name].fingerprint == wanted[stage].fingerprint, stage


def test_a_row_has_its_change_since_the_bold_row_before_it() -> None:
    """The mean over seeds, the smallest and the largest; the first row of all is compared with none."""
    rows = [("as it is", False), ("demo", True), ("demo + a", False), ("all", True), ("all − a", False)]
    lost = dict.fromkeys(STEPS, 1.0)
    by_seed = {
        3: [Scored(4, m, lost) for m in (57, 50, 53, 60, 59)],
        5: [Scored(5, m, {**lost, "naming": 2.0}) for m in (57, 52, 53, 64, 64)],
    }
    assert table(rows, by_seed).splitlines() == [
        "| settings | segments | seed 3 | seed 5 | mean | change (range) | division | smoothing | choice | naming |",
        "|---|---|---|---|---|---|---|---|---|---|",
        "| as it is | 4.5 | 57.0 | 57.0 | 57.0 |  | 1.0 | 1.0 | 1.0 | 1.5 |",
        "| **demo** | 4.5 | 50.0 | 52.0 | 51.0 |  | 1.0 | 1.0 | 1.0 | 1.5 |",
        "| demo + a | 4.5 | 53.0 | 53.0 | 53.0 | +2.0 (+1.0 to +3.0) | 1.0 | 1.0 | 1.0 | 1.5 |",
        "| **all** | 4.5 | 60.0 | 64.0 | 62.0 |  | 1.0 | 1.0 | 1.0 | 1.5 |",
        "| all − a | 4.5 | 59.0 | 64.0 | 61.5 | -0.5 (-1.0 to +0.0) | 1.0 | 1.0 | 1.0 | 1.5 |",
    ]
