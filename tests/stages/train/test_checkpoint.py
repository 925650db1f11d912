from pathlib import Path

import pytest
import torch

from stages.train import checkpoint

CPU = torch.device("cpu")


def test_the_newest_is_read_and_only_the_last_are_kept(tmp_path: Path) -> None:
    """Checkpoints are ordered by step, and leftovers of killed writers are removed."""
    assert checkpoint.newest(tmp_path, CPU) is None and checkpoint.last_good(tmp_path) == "none yet"
    (tmp_path / ".step_00000001.pt.dead").write_bytes(b"half")
    for step in (2, 10, 9):
        checkpoint.write(tmp_path, step, {"step": step, "weights": torch.ones(3) * step}, keep=2)
    state = checkpoint.newest(tmp_path, CPU)
    assert state is not None and state["step"] == 10 and torch.equal(state["weights"], torch.ones(3) * 10)
    kept = [f"step_000000{step}.pt{end}" for step in ("09", "10") for end in ("", ".digest")]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    """A file that would import something when it is read is skipped."""
    torch.save({"step": 1, "path": Path("/")}, tmp_path / "step_00000001.pt")
    assert checkpoint.newest(tmp_path, CPU) is None


def test_a_failed_write_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full in the middle of a write, the previous checkpoint is still the newest."""
    checkpoint.write(tmp_path, 1, {"step": 1}, keep=2)

    def full(state: object, file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.write(tmp_path, 2, {"step": 2}, keep=2)
    state = checkpoint.newest(tmp_path, CPU)
    assert state is not None and state["step"] == 1
