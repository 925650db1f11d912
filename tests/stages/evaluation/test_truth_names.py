from __future__ import annotations

import numpy as np
import pytest

from pdstore.errors import InputMissing
from schemas.tables import LABELS, PARTS, PREDICTIONS
from stages.evaluation.truth_names import TruthNames
from tests.stages.nodes.test_evaluate import HEAD, TAIL, label, truth


@pytest.fixture
def names(bench) -> TruthNames:
    rows = [truth(0, "tail", TAIL), truth(0, "head", HEAD), truth(1, "arm", HEAD, "person")]
    return TruthNames.read(bench.put("truth", PARTS, rows), bench.setup())


def test_parts_are_numbered_by_their_names(names: TruthNames) -> None:
    """By object class, then by part; a class outside the vocabulary has the number -1."""
    assert names.parts == {("cat", "head"): 0, ("cat", "tail"): 1, ("person", "arm"): 2}
    assert names.categories == {0: "cat", -1: "person"}


def test_a_ground_truth_without_parts_is_refused(bench) -> None:
    """The error names the node that has none."""
    with pytest.raises(InputMissing, match="none: there are no ground-truth parts"):
        TruthNames.read(bench.put("none", PARTS, []), bench.setup())


def test_clusters_have_the_names_that_the_model_learnt(bench, names: TruthNames) -> None:
    """A part, or an object class and a part; an unknown name is background, and labels without names are None."""
    learnt = {0: "tail", 1: "cat head", 2: "wing"}
    rows = [label(0, cluster, HEAD) | {"part_name": name} for cluster, name in learnt.items()]
    taught = names.taught(bench.put("predicted", PREDICTIONS, rows), 3)
    assert taught is not None and taught[0].tolist() == [1, 0, 3]
    assert names.taught(bench.put("labels", LABELS, [label(0, 0, HEAD)]), 1) is None


def test_true_parts_have_their_own_names(names: TruthNames) -> None:
    """The cluster of a true part is its number, in every class."""
    assert {c: parts.tolist() for c, parts in names.own_names().items()} == {0: [0, 1, 2], -1: [0, 1, 2]}
    assert all(isinstance(parts, np.ndarray) for parts in names.own_names().values())
