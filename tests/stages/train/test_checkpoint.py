from pathlib import Path

import pytest
import torch

from stages.train import checkpoint

CPU = torch.device("cpu")


def test_the_newest_comes_back_and_only_the_last_stay(tmp_path: Path) -> None:
    """Steps are ordered by number; leftovers of killed writers go."""
    assert checkpoint.newest(tmp_path, CPU) is None and checkpoint.last_good(tmp_path) == "none yet"
    (tmp_path / ".step_00000001.pt.dead").write_bytes(b"half")
    for step in (2, 10, 9):
        checkpoint.write(tmp_path, step, {"step": step, "weights": torch.ones(3) * step}, keep=2)
    state = checkpoint.newest(tmp_path, CPU)
    assert state is not None and state["step"] == 10 and torch.equal(state["weights"], torch.ones(3) * 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_00000009.pt", "step_00000010.pt"]


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    """A file that would import something when read is passed over."""
    torch.save({"step": 1, "path": Path("/")}, tmp_path / "step_00000001.pt")
    assert checkpoint.newest(tmp_path, CPU) is None


def test_a_failed_write_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full in the middle of a write, the previous checkpoint is still the newest."""
    checkpoint.write(tmp_path, 1, {"step": 1}, keep=2)

    def full(state: object, file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.write(tmp_path, 2, {"step": 2}, keep=2)
    state = checkpoint.newest(tmp_path, CPU)
    assert state is not None and state["step"] == 1
