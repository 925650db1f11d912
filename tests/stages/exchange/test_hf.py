from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from stages.exchange.export import Request, export
from tests.stages.exchange.conftest import Masked


@pytest.fixture
def folder(masked: Masked, tmp_path: Path) -> Path:
    """A dataset of the labels."""
    export(masked.store, Request("hf", "the-labels", tmp_path / "out", "m.score > 0.2"))
    return tmp_path / "out"


def blocks(folder: Path) -> list[str]:
    """The Python of the card."""
    return re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)


def test_the_card_describes_the_files(folder: Path) -> None:
    """Its header names the files, the features and the counts of each split; the license is for the user to fill in."""
    text = (folder / "README.md").read_text()
    header = yaml.safe_load(text.split("---\n")[1])
    assert "license: other  # fill in" in text and header["task_categories"] == ["image-segmentation"]
    for one in header["configs"][0]["data_files"]:
        assert list(folder.glob(one["path"])), one
    splits = {split["name"]: split for split in header["dataset_info"]["splits"]}
    assert [splits[name]["num_examples"] for name in ("train", "val")] == [3, 2]
    size = (folder / "data/train-00000-of-00001.parquet").stat().st_size
    assert splits["train"]["num_bytes"] == size and header["size_categories"] == ["n<1K"]
    assert "| train | 3 | 9 |" in text and "| val | 2 | 6 |" in text
    assert "m.score > 0.2" in text and '"stage": "the-labels"' in text


def test_the_card_shows_how_to_load_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code that needs no further package runs in the folder as it is."""
    monkeypatch.chdir(folder)
    found: dict[str, object] = {}
    exec(blocks(folder)[1], found)
    assert len(found["masks"]) == 3 and found["masks"][0].shape == tuple(found["size"])  # type: ignore[arg-type, index]


@pytest.mark.filterwarnings("ignore")
def test_datasets_loads_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code of the card, and a stream: pictures are pictures, and classes have names."""
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    exec(blocks(folder)[0], {})
    assert "cat 3" in capsys.readouterr().out
    row = next(iter(datasets.load_dataset(str(folder), split="val", streaming=True)))
    assert row["image"].size == (row["width"], row["height"]) and len(row["annotations"]) == 3
