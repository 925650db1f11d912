"""The code of ``docs/torch.md`` runs, from top to bottom, and leaves what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from stages.loading.query import choose
from tests.stages.loading.made import make_store

PAGE = (Path(__file__).parents[2] / "docs" / "torch.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def model(pixel_values: torch.Tensor, mask_labels: list[torch.Tensor], **further: Any) -> SimpleNamespace:
    """Takes what a Mask2Former takes; examples/train_on_query.py trains a real one."""
    assert len(pixel_values) == len(mask_labels) == 4 and set(further) == {"pixel_mask", "class_labels"}
    return SimpleNamespace(loss=pixel_values.mean())


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks build on each other; the training that resumes gets the rest of the epoch."""
    make_store(tmp_path)
    (tmp_path / "store").rename(tmp_path / "my-store")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"model": model, "torch": torch}
    assert len(BLOCKS) == 5
    for block in BLOCKS:
        exec(compile(block, "docs/torch.md", "exec"), names)
    assert names["loss"].ndim == 0 and len(names["targets"]) == 4
    saved = torch.load("checkpoint.pt")["data"]
    assert (saved["epoch"], saved["batches"]) == (0, 2) and names["again"].state_dict()["epoch"] == 1
    assert names["state"]["epoch"] == 2 and names["number"] == len(names["stream"])
    assert "MapDataset(22 images with masks of labels) torch.Size([1, 24, 32])" in capsys.readouterr().out


def test_the_rules_of_the_page_are_those_of_the_code(tmp_path: Path) -> None:
    """The queries of the table choose what the table says: images, and ids of masks."""
    store = make_store(tmp_path)
    queries = re.findall(r"^\| `(SELECT [^`]*)`(?:, and `node=\"(\w+)\"`)? \|", PAGE, re.MULTILINE)
    chosen = [choose(store, sql.replace("1000", "10"), node) for sql, node in queries]
    masks = [None if one.masks is None else one.masks[0] for one in chosen]
    assert masks == ["labels", "labels", "labels", None]
    assert [one.keys[1:] for one in chosen] == [["label_id", "object_id"], [], ["object_id"], []]
    assert [len(one.image_ids) for one in chosen] == [21, 21, 22, 22]
