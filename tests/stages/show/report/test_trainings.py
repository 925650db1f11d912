from __future__ import annotations

from collections.abc import Callable

from pdstore import Store
from schemas.catalog import catalog_of
from stages.plan.project import Project
from stages.show.report.trainings import Training, read_trainings

TRAININGS = ["segmenter", "proposal-train", "distill-train"]


def trainings_of(store: Store) -> list[Training]:
    return read_trainings(catalog_of(store), Project.open(store).pipeline)


def test_losses_are_those_of_the_table(finished: Store) -> None:
    """One curve per training in the pipeline's order; its steps rise to the last one."""
    trainings = trainings_of(finished)
    assert [training.node for training in trainings] == TRAININGS
    assert [training.steps[-1][0] for training in trainings] == [20, 4, 4]
    for training in trainings:
        sql = f"SELECT step, value FROM metrics WHERE node = '{training.node}' AND metric = 'loss' ORDER BY step"
        rows = catalog_of(finished).query(sql).to_pylist()
        assert list(training.steps) == [(row["step"], row["value"]) for row in rows]
        assert [step for step, _ in training.steps] == sorted({step for step, _ in training.steps})


def test_a_training_that_has_not_finished_is_left_out(copy_store: Callable[..., Store]) -> None:
    """It has committed no rows yet."""
    assert [training.node for training in trainings_of(copy_store("proposal-train"))] == ["segmenter", "distill-train"]
