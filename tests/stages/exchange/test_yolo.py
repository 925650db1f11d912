from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import yaml

from pdstore.errors import UsageError
from stages.exchange.export import Request, export
from stages.exchange.yolo import to_supervision
from tests.stages.exchange.conftest import SIZES, Masked, in_pixels

IS_INSTALLED = all(importlib.util.find_spec(name) for name in ("supervision", "deprecate"))
needed = pytest.mark.skipif(not IS_INSTALLED, reason="the package supervision is not installed")


@pytest.mark.skipif(IS_INSTALLED, reason="supervision is installed")
def test_a_missing_package_is_named_with_its_install_command(masked: Masked, tmp_path: Path) -> None:
    """For the export and for the function."""
    with pytest.raises(UsageError, match="is not installed.*pip install supervision"):
        export(masked.store, Request("yolo", "the-labels", tmp_path / "out"))
    with pytest.raises(UsageError, match="is not installed.*pip install supervision"):
        to_supervision(masked.rows["the-labels"])


@needed
@pytest.mark.filterwarnings("ignore")
def test_outlines_are_written_for_every_image(masked: Masked, tmp_path: Path) -> None:
    """A text file per image, in the folder of its split; classes are numbered as data.yaml names them."""
    export(masked.store, Request("yolo", "the-labels", tmp_path / "out", options={"images": "embed"}))
    described = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert described["train"] == "images/train" and described["names"][0] == "cat 3"
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out/labels").rglob("*.txt"))
    names = [("train", ("0_0", "0_1", "0_2")), ("val", ("1_0", "1_1"))]
    assert files == [f"labels/{split}/{name}.txt" for split, members in names for name in members]
    for line in (tmp_path / "out" / files[0]).read_text().splitlines():
        number, *corners = line.split()
        assert int(number) in described["names"] and len(corners) % 2 == 0
        assert all(0 <= float(corner) <= 1 for corner in corners)
    assert len(list((tmp_path / "out/images").rglob("*.png"))) == 5


@needed
@pytest.mark.filterwarnings("ignore")
def test_rows_become_detections(masked: Masked) -> None:
    """Masks in the pixels that are asked for, boxes as corners, scores, clusters, and the other columns beside them."""
    rows, number = masked.rows["the-labels"], 1
    own = np.flatnonzero(rows["image_id"] == number)
    found = to_supervision(rows.take(own), SIZES[number])
    assert (found.mask == np.array([in_pixels(rows)[n] for n in own])).all()
    assert (
        np.array_equal(found.confidence, rows["score"][own])
        and found.class_id.tolist() == rows["cluster"][own].tolist()
    )
    for mask, box in zip(found.mask, found.xyxy.tolist(), strict=True):
        ys, xs = np.nonzero(mask)
        assert box == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    assert found.data["object_id"].tolist() == rows["object_id"][own].tolist()
    with pytest.raises(UsageError, match="expected rows of one image, found 5"):
        to_supervision(rows)
