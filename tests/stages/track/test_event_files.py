from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stages.track.event_files import EventFiles
from stages.track.masked_picture import MaskedPicture, MaskGroup
from stages.track.tracker import Table


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    return events


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    """Numbers, pictures and histograms come back under their names and steps; a table is left out."""
    files = EventFiles(tmp_path / "events")
    files.numbers(3, {"eval/honest/AR@200": 41.5, "rows": 7.0})
    files.drawing(4, "clusters/shares", Image.new("RGB", (8, 4), (255, 0, 0)))
    files.sizes(5, "clusters/size", [1, 2, 9])
    files.sizes(5, "nothing", [])
    files.table(5, "clusters/table", Table(["size"], [[1]]))
    top = np.full((20, 30), -1, np.int16)
    files.picture(6, MaskedPicture(np.zeros((20, 30, 3), np.uint8), [MaskGroup("crf", top, [], [])], "5 · cat"))
    files.close()
    events = read(tmp_path / "events")
    tags = events.Tags()
    assert tags["scalars"] == ["eval/honest/AR@200", "rows"] and tags["histograms"] == ["clusters/size"]
    assert sorted(tags["images"]) == ["clusters/shares", "pictures"]
    assert [(e.step, e.value) for e in events.Scalars("eval/honest/AR@200")] == [(3, 41.5)]
    shown = events.Images("clusters/shares")[0]
    assert (shown.step, shown.width, shown.height) == (4, 8, 4)
    assert Image.open(io.BytesIO(shown.encoded_image_string)).getpixel((0, 0)) == (255, 0, 0)
    histogram = events.Histograms("clusters/size")[0].histogram_value
    assert (histogram.num, histogram.sum, sum(histogram.bucket)) == (3, 12, 3)


def test_what_comes_again_is_not_shown_twice(tmp_path: Path) -> None:
    """After a restart, the steps that an earlier file has from there on are dropped."""
    for start, stop, value in ((1, 6, 1.0), (4, 7, 2.0)):
        files = EventFiles(tmp_path)
        files.restart(start)
        for step in range(start, stop):
            files.numbers(step, {"loss": value})
        files.close()
        # Two files of one second are told apart by a number that runs in the process.
    assert [(e.step, e.value) for e in read(tmp_path).Scalars("loss")] == [(s, 1.0 + (s > 3)) for s in range(1, 7)]


def test_no_network_library_is_loaded() -> None:
    """Event files need neither torch nor TensorFlow, so a node on the CPU stays light."""
    program = "import sys, stages.track.event_files; print(*[m for m in ('torch', 'tensorflow') if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []
