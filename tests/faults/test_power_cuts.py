from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
import torch

from pdstore.files import Files
from pdstore.files.local import sync_folder
from pdstore.records import read_checked, remove_with_digest, write_with_digest
from schemas.stages import ProposalTrainSettings
from stages.train import checkpoint
from stages.train.log import TrainingLog, read_log
from tests.faults.lost_writes import Event, Recording, disk_after
from tests.faults.power_cuts import cuts
from tests.forks import in_process


def _write_files_with_digests(folder: str) -> list[Event]:
    """In a process of its own: files are written, replaced and removed, checkpoints and a log among them."""
    recording, files = Recording(folder), Files(folder)
    recording.install()
    os.mkdir(folder)
    sync_folder(str(Path(folder).parent))
    for number in range(3):
        write_with_digest(files, "plain.json", b"%d" % number)
    remove_with_digest(files, "plain.json")
    log = TrainingLog(Path(folder), ProposalTrainSettings(), "run", {})
    for step in range(1, 5):
        log.add(step, {"loss": float(step)})
        log.keep_digest()
        checkpoint.write(Path(folder), step, {"step": torch.tensor(step)}, keep=2, is_best=step != 2)
    log.cut(2)
    return recording.events


def test_no_digest_outlives_its_file(tmp_path: Path) -> None:
    """A power cut at any moment leaves each file that has a digest as it was written, whichever names arrived."""
    folder, place, chance = tmp_path / "written", tmp_path / "left", random.Random(0)
    events = in_process(_write_files_with_digests, str(folder), is_loaded=True)
    covered = 0
    for moment in range(len(events) + 1):
        for _ in range(6):
            shutil.rmtree(place, ignore_errors=True)
            disk_after(events[:moment], str(folder), place, chance, 0.5)
            for kept in place.glob("*.digest"):
                read_checked(Files(str(place)), kept.stem, is_growing=kept.stem == "log.jsonl")
                covered += 1
    assert covered > 500 and len(list(read_log(folder))) == 2


def test_a_power_cut_takes_nothing_that_was_reported(tmp_path: Path) -> None:
    """Whatever was not synced is lost: all that was reported as committed is there, and the same commands go on."""
    tried = list(cuts(tmp_path, 110, 1, 8))
    assert [str(cut) for cut in tried if cut.problems] == []
    assert len(tried) > 9


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_power_cut_takes_anything_that_was_reported(tmp_path: Path) -> None:
    """The same at every moment."""
    tried = list(cuts(tmp_path, 1, 0, 40))
    assert [str(cut) for cut in tried if cut.problems] == []
    assert len(tried) > 1000
