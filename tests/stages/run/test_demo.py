from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pdstore import Store, layout
from pdstore.errors import StaleSettings, UsageError
from schemas.catalog import catalog_of
from stages.plan.editing import edited, pipeline_text
from stages.plan.presets import parse_pipeline, read_preset
from stages.plan.project import Project
from stages.run.demo import ROWS, demo_scores, open_demo, preset_differences, run_demo


@pytest.fixture
def demo(tmp_path: Path) -> Store:
    """A demo of twelve images on which nothing has run."""
    return open_demo(str(tmp_path / "demo"), 3, 12, ["grouping.k=3"])


def test_a_demo_draws_five_of_six_images_for_training(demo: Store) -> None:
    """The seed goes to the drawings and to every training; overrides are recorded."""
    project = Project.open(demo)
    assert (project.source.num_train, project.source.num_val, project.source.seed) == (10, 2, 3)
    assert project.listing.images == 12 and (Path(demo.url) / "images").is_dir()
    trainings = [node for node in project.nodes.values() if node.stage.is_training]
    assert len(trainings) == 3 and {node.settings.seed for node in trainings} == {3}  # type: ignore[attr-defined]
    assert project["grouping"].settings.k == 3  # type: ignore[attr-defined]


def test_an_unfinished_demo_is_opened_again(demo: Store) -> None:
    """With the same words or with fewer, nothing of it changes; a listing that is missing is made again."""
    assert open_demo(demo.url, 3, drawing="shapes", preset="demo").url == demo.url
    recorded, listed = demo.files.read(layout.PIPELINE), list(Project.open(demo).listing.all())
    for images, overrides in ((12, ["grouping.k=3"]), (None, ["grouping.k=3"]), (None, [])):
        assert open_demo(demo.url, 3, images, overrides).files.read(layout.PIPELINE) == recorded
    for name in demo.files.names(layout.LISTINGS):
        demo.files.remove(f"{layout.LISTINGS}/{name}")
    assert list(Project.open(open_demo(demo.url, 3)).listing.all()) == listed


def test_a_demo_of_another_drawing_and_preset(tmp_path: Path) -> None:
    """The images and the pipeline are those that were asked for; every training has the seed, also of a later round."""
    path = tmp_path / "two.yaml"
    path.write_text("extends: demo\nrounds: 2\nnodes: {grouping: {settings: {k: 5}}}\n")
    store = open_demo(str(tmp_path / "demo"), 4, 12, drawing="textures", preset=str(path))
    project = Project.open(store)
    assert project.source.drawing == "textures" and {c.name for c in project.listing.classes()} >= {"house", "teapot"}
    assert project["grouping"].settings.k == 5  # type: ignore[attr-defined]
    trainings = {name: node for name, node in project.nodes.items() if node.stage.is_training}
    assert set(trainings) == {"segmenter", "proposal-train", "distill-train", "distill-train-2"}
    assert {node.settings.seed for node in trainings.values()} == {4}  # type: ignore[attr-defined]
    assert open_demo(store.url, 4, drawing="textures", preset=str(path)).url == open_demo(store.url, 4).url
    assert [score.name for score in demo_scores(store)][-3:] == ["proposals-2", "labels-2", "distill-2"]


def test_rows_of_nodes_that_a_preset_leaves_out_are_not_shown(tmp_path: Path) -> None:
    """demo_best has no proposals: its table has no row for them, and its labels are made from segments of the CRF."""
    store = open_demo(str(tmp_path / "demo"), 0, 12, preset="demo_best")
    assert [score.name for score in demo_scores(store)] == [name for name in ROWS if name != "proposals"]
    nodes = Project.open(store).pipeline.nodes
    assert {nodes[name].inputs["segments"] for name in ("candidates", "labels", "eval-labels")} == {("crf",)}


def test_a_second_round_follows_a_finished_demo(copy_store: Callable[..., Store], run_all: Callable[..., None]) -> None:
    """rounds: 2 in its pipeline adds nodes and changes none; they run, and are scored like those of the first round."""
    project = Project.open(copy_store())
    second = edited(project, parse_pipeline(f"{pipeline_text(project)}rounds: 2\n", "edited"))
    assert {name: node.fingerprint for name, node in second.nodes.items() if name in project.nodes} == (
        project.pipeline.current()
    )
    second.record()
    new = [name for name in second.nodes if name not in project.nodes]
    run_all(second.store, new)
    proposals = second.layer("proposals-2").scan(["image_id", "score"])
    assert {i for rows in proposals for i in rows["image_id"].tolist()} == set(range(36))
    by_name = {score.name: score for score in demo_scores(second.store)}
    assert by_name["distill-2"].miou is not None and by_name["proposals-2"].seconds > 0
    rows = catalog_of(second.store).query("SELECT evaluated FROM losses WHERE node = 'losses-2'").to_pylist()
    assert [row["evaluated"] for row in rows][-2:] == ["distill-2", "distill-2"]


