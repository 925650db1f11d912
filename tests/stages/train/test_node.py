from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from pdstore import Rows, Store
from pdstore.errors import Preempted, UsageError
from pdstore.files import Files
from schemas.tables import LABELS, METRICS
from schemas.training import TrainSettings
from stages.models.network import build
from stages.models.network_files import load_network, network_files
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.source.listing import Listing
from stages.train.log import read_log
from stages.train.node import IN_SQL, part_choice, run_training
from stages.training_place import TrainingPlace
from stages.unit import Control, Output, Setup, Unit
from tests.stages.train.squares import SETTINGS, SMALL

TRAINING = "distill-train"
QUICK = SETTINGS.model_copy(update={"steps": 3, "batch_size": 2, "min_score": 0.0, "network": SMALL})


def unit_of(store: Store, **control: Any) -> Unit:
    project = Project.open(store)
    place = TrainingPlace(store, TRAINING, "0" * 16)
    layers = Inputs(project, TRAINING).layers
    return Unit(TRAINING, 0, Files(project.source.root), layers, training=place, control=Control(**control))


def run(unit: Unit, settings: TrainSettings = QUICK, models: dict[str, Path] | None = None) -> Output:
    setup = Setup(classes=(), models=models or {}, files={})
    choice = part_choice("labels", settings, labelled=True)
    return run_training(unit, setup, settings, choice, num_classes=8, num_objects=6, extra={"x": b"y"})


@pytest.mark.parametrize(
    ("changes", "labelled", "kept"),
    [
        ({}, False, [0, 1, 2]),
        ({}, True, [0, 1, 2, 3]),
        ({"min_score": -1}, False, [0, 1, 2, 3]),
        ({"min_score": 0.5}, False, [0, 1]),
        ({"min_object_ratio": 0.2}, False, [0, 1]),
        ({"min_object_ratio": 0.2}, True, [0, 1, 2]),
        ({"min_part_ratio": 0.1}, False, [0, 1, 2]),
        ({"min_part_ratio": 0.1}, True, [0, 2]),
    ],
)
def test_small_objects_and_low_scores_are_not_chosen(
    changes: dict[str, float], labelled: bool, kept: list[int]
) -> None:
    """The condition compares objects and labelled parts with the image, and scores with their limit."""
    changes = {"min_score": -1 if labelled else 0, **changes}
    condition = part_choice("labels", TrainSettings(**changes), labelled=labelled).condition
    with duckdb.connect() as connection:
        connection.sql(
            "CREATE TABLE m AS SELECT * FROM (VALUES (0, 40, 0.5, 0.9, 10, 20), (1, 10, 0.2, 0.8, 10, 20), "
            "(2, 20, 0.5, 0.3, 10, 20), (3, 8, 0.8, 0.0, 10, 20)) "
            "AS t(number, area, object_ratio, score, height, width)"
        )
        rows = connection.sql(f"SELECT number FROM m WHERE {condition} ORDER BY 1").fetchall()
    assert [number for (number,) in rows] == kept


def test_labels_are_clusters_or_all_alike() -> None:
    """A training on labels learns clusters by object class; one on parts only learns that they are parts."""
    frame = {"image_id": 0, "object_id": 0, "category_id": 0, "score": 1.0, "area": 1, "object_ratio": 1.0}
    frame |= {"height": 1, "width": 1, "rle": b"01"}
    rows = Rows.from_records(LABELS, [frame | {"label_id": n, "cluster": cluster} for n, cluster in enumerate((3, 1))])
    clusters, parts = (part_choice("labels", TrainSettings(), labelled=labelled) for labelled in (True, False))
    assert clusters.label(rows).tolist() == [3, 1] and parts.label(rows).tolist() == [0, 0]
    assert clusters.label(rows).dtype == np.int64
    assert clusters.has_object_class and not parts.has_object_class


