from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import pytest
from starlette.testclient import TestClient

from pdstore import Rows, Store
from schemas.pipeline import NodeSpec
from schemas.tables import LOSSES
from stages.evaluation.losses import Loss
from stages.plan.project import Project
from stages.show.web.snapshots import Snapshots
from stages.show.web.work.ledgers import has_truth, read_ledgers

LEDGER = [
    Loss(0, "detic", "objects", "parts", "", 88.0, 83.0, 12.0),
    Loss(1, "grouping", "division", "names", "objects", 60.0, 30.0, 28.0),
    Loss(2, "crf", "smoothing", "names", "division", 70.0, 51.0, -10.0),
]


@pytest.fixture
def scored(copied: Store) -> Store:
    """A store with true parts and a ledger that has not run."""
    images = {"images": ("ingest",)}
    truth = NodeSpec(stage="annotated-parts", inputs=images, settings={"format": "pascal_part", "folder": "mat"})
    inputs = {**images, "truth": ("truth-parts",), "objects": ("detic",), "segments": ("grouping", "crf")}
    project = Project.open(copied).extended({"truth-parts": truth, "ledger": NodeSpec(stage="losses", inputs=inputs)})
    project.record()
    return copied


def committed(store: Store) -> None:
    rows = Rows.from_records(LOSSES, [asdict(loss) for loss in reversed(LEDGER)])
    store.declare("ledger", Project.open(store)["ledger"].identity, LOSSES, "test").commit(0, rows)


def test_a_ledger_is_read_in_its_order(scored: Store) -> None:
    """Whatever the order of its rows; before it has run there is none."""
    snapshots = Snapshots(scored.url)
    assert read_ledgers(snapshots.newest()) == [] and has_truth(snapshots.newest())
    committed(scored)
    (ledger,) = read_ledgers(snapshots.refresh())
    snapshots.close()
    assert ledger.node == "ledger" and ledger.losses == LEDGER


def test_the_page_draws_the_ledger_and_says_what_to_do(
    scored: Store, viewed: Store, open_client: Callable[..., TestClient]
) -> None:
    """Bars with their values as text; before it has run, the command; without ground truth, nothing."""
    page = open_client(scored).get("/pipeline").text
    assert "Which step costs how much" in page and "pd eval --losses" in page
    committed(scored)
    page = open_client(scored).get("/pipeline").text
    assert "crf loses most by dividing objects into parts (grouping): 28.0 points; change k" in page
    assert "division (grouping): 60.00, 28.00 lost" in page and "smoothing (crf): 70.00, 10.00 gained" in page
    assert page.count('class="gain"') == 1 and page.count('class="loss"') == 2
    # Its Content-Security-Policy would refuse a style of its own.
    assert "style=" not in page and "eval --losses" not in page
    assert "Which step costs how much" not in open_client(viewed).get("/pipeline").text
