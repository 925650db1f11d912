from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from schemas.training import TrainSettings
from stages.train.log import TrainingLog, read_log
from tests import wandb_log


def test_a_resumed_log_holds_each_step_once(tmp_path: Path) -> None:
    """Steps after the checkpoint are dropped, and so is the incomplete line that a killed process left."""
    log = TrainingLog(tmp_path, TrainSettings(), "test", {})
    for step in (1, 2, 3):
        log.add(step, {"loss": float(step)})
    with log.path.open("a") as file:
        file.write('{"step": 4, "lo')
    log.cut(2)
    log.add(3, {"loss": 9.0})
    assert [(line["step"], line["loss"]) for line in read_log(tmp_path)] == [(1, 1.0), (2, 2.0), (3, 9.0)]


def test_every_line_is_strict_json(tmp_path: Path) -> None:
    """A value that is not finite is null, and a skipped step names its images."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    log = TrainingLog(tmp_path, TrainSettings(), "test", {})
    log.add(1, {"loss": float("nan"), "skipped": 1.0}, [7, 8])
    log.add(2, {"loss": 0.5, "skipped": 1.0})
    lines = [json.loads(line, parse_constant=refuse) for line in log.path.read_text().splitlines()]
    assert lines[0] == {"step": 1, "loss": None, "skipped": 1.0, "skipped_images": [7, 8]}
    assert lines[1] == {"step": 2, "loss": 0.5, "skipped": 1.0}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_weights_and_biases_gets_a_copy_under_one_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, a run is written to the folder with values, pictures and settings; a resumed run keeps its id."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb_home"))
    settings = TrainSettings(wandb=True, wandb_project="parts")
    for first in (1, 2):
        log = TrainingLog(tmp_path, settings, "distill-train", {"lr": 0.5})
        log.add(first, {"loss": 1.0 / first})
        log.picture(first, Image.new("RGB", (8, 8)))
        log.close()
    own, runs = (tmp_path / "wandb_id").read_text(), wandb_log.offline_runs(tmp_path)
    said = [wandb_log.run_record(path) for path in runs]
    assert runs and {(run.run_id, run.project) for run in said} == {(own, "parts")}
    assert all(wandb_log.settings_of(path)["lr"] == 0.5 for path in runs)
    assert list((tmp_path / "wandb").glob("offline-run-*/files/media/images/*.png"))
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1, 2]


def test_tensorboard_gets_a_copy_without_the_steps_that_come_again(tmp_path: Path) -> None:
    """Names have a section; after a resume the steps since the checkpoint are those of the second run."""
    for done, steps in ((0, (1, 2, 3)), (2, (3, 4))):
        log = TrainingLog(tmp_path, TrainSettings(tensorboard=True), "x", {})
        log.cut(done)
        for step in steps:
            values = {"loss": float(10 * done + step), "samples_per_s": 5.0, "data_wait_ratio": 0.5}
            log.add(step, values | {"validation_loss": 1.0, "validation_AR@10": 2.0})
        log.picture(steps[-1], Image.new("RGB", (8, 4)))
        log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    names = ["images_per_second", "train/data_wait_ratio", "train/loss", "validation/AR@10", "validation/loss"]
    assert sorted(events.Tags()["scalars"]) == names
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 1), (2, 2), (3, 23), (4, 24)]
    assert [(e.step, e.width, e.height) for e in events.Images("pictures")][-1] == (4, 8, 4)
    assert not (tmp_path / "wandb_id").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("why", ["no server", "no key"])
def test_a_training_goes_on_offline_and_says_why(why: str, tmp_path: Path) -> None:
    """In a process of its own: one line with the reason, and a run folder to upload later."""
    home = {f"WANDB_{name}_DIR": str(tmp_path / "home") for name in ("CACHE", "CONFIG", "DATA")}
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith("WANDB")} | home
    environment |= {"HOME": str(tmp_path), "WANDB_BASE_URL": "http://127.0.0.1:9"}
    environment |= {"WANDB_API_KEY": "0" * 40} if why == "no server" else {"WANDB_MODE": "online"}
    done = subprocess.run(
        [sys.executable, "-c", _TRAINING, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("W&B: offline, because") == 1
    assert ("http://127.0.0.1:9 does not answer" in done.stderr) == (why == "no server")
    assert list((tmp_path / "wandb").glob("offline-run-*"))


_TRAINING = """
import sys
from pathlib import Path
from schemas.training import TrainSettings
from stages.train.log import TrainingLog
log = TrainingLog(Path(sys.argv[1]), TrainSettings(wandb=True), "x", {})
log.add(1, {"loss": 1.0})
log.close()
"""