def test_a_training_gives_a_network_and_its_losses(copy_store: Callable[..., Store], tmp_path: Path) -> None:
    """Rows of every step with the same losses as in the log, and files that load as the network that was trained."""
    steps: list[int] = []
    unit = unit_of(copy_store(), advance=steps.append)
    output = run(unit)
    assert steps == [1, 1, 1] and output.files["x"] == b"y"
    rows = output.rows
    assert rows.table is METRICS and set(rows["evaluated"]) == {TRAINING} and set(rows["protocol"]) == {"train"}
    assert sorted(zip(rows["step"].tolist(), rows["metric"].tolist(), strict=True)) == sorted(
        (step, metric) for step in (1, 2, 3) for metric in IN_SQL
    )
    for name, content in output.files.items():
        (tmp_path / name).write_bytes(content)
    network = load_network(tmp_path)
    assert (network.num_classes, network.num_objects) == (8, 6)


def test_a_stopped_training_is_continued(copy_store: Callable[..., Store]) -> None:
    """The next call starts from the checkpoint and ends as if there had been no stop."""
    store, steps, begun = copy_store(), [], []
    with pytest.raises(Preempted, match="stopped at step 1 of 3"):
        run(unit_of(store, should_stop=lambda: True))
    resumed = run(unit_of(store, advance=steps.append, resumed=begun.append))
    whole = run(unit_of(copy_store()))
    assert len(steps) == 2 and begun == [1] and resumed.files == whole.files
    assert all((resumed.rows[name] == whole.rows[name]).all() for name in METRICS.names)


def test_a_model_of_another_architecture_is_refused(copy_store: Callable[..., Store], tmp_path: Path) -> None:
    """The error names the settings that differ; a model that fits is taken over except for its classes."""
    unit = unit_of(copy_store())
    for name, changes in (("fits", {}), ("other", {"num_queries": 9})):
        (tmp_path / name).mkdir()
        model = build(SMALL.model_copy(update=changes), 1, seed=4)
        for file, content in network_files(model).items():
            (tmp_path / name / file).write_bytes(content)
    with pytest.raises(
        UsageError, match=r"other: the model to start from has another architecture: num_queries 5, not 9"
    ):
        run(unit, models={"model": tmp_path / "other"})
    first, started = run(unit_of(copy_store())), run(unit_of(copy_store()), models={"model": tmp_path / "fits"})
    assert first.files.keys() == started.files.keys() and first.files != started.files


def test_a_training_is_scored_on_the_ground_truth_of_another_store(
    copy_store: Callable[..., Store], finished: Store, tmp_path: Path
) -> None:
    """The log has recall and mIoU of the class-specific head, and the network is the one of a training without."""
    unit = unit_of(copy_store())
    watched = QUICK.model_copy(
        update={"evaluate_every": 3, "evaluate_stores": (finished.url,), "evaluate_images": 3, "accumulate": 1}
    )
    setup = Setup(classes=Listing(finished).classes(), models={}, files={})
    choice = part_choice("labels", watched, labelled=True)
    output = run_training(unit, setup, watched, choice, num_classes=8, num_objects=6, extra={"x": b"y"})
    assert unit.training is not None
    lines = list(read_log(unit.training.folder))
    assert {"eval/demo/AR@200", "eval/demo/mIoU", "eval/demo/C-mIoU"} <= set(lines[-1]) and lines[-1]["step"] == 3
    assert not any(name.startswith("eval/") for line in lines[:-1] for name in line)
    plain = run(unit_of(copy_store()))
    assert output.files == plain.files and len(output.rows) == len(plain.rows)


def test_a_store_that_cannot_be_scored_on_stops_a_training_before_it_begins(
    copy_store: Callable[..., Store], tmp_path: Path
) -> None:
    """One error, and neither a selection nor a folder is left."""
    unit = unit_of(copy_store(TRAINING))
    with pytest.raises(UsageError, match="nowhere: there is no store here"):
        run(unit, QUICK.model_copy(update={"evaluate_every": 1, "evaluate_stores": (str(tmp_path / "nowhere"),)}))
    assert unit.training is not None and not unit.training.is_begun
    assert not unit.training.store.files.exists(f"selections/{unit.training.selection}.arrow")