def test_another_demo_in_the_same_folder_is_refused(demo: Store, grouped: Store) -> None:
    """Another seed, number of images or setting, or a store that is no demo: what it is, and what to do."""
    with pytest.raises(UsageError, match="the demo here has seed 3, not 4. Use its seed: --seed 3"):
        open_demo(demo.url, 4)
    with pytest.raises(UsageError, match="the demo here has 12 images, not 30. Leave --images out"):
        open_demo(demo.url, 3, 30)
    with pytest.raises(UsageError, match="the demo here draws shapes, not textures. Leave --drawing out"):
        open_demo(demo.url, 3, drawing="textures")
    with pytest.raises(StaleSettings, match=r"no_weights -> here.: detic.backend: saliency -> tiny; .*; and \d+ more"):
        open_demo(demo.url, 3, preset="no_weights")
    with pytest.raises(StaleSettings, match=r"other settings: grouping.k: 3 -> 9. To .* run grouping.k=9 --new-layer"):
        open_demo(demo.url, 3, overrides=["grouping.k=9"])
    with pytest.raises(UsageError, match="the store here is not a demo: .* Choose another folder: pd demo --store DIR"):
        open_demo(grouped.url, 0)


def test_a_demo_whose_pipeline_was_changed_goes_on_with_its_preset(demo: Store) -> None:
    """Its settings written out as a file are the preset's, with those of pd demo; a change by the user is kept."""
    edited(project := Project.open(demo), parse_pipeline(pipeline_text(project), "edited")).record()
    assert preset_differences(demo, read_preset("demo")) == ["grouping.k: 4 -> 3"]
    text = pipeline_text(Project.open(demo)).replace("gt_prob: 0.6", "gt_prob: 0.7")
    edited(Project.open(demo), parse_pipeline(text, "edited")).record()
    recorded = demo.files.read(layout.PIPELINE)
    assert open_demo(demo.url, 3, preset="demo").files.read(layout.PIPELINE) == recorded
    assert preset_differences(demo, read_preset("demo"))[:2] == ["grouping.k: 4 -> 3", "crf.gt_prob: 0.6 -> 0.7"]


def test_a_demo_is_compared_with_another_preset(demo: Store) -> None:
    """What counts is what a new demo would have: settings, inputs, missing nodes, and the seeds of the trainings."""
    best = read_preset("demo_best")
    differences = preset_differences(demo, best)
    assert "candidates reads segments: crf -> proposals" in differences
    assert "grouping.k: 8 -> 3" not in differences, "a setting of pd demo itself"
    with pytest.raises(StaleSettings, match=r"another pipeline than demo_best"):
        open_demo(demo.url, 3, preset="demo_best")
    fewer = {name: node for name, node in best.nodes.items() if name != "losses"}
    edited(Project.open(demo), best.model_copy(update={"nodes": fewer})).record()
    seeds = ["segmenter.seed: 3 -> 0", "distill-train.seed: 3 -> 0"]
    assert preset_differences(demo, best) == ["it has no losses", *seeds]
    edited(Project.open(demo), best).record()
    assert preset_differences(demo, best) == seeds
    Project.open(demo, ["segmenter.seed=3", "distill-train.seed=3"]).record()
    assert preset_differences(demo, best) == []
    assert open_demo(demo.url, 3, preset="demo_best").url == demo.url


def test_every_node_is_run_in_order(finished: Store) -> None:
    """The result has the scores of each stage in percent and the seconds that its nodes took."""
    passes: list[Sequence[str]] = []
    project = Project.open(finished)
    result = run_demo(project, passes.append)
    assert ("detic", "detic-human") in passes
    assert [name for names in passes for name in names] == list(project.nodes)
    assert (result.store, result.images) == (finished.url, 36) and result.scores == demo_scores(finished)
    assert [score.name for score in result.scores] == list(ROWS)
    by_name = {score.name: score for score in result.scores}
    assert by_name["proposals"].miou is None and by_name["distill"].miou is not None
    assert all(0 <= value <= 100 for s in result.scores for value in (s.ar, s.miou) if value is not None)
    assert by_name["proposals"].seconds > 0
    values = result.to_dict()
    assert list(values["nodes"]) == [name for name in ROWS if name != "one_part"]
    assert values["one_part"] == by_name["one_part"].to_dict()


def test_a_demo_that_has_not_run_has_no_scores(demo: Store) -> None:
    """Every row is there, empty."""
    assert {(score.ar, score.miou, score.seconds) for score in demo_scores(demo)} == {(None, None, 0.0)}
