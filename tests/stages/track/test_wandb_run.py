from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.track.masked_picture import MaskedPicture, MaskGroup, Names
from stages.track.tracker import RunName, Table
from stages.track.wandb_run import WandbRun, open_run
from tests import wandb_log
from tests.wandb_server import StandIn

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("offline"),
]
NAME = RunName("crf", "0123456789ab", "store-1", "crf", {"k": 4})


def picture(*names: str) -> MaskedPicture:
    """20 x 30 pixels; the masks are columns of five pixels from the left."""
    top = np.full((20, 30), -1, np.int16)
    for number in range(len(names)):
        top[:, 5 * number : 5 * number + 5] = number
    return MaskedPicture(np.zeros((20, 30, 3), np.uint8), [MaskGroup("crf", top, names, range(len(names)))], "7 · cat")


def open_offline(folder: Path, names: dict[str, Names] | None = None) -> WandbRun:
    run = open_run(folder, "parts", NAME, {} if names is None else names, print)
    assert run is not None
    return run


def test_a_run_is_written_as_it_is_named(tmp_path: Path) -> None:
    """Id, project, group, job type and settings are those that were asked for; values keep names and steps."""
    run = open_offline(tmp_path / "run")
    run.numbers(3, {"eval/honest/AR@200": 41.5})
    run.sizes(4, "clusters/size", [1, 2])
    run.table(4, "clusters/table", Table(["size"], [[1]]))
    run.drawing(4, "clusters/shares", Image.new("RGB", (8, 8)))
    run.close()
    run.numbers(5, {"late": 1.0})
    (path,) = wandb_log.offline_runs(tmp_path)
    record = wandb_log.run_record(path)
    assert (record.run_id, record.project, record.run_group) == ("0123456789ab", "parts", "store-1")
    assert (record.job_type, record.display_name) == ("crf", "crf")
    assert wandb_log.settings_of(path)["k"] == 4
    history = wandb_log.history(path)
    assert history[3] == {"eval/honest/AR@200": 41.5} and set(history) == {3, 4}
    types = {name: history[4][f"{name}/_type"] for name in ("clusters/size", "clusters/table", "clusters/shares")}
    assert list(types.values()) == ["histogram", "table-file", "image-file"]


def test_a_picture_has_masks_with_names(tmp_path: Path) -> None:
    """Each group is a layer of masks; the file holds the numbers, and the run the names of all pictures so far."""
    names: dict[str, Names] = {}
    run = open_offline(tmp_path / "run", names)
    run.picture(1, picture("cat", "dog"))
    run.picture(2, picture("bird", "cat"))
    run.close()
    (path,) = wandb_log.offline_runs(tmp_path)
    first, second = (wandb_log.history(path)[step] for step in (1, 2))
    assert first["pictures/caption"] == "7 · cat" and first["pictures/width"] == first["pictures/height"] == 30
    masks = [np.asarray(Image.open(path.parent / "files" / v["pictures/masks/crf/path"])) for v in (first, second)]
    assert [mask[15, [2, 7, 12]].tolist() for mask in masks] == [[1, 2, 0], [3, 1, 0]]
    labels = wandb_log.settings_of(path)["_wandb"]["mask/class_labels"]["pictures_wandb_delimeter_crf"]["value"]
    assert labels == {"1": "cat", "2": "dog", "3": "bird"} and names["crf"].known() == ["cat", "dog", "bird"]


def test_a_run_goes_on_under_its_id(tmp_path: Path) -> None:
    """Offline, each part of a run is a folder of its own with the same id, and the steps go on."""
    for step in (3, 8):
        run = open_offline(tmp_path / "run")
        run.numbers(step, {"rows": 1.0})
        run.close()
    paths = wandb_log.offline_runs(tmp_path)
    assert [wandb_log.run_record(path).run_id for path in paths] == [NAME.run_id] * 2
    assert [list(wandb_log.history(path)) for path in paths] == [[3], [8]]


def test_the_group_of_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WANDB_RUN_GROUP is what its owner asked for."""
    monkeypatch.setenv("WANDB_RUN_GROUP", "sweep")
    open_offline(tmp_path / "run").close()
    assert wandb_log.run_record(wandb_log.offline_runs(tmp_path)[0]).run_group == "sweep"


def test_what_fails_is_said_once_and_ends_nothing(tmp_path: Path) -> None:
    """A folder that cannot be written to, and a run that breaks while it is open."""
    said: list[str] = []
    (tmp_path / "file").write_text("")
    assert open_run(tmp_path / "file" / "run", "parts", NAME, {}, said.append) is None
    assert len(said) == 1 and said[0].startswith("W&B: off, because")
    run = open_run(tmp_path / "run", "parts", NAME, {}, said.append)
    assert run is not None
    run.numbers(1, {"rows": 1.0})
    run._run.finish()
    for step in (2, 3):
        run.numbers(step, {"rows": 2.0})
    run.close()
    assert len(said) == 2 and said[1].startswith("W&B: off, because")


@pytest.mark.slow
@pytest.mark.parametrize("second", [(12, 15), (8, 9)])
def test_the_parts_of_an_offline_run_are_uploaded_one_after_the_other(tmp_path: Path, second: tuple[int, ...]) -> None:
    """``wandb sync`` appends the second part of a run to the first; a step that both have is sent twice."""
    for steps in ((3, 8), second):
        run = open_offline(tmp_path / "run")
        for step in steps:
            run.numbers(step, {"rows": float(step)})
        run.close()
        time.sleep(1.1)  # the order of the parts is that of their times, in seconds
    for path in wandb_log.offline_runs(tmp_path):
        assert wandb_log.history(path)
    server = StandIn()
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment |= {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "0" * 40}
    environment |= {"HOME": str(tmp_path)}
    del environment["WANDB_MODE"]
    folders = [str(path.parent) for path in wandb_log.offline_runs(tmp_path)]
    command = [str(Path(sys.executable).parent / "wandb"), "sync", *reversed(folders)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    server.shutdown()
    server.server_close()
    assert done.returncode == 0, done.stderr
    assert server.offsets == [0, 2]
    assert [line["_step"] for line in server.lines] == [3, 8, *second]
