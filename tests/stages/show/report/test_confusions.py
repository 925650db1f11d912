"""Confusions from the file that an evaluation stores."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdstore import Rows, Store
from pdstore.errors import CorruptData
from schemas.tables import METRICS
from stages.plan.pipeline import Node
from stages.plan.project import Project
from stages.show.report.confusions import read_confusions

ONE = {"evaluated": "distill", "protocol": "honest", "class_name": "cat", "parts": ["head", "background"]}


@pytest.fixture
def kept(copy_store):
    """``kept(listed)``: a store whose evaluation has stored these confusions, or has no such file."""

    def keep(listed: Any = None) -> tuple[Store, Node]:
        store = copy_store("eval-distill")
        node = Project.open(store)["eval-distill"]
        layer = store.declare(node.name, node.identity, METRICS, "test")
        extra = None if listed is None else {"confusion.json": json.dumps(listed).encode()}
        layer.commit(0, Rows.empty(METRICS), extra=extra)
        return store, node

    return keep


def test_pixels_become_shares_of_the_true_part(kept) -> None:
    """Rows add up to one; the row of a part without pixels is zero. Other nodes and protocols are left out."""
    listed = [
        {**ONE, "pixels": [[3, 1], [0, 0]]},
        {**ONE, "evaluated": "labels", "pixels": [[9, 9], [9, 9]]},
        {**ONE, "protocol": "reference", "pixels": [[9, 9], [9, 9]]},
    ]
    (confusion,) = read_confusions(*kept(listed), "distill", "honest")
    assert (confusion.class_name, confusion.parts) == ("cat", ("head", "background"))
    assert confusion.shares.tolist() == [[0.75, 0.25], [0.0, 0.0]]


def test_an_evaluation_without_confusions(kept) -> None:
    """An evaluation of an earlier version has no such file."""
    assert read_confusions(*kept(), "distill", "honest") == []


@pytest.mark.parametrize("listed", [[{**ONE, "pixels": [[1, 2]]}], [{"parts": []}], {"a": 1}])
def test_another_file_of_that_name_is_refused(kept, listed: Any) -> None:
    """The error names the node and the file."""
    with pytest.raises(CorruptData, match=r"eval-distill, confusion.json: these are not confusions as"):
        read_confusions(*kept(listed), "distill", "honest")
