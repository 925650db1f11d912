import shutil
from pathlib import Path

import pytest
import torch

from pdstore.errors import StorageFailure
from stages.train import checkpoint
from tests.faults.small_disk import can_mount, mount_small_disk
from tests.forks import in_process

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


def test_a_full_disk_leaves_the_checkpoints_before_and_no_part_of_the_next(tmp_path: Path) -> None:
    """The error says that the disk is full; the newest checkpoint is the one before, and the space is free again."""
    if not can_mount():
        pytest.skip("no right to mount a small disk in a namespace")
    words, left, step, is_freed = in_process(fill, str(tmp_path))
    assert "the disk is full" in words and "step_00000003.pt" in words
    assert left == [f"step_0000000{number}.pt{end}" for number in (1, 2) for end in ("", ".digest")]
    assert step == 2 and is_freed


def fill(folder: str) -> tuple[str, list[str], int, bool]:
    """Write checkpoints of 300 KB to a disk of 1 MB: what the third says, what is left, its newest, whether it fits."""
    mount_small_disk(folder, 1 << 20)
    place = Path(folder)
    for number in (1, 2):
        checkpoint.write(place, number, {"step": number, "weights": torch.ones(75_000)}, keep=3)
    free, words = shutil.disk_usage(folder).free, ""
    try:
        checkpoint.write(place, 3, {"step": 3, "weights": torch.ones(150_000)}, keep=3)
    except StorageFailure as error:
        words = str(error)
    state = checkpoint.newest(place, CPU)
    assert state is not None
    left = sorted(path.name for path in place.iterdir())
    return words, left, state["step"], shutil.disk_usage(folder).free == free
