from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from pdstore import Store
from pdstore.errors import StaleSettings
from schemas.catalog import catalog_of
from stages.plan.project import Project
from tests.examples.conftest import NUM_IMAGES


def test_every_node_is_computed(made: Path) -> None:
    """All units of the preset's nodes are committed, the training's too; every image has an object and its parts."""
    store = Store(str(made))
    project = Project.open(store)
    assert {"ingest", "detic", "grouping", "crf", "ranking", "labels", "proposal-train"} <= set(project.nodes)
    assert {name: len(project.layer(name).units()) for name in project.nodes} == dict.fromkeys(project.nodes, 1)
    counts = catalog_of(store).query(
        "SELECT (SELECT count(DISTINCT image_id) FROM objects) AS objects, "
        "(SELECT count(DISTINCT image_id) FROM parts WHERE node = 'crf') AS parts, "
        "(SELECT count(*) FROM labels) AS labels"
    )
    found = counts.to_pylist()[0]
    assert (found["objects"], found["parts"]) == (NUM_IMAGES, NUM_IMAGES) and found["labels"] > 0


def test_the_picture_shows_images_and_masks(made: Path, arguments: list[str]) -> None:
    """The sheet has a column for the image and one for each node with masks, and none of them is blank."""
    sheet = np.asarray(Image.open(arguments[-1]).convert("RGB"))
    columns = np.array_split(sheet, 5, axis=1)
    assert sheet.shape[1] >= 5 * 200 and sheet.shape[0] >= 6 * 200
    assert all(column.std() > 5 for column in columns)
    assert not np.array_equal(columns[0], columns[1])


def test_a_second_run_computes_nothing(
    made: Path, arguments: list[str], example: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command again finds everything done, and says how many masks there are."""
    before = {path: path.stat().st_mtime_ns for path in (made / "layers").rglob("*.json")}
    assert example("own_images").main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "crf: units computed 0, images left out 0" in printed
    assert any(line.startswith("detic: 8 masks, on average ") for line in printed)
    assert {path: path.stat().st_mtime_ns for path in (made / "layers").rglob("*.json")} == before


def test_other_settings_are_refused(made: Path, arguments: list[str], example: Callable[[str], ModuleType]) -> None:
    """A setting that the store was not made with is an error that names it, wherever it stands among the words."""
    with pytest.raises(StaleSettings, match=r"k: 2 -> 3"):
        example("own_images").main([*arguments, "grouping.k=3"])
