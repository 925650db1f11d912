"""Four workers that are killed and stopped again and again, with clocks that are wrong: nothing is lost or doubled."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

import pdstore.lease
from pdstore import Store, layout
from pdstore.garbage import delete_garbage, find_garbage
from pdstore.verify import verify
from stages.create.store import create_store
from stages.plan.project import Project
from stages.plan.states import states
from tests.pdstore.conftest import s3_options as s3_options
from tests.stages.run.chaos import SPEC, TIME_TO_LIVE_S, Chaos, pictures


@pytest.mark.parametrize("place", ["folder", "s3"])
@pytest.mark.parametrize(
    ("kills", "stops", "images"),
    [
        pytest.param(8, 2, 12, id="few", marks=pytest.mark.timeout(900)),
        pytest.param(40, 6, 120, id="many", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_workers_that_die_and_sleep_end_like_one_that_does_not(
    place: str,
    kills: int,
    stops: int,
    images: int,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    contents: Callable[..., dict[str, dict[int, str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All layers have the checksums of an uninterrupted run, nothing is damaged, and gc leaves nothing behind."""
    source = pictures(tmp_path / "images", images)
    calm = create_store(str(tmp_path / "calm"), source, SPEC)
    assert Chaos(calm.url, {}, 0, 0, random.Random(0), workers=1).run() == [0]
    options = request.getfixturevalue("s3_options") if place == "s3" else {}
    url = f"s3://pdstore/{uuid.uuid4().hex}" if place == "s3" else str(tmp_path / "store")
    create_store(url, source, SPEC, **options)
    chaos = Chaos(url, options, kills, stops, random.Random(images))
    codes = chaos.run()
    assert codes == [0] * len(codes)
    assert (chaos.killed, chaos.stopped, chaos.is_done) == (kills, stops, False)
    store = Store(url, **options)
    expected = contents(calm)
    assert contents(store) == expected and all(expected.values())
    assert [problem for problem in verify(store) if problem] == []
    assert {state.word for state in states(Project.open(store))} == {"done"}
    leave_nothing(store, monkeypatch)
    assert contents(Store(url, **options)) == expected


def leave_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ``gc`` there is one attempt per commit and no lease."""
    monkeypatch.setattr(pdstore.lease, "TIME_TO_LIVE_S", TIME_TO_LIVE_S)
    # What was killed in a container is known to be gone once it has been seen to be silent.
    find_garbage(store, older_than_s=-60)
    time.sleep(TIME_TO_LIVE_S)
    for garbage in find_garbage(store, older_than_s=-60):
        assert delete_garbage(store, garbage)
    assert find_garbage(store, older_than_s=-60) == []
    for node, fingerprint in store.current().items():
        layer = store.layer(node, fingerprint)
        assert store.files.names(layout.leases(node, fingerprint)) == []
        assert len(store.files.names(layout.attempts(node, fingerprint))) == len(layer.units())
