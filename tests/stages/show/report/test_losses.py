from __future__ import annotations

from pdstore import Store
from schemas.catalog import catalog_of
from stages.plan.project import Project
from stages.show.report.losses import read_ledgers


def test_a_ledger_is_read_in_its_order(finished: Store) -> None:
    """The rows of the demo's ledger add up to what its last score lacks, and the advice is without a full stop."""
    (ledger,) = read_ledgers(catalog_of(finished), Project.open(finished).pipeline)
    assert ledger.node == "losses"
    assert [row.step for row in ledger.losses] == [
        "objects",
        "division",
        "smoothing",
        "choice",
        "naming",
        "distillation",
        "naming",
    ]
    lost = sum(row.lost for row in ledger.losses if (row.evaluated, row.step) != ("labels", "naming"))
    assert abs(lost - (100 - ledger.losses[-1].miou)) < 1e-9
    assert ledger.advice.startswith("distill loses most by ") and not ledger.advice.endswith(".")


def test_a_ledger_that_has_not_run_is_left_out(copy_store) -> None:
    """There is nothing to show before its rows are committed."""
    store = copy_store("losses")
    assert read_ledgers(catalog_of(store), Project.open(store).pipeline) == []
