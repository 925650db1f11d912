from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdstore import Store
from pdstore.errors import Preempted
from pdstore.files import Files
from pdstore.records.digests import keep_digest
from schemas.tables import METRICS
from stages.training_mirror import fetch_state, send_state
from tests.pdstore.conftest import s3_options as s3_options
from tests.stages.train.test_node import run, unit_of

REMOTE = "checkpoints/train/ab12"


def written(folder: Path, step: int, data: bytes) -> None:
    """A checkpoint with its digest, and a log, as a training leaves them."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    for name in (f"step_{step:08d}.pt", "best.pt"):
        (folder / "checkpoints" / name).write_bytes(data)
        with (folder / "checkpoints" / name).open("rb") as file:
            keep_digest(Files(str(folder / "checkpoints")), name, file)
    (folder / "log.jsonl").write_bytes(b"{}\n" * step)


@pytest.fixture
def files() -> Files:
    return Files(f"memory://{uuid.uuid4().hex}")


def sent(files: Files, folder: Path) -> None:
    notes: list[str] = []
    send_state(files, REMOTE, folder, notes.append)
    assert notes == []


def test_another_machine_gets_the_newest_checkpoint(files: Files, tmp_path: Path) -> None:
    """With the best one and the log; what the first machine has deleted is gone from the store, too."""
    one, other = tmp_path / "one", tmp_path / "other"
    assert fetch_state(files, REMOTE, one) == ""
    for step in (2, 4, 6):
        written(one, step, bytes([step]) * 100_000)
        sent(files, one)
        for old in sorted((one / "checkpoints").glob("step_*.pt"))[:-2]:
            old.unlink()
            old.with_name(f"{old.name}.digest").unlink()
    sent(files, one)
    assert [n for n in files.names(f"{REMOTE}/checkpoints") if n.startswith("step")] == [
        f"step_{step:08d}.pt{end}" for step in (4, 6) for end in ("", ".digest")
    ]
    assert fetch_state(files, REMOTE, other) == "step_00000006.pt"
    assert (other / "checkpoints" / "best.pt").read_bytes() == b"\6" * 100_000
    assert (other / "log.jsonl").read_bytes() == b"{}\n" * 6
    assert not list((other / "checkpoints").glob(".*"))
    assert fetch_state(files, REMOTE, other) == "" and fetch_state(files, REMOTE, one) == ""


def test_what_is_damaged_or_not_whole_is_passed_over(files: Files, tmp_path: Path) -> None:
    """A checkpoint without its digest was not sent to its end: the one before it is taken."""
    one = tmp_path / "one"
    fetch_state(files, REMOTE, one)
    for step in (2, 4, 6):
        written(one, step, bytes([step]) * 10)
    sent(files, one)
    files.remove(f"{REMOTE}/checkpoints/step_00000006.pt.digest")
    files.write(f"{REMOTE}/checkpoints/step_00000004.pt", b"damaged")
    assert fetch_state(files, REMOTE, tmp_path / "other") == "step_00000002.pt"


def test_the_state_of_a_training_that_was_discarded_is_not_gone_on_with(files: Files, tmp_path: Path) -> None:
    """Also where its folder is still there, on a machine that was away meanwhile."""
    one, other = tmp_path / "one", tmp_path / "other"
    fetch_state(files, REMOTE, one)
    written(one, 8, b"old")
    sent(files, one)
    files.remove_tree(REMOTE)
    fetch_state(files, REMOTE, other)
    written(other, 2, b"new")
    sent(files, other)
    assert fetch_state(files, REMOTE, one) == "step_00000002.pt"
    assert not (one / "checkpoints" / "step_00000008.pt").exists()


def test_a_store_that_does_not_answer_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noted, and the next checkpoint is sent with what this one lacked."""
    pytest.importorskip("s3fs")
    monkeypatch.setenv("PD_REMOTE_PATIENCE", "0")
    away = Files("s3://bucket/x", key="k", secret="s", client_kwargs={"endpoint_url": "http://127.0.0.1:9"})
    written(tmp_path, 2, b"x")
    notes: list[str] = []
    send_state(away, REMOTE, tmp_path, notes.append)
    [note] = notes
    assert "was not sent to the store, and the training goes on" in note


def test_another_machine_ends_a_training_as_if_there_had_been_no_stop(
    copy_store: Callable[..., Store], s3_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first one is gone with all that was on it; the result is that of an uninterrupted training, bit for bit."""
    local, url = copy_store(), f"s3://pdstore/{uuid.uuid4().hex}"
    remote = Files(url, **s3_options)
    root = Path(local.url)
    remote.write_many({p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if _is_needed(p, root)})
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(Preempted, match="stopped at step 1 of 3"):
        run(unit_of(Store(url, **s3_options), should_stop=lambda: True))
    [gone] = tmp_path.glob("pd-checkpoints-*")
    shutil.rmtree(gone)
    steps: list[int] = []
    begun: list[int] = []
    resumed = run(unit_of(Store(url, **s3_options), advance=steps.append, resumed=begun.append))
    whole = run(unit_of(copy_store()))
    assert len(steps) == 2 and begun == [1] and resumed.files == whole.files
    assert all((resumed.rows[name] == whole.rows[name]).all() for name in METRICS.names)


def _is_needed(path: Path, root: Path) -> bool:
    """Whether the training reads the file: not the pictures, which stay where they are, nor other trainings' states."""
    first = path.relative_to(root).parts[0]
    return path.is_file() and first not in {"images", "catalog.duckdb", "catalog.checked", "checkpoints", "leases"}
