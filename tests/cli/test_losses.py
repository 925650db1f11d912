from __future__ import annotations

import json

import pytest

from cli.losses import print_losses
from pdstore import Identity, Rows, Store, StoreInfo, layout
from schemas.tables import LOSSES

NAMED = {"position": 0, "evaluated": "crf", "step": "division", "given": "names", "after": "", "miou": 70.0, "ar": 51.0}
PLAIN = {"position": 1, "evaluated": "labels", "step": "naming", "given": "", "after": "division", "miou": 55.0}
RECORDS = [NAMED | {"lost": 30.0}, PLAIN | {"ar": 51.0, "lost": 15.0}]
ADVICE = "labels loses most by dividing objects into parts (crf): 30.0 points; change k"


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store.create(str(tmp_path / "store"), StoreInfo(4, 0, {"root": ""}))
    layer = store.declare("losses", Identity("losses", 1), LOSSES, "test")
    layer.commit(0, Rows.from_records(LOSSES, RECORDS[::-1]))
    store.files.write(layout.PIPELINE, json.dumps({"current": {"losses": layer.fingerprint}}).encode())
    return store


def test_the_ledger_is_printed_step_by_step(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the steps, with what each is compared with; then the advice."""
    print_losses(store, {"losses": 20}, as_json=False)
    header, _, first, second, advice = capsys.readouterr().out.splitlines()
    assert header.split()[-5:] == ["mIoU", "AR@20", "lost", "compared", "with"]
    assert first.split() == ["division", "crf", "names", "of", "the", "masks", "70", "51", "30", "100", "percent"]
    assert second.split() == ["naming", "labels", "-", "55", "51", "15", "division"]
    assert advice.startswith(ADVICE)


def test_json_has_the_rows_the_limit_and_the_advice(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """The rows are those of the table, by position."""
    print_losses(store, {"losses": 20}, as_json=True)
    found = json.loads(capsys.readouterr().out)["nodes"]["losses"]
    assert found["losses"] == RECORDS and found["ar_limit"] == 20 and found["advice"].startswith(ADVICE)
