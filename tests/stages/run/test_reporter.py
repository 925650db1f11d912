from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pdstore import Store, layout
from pdstore.lease import claim
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.run.computation import Computation
from stages.run.options import RunOptions
from stages.run.progress import Silent, Watch
from stages.run.reporter import Reporter
from stages.run.runner import run_node
from stages.unit import Control
from tests import wandb_log
from tests.stages.run.commands import run

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("offline"),
]
ROOT = Path(__file__).parents[3]
ASKED = ("crf.wandb=true", "crf.picture_every=2")


def runs_of(store: Store, name: str) -> list[Path]:
    return wandb_log.offline_runs(store.files.local(f"tracking/{name}"))


def pictures_of(path: Path) -> list[dict[str, Any]]:
    return [values for values in wandb_log.history(path).values() if "pictures/caption" in values]


def events_of(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    return events


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_a_block_node_reports_counts_and_pictures(ready: Store) -> None:
    """One run per node, with its masks and those it was made from, class names, counts; nothing without the setting."""
    run(ready, "crf", *ASKED)
    run(ready, "candidates")
    run(ready, "ranking")
    assert not ready.files.exists("tracking/ranking") and not ready.files.names("tracking/ranking")
    (path,) = runs_of(ready, "crf")
    record = wandb_log.run_record(path)
    assert record.run_id == ready.files.read(layout.tracking_id("crf", ready.current()["crf"])).decode()
    assert (record.display_name, record.job_type) == ("crf", "crf")
    assert record.run_group == ready.files.read(layout.tracking_group()).decode()
    history = wandb_log.history(path)
    assert max(history) == 12
    last = history[12]
    assert (last["images"], last["units"], last["units_ratio"]) == (12, 4, 1)
    assert last["rows_per_image"] > 0 and last["images_per_second"] > 0 and last["seconds_per_unit"] > 0
    shown = pictures_of(path)
    assert {caption.split(" · ")[1] for caption in (v["pictures/caption"] for v in shown)} == {"cats", "dogs"}
    assert len(shown) > 3
    labels = wandb_log.settings_of(path)["_wandb"]["mask/class_labels"]
    for node in ("crf", "grouping"):
        named = labels[f"pictures_wandb_delimeter_{node}"]["value"]
        assert set(named.values()) <= {f"{animal} part {n}" for animal in ("cats", "dogs") for n in range(4)}
        mask = np.asarray(Image.open(path.parent / "files" / shown[0][f"pictures/masks/{node}/path"]))
        assert mask.shape == (512, 512) and set(map(str, np.unique(mask[mask > 0]))) <= named.keys() and mask.any()


def test_a_node_that_goes_on_keeps_its_run(ready: Store) -> None:
    """The second part has the same id and later steps; no picture comes twice, names keep their numbers."""
    for limit in (2, None):
        run(ready, "crf", *ASKED, limit=limit)
    first, second = runs_of(ready, "crf")
    assert wandb_log.run_record(first).run_id == wandb_log.run_record(second).run_id
    one, two = wandb_log.history(first), wandb_log.history(second)
    assert max(one) == 6 < min(two) and max(two) == 12 and two[12]["images"] == 12
    captions = [v["pictures/caption"] for path in (first, second) for v in pictures_of(path)]
    assert len(captions) == len(set(captions))
    labels = [wandb_log.settings_of(path)["_wandb"]["mask/class_labels"] for path in (first, second)]
    names = [found["pictures_wandb_delimeter_crf"]["value"] for found in labels]
    assert names[0].items() <= names[1].items()


def test_what_was_there_before_is_counted_but_not_shown(ready: Store) -> None:
    """Reports that are asked for later do not begin with thousands of old pictures."""
    run(ready, "crf", limit=3)
    run(ready, "crf", *ASKED)
    (path,) = runs_of(ready, "crf")
    assert wandb_log.history(path)[12]["images"] == 12
    assert 1 <= len(pictures_of(path)) <= 2


def test_a_worker_that_does_not_report_leaves_it_to_the_one_that_does(ready: Store) -> None:
    """While another worker reports, nothing is written; that one reports the units of both."""
    project = Project.open(ready, ASKED)
    computed: list[int] = []
    other = Reporter(project, "crf", lambda number: computed.append(number) or _unit(project, number))
    other.begin()
    run(ready, "crf", *ASKED)
    opened = runs_of(ready, "crf")
    assert len(opened) == 1 and computed == []
    other.finish()
    (path,) = runs_of(ready, "crf")
    assert [path] == opened
    assert wandb_log.history(path)[12]["images"] == 12 and len(pictures_of(path)) > 3
    assert sorted(computed) == [0, 1, 2, 3]


def _unit(project: Project, number: int) -> Any:
    return Computation(project, {"crf": Inputs(project, "crf")}, Control(), 0.5).unit("crf", number)


def test_a_reporter_that_died_is_replaced(ready: Store) -> None:
    """Its lease is that of a process that is gone, so the next worker reports, and all of it."""
    fingerprint = layout.reporter(ready.current()["crf"])
    program = f"""
from pdstore import Store
from pdstore.lease import claim
assert claim(Store({ready.url!r}).files, "crf", {fingerprint!r}, 0) is not None
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
    assert ready.files.names(layout.leases("crf", fingerprint)) == ["00000.0.json"]
    run(ready, "crf", *ASKED)
    (path,) = runs_of(ready, "crf")
    assert wandb_log.history(path)[12]["images"] == 12
    assert ready.files.names(layout.leases("crf", fingerprint)) == []
    assert claim(ready.files, "crf", fingerprint, 0) is not None


def test_processes_share_one_run(ready: Store) -> None:
    """Two at once on one node: no two write at the same time, each picture comes once, the last count is complete."""
    for text in ASKED:
        _set(ready, text)
    driver = [sys.executable, str(Path(__file__).with_name("driver.py")), ready.url, "crf", "", f"{ready.url}/go"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen(driver, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    Path(f"{ready.url}/go").touch()
    assert [process.communicate(timeout=100) and process.returncode for process in both] == [0, 0]
    paths = runs_of(ready, "crf")
    assert len({wandb_log.run_record(path).run_id for path in paths}) == 1
    captions = [v["pictures/caption"] for path in paths for v in pictures_of(path)]
    assert len(captions) == len(set(captions)) > 3
    assert max(max(wandb_log.history(path), default=0) for path in paths) == 12
    assert any(wandb_log.history(path).get(12, {}).get("images") == 12 for path in paths)


def _set(store: Store, text: str) -> None:
    Project.open(store, [text]).record(is_consent=True)


def test_a_report_that_fails_ends_no_run(ready: Store) -> None:
    """One line says what failed; all units are committed, and another worker may report."""
    ready.files.write(layout.tracking_state("crf", ready.current()["crf"]), b"{")
    notes = Notes()
    outcome = run_node(Project.open(ready, ASKED), "crf", RunOptions(), Watch(notes))
    assert sorted(outcome.committed) == [0, 1, 2, 3]
    assert [line for line in notes.lines if "no more reports" in line] == notes.lines and len(notes.lines) == 1
    assert ready.files.names(layout.leases("crf", layout.reporter(ready.current()["crf"]))) == []


def test_ranking_reports_its_clusters(ready: Store) -> None:
    """Their sizes as numbers, histogram, table and bars, to both places."""
    run(ready, "crf")
    run(ready, "candidates")
    run(ready, "ranking", "ranking.wandb=true", "ranking.tensorboard=true")
    (path,) = runs_of(ready, "ranking")
    (values,) = wandb_log.history(path).values()
    layer = Project.open(ready).layer("ranking")
    assert values["clusters/segments"] == layer.read(0)["size"].sum() and values["clusters/classes"] == 2
    types = {values[f"clusters/{name}/_type"] for name in ("size", "table", "shares")}
    assert types == {"histogram", "table-file", "image-file"}
    events = events_of(ready.files.local(f"{layout.tracking('ranking', layer.fingerprint)}/tensorboard"))
    assert events.Tags()["images"] == ["clusters/shares"] and events.Tags()["histograms"] == ["clusters/size"]
    assert events.Scalars("clusters/classes")[0].value == 2


def test_an_evaluation_reports_its_numbers(copy_store: Callable[..., Store]) -> None:
    """The names say the protocol and the metric, and the values are those of the table."""
    store = copy_store("eval-labels")
    asked = ("eval-labels.wandb=true", "eval-labels.tensorboard=true", "eval-labels.protocol=both")
    run(store, "eval-labels", *asked, new_layer=True)
    layer = Project.open(store, asked).layer("eval-labels")
    rows, columns = layer.read(0), ("evaluated", "protocol", "metric", "class_name", "value")
    table = {(e, p, m): v for e, p, m, c, v in zip(*(rows[c].tolist() for c in columns), strict=True) if not c}
    (path,) = runs_of(store, "eval-labels")
    (values,) = wandb_log.history(path).values()
    assert {("labels", "honest", "C-mIoU"), ("proposals", "reference", "AR@200")} <= table.keys()
    for (node, protocol, metric), value in table.items():
        name = f"eval/{protocol}/{metric}" if node == "labels" else f"eval/{protocol}/{node}/{metric}"
        assert float(values[name]) == pytest.approx(value, nan_ok=True)
    assert values["eval/classes/_type"] == "table-file"
    events = events_of(store.files.local(f"{layout.tracking('eval-labels', layer.fingerprint)}/tensorboard"))
    assert events.Scalars("eval/honest/C-mIoU")[0].value == pytest.approx(table["labels", "honest", "C-mIoU"])


def test_a_training_is_in_the_group_of_its_store(copy_store: Callable[..., Store]) -> None:
    """A training reports by itself, step by step, under the store's group and its stage."""
    store = copy_store("distill-train")
    asked = ("distill-train.wandb=true", "distill-train.tensorboard=true", "distill-train.picture_every=2")
    run(store, "distill-train", *asked, "distill-train.validate_every=2", new_layer=True)
    assert not store.files.names("tracking/distill-train")
    folder = store.files.local(layout.checkpoints("distill-train", store.current()["distill-train"]))
    (path,) = wandb_log.offline_runs(folder)
    record = wandb_log.run_record(path)
    assert (record.display_name, record.job_type) == ("distill-train", "distill-train")
    assert record.run_group == store.files.read(layout.tracking_group()).decode()
    history = wandb_log.history(path)
    assert list(history) == [1, 2, 3, 4]
    assert {"train/loss", "train/lr", "images_per_second"} <= history[1].keys()
    assert {"validation/loss", "validation/AR@10", "pictures/path"} <= history[2].keys()
    events = events_of(folder / "tensorboard")
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4]
    assert [event.step for event in events.Images("pictures")] == [2, 4]


def test_remote_stores_get_the_event_files_at_the_end(ready: Store, tmp_path: Path) -> None:
    """Meanwhile they are on this machine; what W&B writes offline stays there."""
    remote = _in_memory(ready)
    run(remote, "crf", "crf.tensorboard=true", "crf.picture_every=2")
    folder = f"{layout.tracking('crf', remote.current()['crf'])}/tensorboard"
    (name,) = remote.files.names(folder)
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / name).write_bytes(remote.files.read(f"{folder}/{name}"))
    assert events_of(tmp_path / "back").Scalars("images")[-1].value == 12


def _in_memory(store: Store) -> Store:
    url = f"memory://reports{os.getpid()}"
    remote = Store.create(url, store.info)
    for path in store.files.sizes(""):
        if path != layout.STORE:
            remote.files.write(path, store.files.read(path))
    return remote
