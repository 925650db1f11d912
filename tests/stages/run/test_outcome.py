from __future__ import annotations

import pytest

from pdstore import PdError, Store
from pdstore.errors import InputMissing, PartlyFailed
from stages.run.outcome import Outcome, raise_failures, raise_waiting
from stages.unit import Coverage
from tests.stages.run.commands import run, state


def test_blocks_wait_for_the_blocks_they_read(ready: Store) -> None:
    """A block node computes the blocks whose input is committed, then says which blocks wait for what."""
    run(ready, "crf", limit=2)
    with pytest.raises(PartlyFailed, match="candidates: the input of these units"):
        run(ready, "candidates")
    assert run(ready, "ranking", allow_partial=True).committed == [0]
    waits = r"labels: the input of these units is not committed yet: 2, 3\. Run .*crf.* for them first"
    for _ in range(2):
        with pytest.raises(PartlyFailed, match=waits):
            run(ready, "labels")
        assert state(ready, "labels").done == [0, 1] and state(ready, "labels").waiting == [2, 3]
    with pytest.raises(InputMissing, match=waits):
        run(ready, "labels", dry_run=True)


def test_failed_units_are_counted_with_the_first_error() -> None:
    """Partly failed if the layer has committed units, else plainly failed."""
    outcome = Outcome("crf", todo=[0, 1, 2], failed={2: "OSError: no disk.", 1: "other"}, is_begun=True)
    message = "crf: 2 of 3 units failed; the first, unit 2: OSError: no disk. Fix the cause and run the same command"
    with pytest.raises(PartlyFailed, match=message):
        raise_failures(outcome, 1.0)
    outcome.is_begun = False
    with pytest.raises(PdError, match=message) as caught:
        raise_failures(outcome, 1.0)
    assert not isinstance(caught.value, PartlyFailed) and caught.value.exit_code == 1


@pytest.mark.parametrize(("images", "rejected"), [(10, 1), (10, 0), (0, 0)])
def test_so_many_error_rows_are_allowed(images: int, rejected: int) -> None:
    """A share that is not above the bound is no error, nor is a run that committed nothing."""
    raise_failures(Outcome("crf", images=images, rejected=rejected), 0.1)


def test_more_error_rows_fail_the_run() -> None:
    """The error has the numbers, the query that shows the reasons, and the option."""
    with pytest.raises(PdError) as caught:
        raise_failures(Outcome("crf", images=10, rejected=2), 0.1)
    text = str(caught.value)
    assert text.startswith("crf: 2 of 10 images were left out and are in errors; at most 10% may be. See why: pd sql")
    assert "WHERE node = 'crf'" in text and "--max-error-rate" in text


def test_annotations_of_no_image_fail_the_run() -> None:
    """They are measured against all annotations of the file, not against the images of the run."""
    outcome = Outcome("truth", images=1, coverage=Coverage(images=5, in_store=1, annotations=10, strays=2))
    raise_failures(outcome, 0.2)
    with pytest.raises(PdError, match="truth: 2 of 10 annotations belong to no image .*; at most 10% may. See them"):
        raise_failures(outcome, 0.1)


def test_waiting_units_name_what_to_run() -> None:
    """The first eight of them, and every input once; without any waiting unit nothing is raised."""
    raise_waiting(Outcome("labels"), ["crf"])
    with pytest.raises(InputMissing, match=r"committed yet: 1, 2\. Run ingest and crf for them first, or every"):
        raise_waiting(Outcome("labels", waiting=[1, 2]), ["ingest", "crf", "ingest"])
    with pytest.raises(PartlyFailed, match=r"labels: .* 0, 1, 2, 3, 4, 5, 6, 7, … Run crf"):
        raise_waiting(Outcome("labels", waiting=list(range(9)), is_begun=True), ["crf"])
