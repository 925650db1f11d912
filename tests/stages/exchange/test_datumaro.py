from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pdstore.errors import UsageError
from stages.exchange.datumaro import EXPORTERS
from stages.exchange.export import Request, export
from tests.stages.exchange.conftest import Masked, in_pixels

IS_INSTALLED = importlib.util.find_spec("datumaro") is not None


@pytest.mark.skipif(IS_INSTALLED, reason="datumaro is installed")
@pytest.mark.parametrize("form", EXPORTERS)
def test_a_missing_package_is_named_with_its_install_command(form: str, masked: Masked, tmp_path: Path) -> None:
    """Before any block is written."""
    with pytest.raises(UsageError, match=rf"datumaro is not installed.*pd export {form}|pip install datumaro"):
        export(masked.store, Request(form, "the-labels", tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not IS_INSTALLED, reason="the package datumaro is not installed")
@pytest.mark.parametrize("form", EXPORTERS)
def test_datumaro_writes_every_mask(form: str, masked: Masked, tmp_path: Path) -> None:
    """What it writes, it reads again: VOC paints the same pixels, where no other mask lies above them."""
    import datumaro

    done = export(masked.store, Request(form, "the-labels", tmp_path / "out", "m.image_id <> 1"))
    assert done.images == 4 and (tmp_path / "out/export.json").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    if form == "cvat":
        texts = [path.read_text() for path in sorted((tmp_path / "out").glob("*.xml"))]
        assert len(texts) == 2 and sum(text.count("<mask") for text in texts) == done.annotations
        assert 'name="score"' in texts[0]
        return
    items = list(datumaro.Dataset.import_from(str(tmp_path / "out"), {"labelme": "label_me", "voc": "voc"}[form]))
    assert len(items) == 4
    if form == "voc":
        item = next(item for item in items if item.id == "0_0")
        found = np.any([mask.image for mask in item.annotations if "Mask" in type(mask).__name__], axis=0)
        rows = masked.rows["the-labels"]
        own = [in_pixels(rows)[n] for n in np.flatnonzero(rows["image_id"] == 0)]
        assert (found == np.any(own, axis=0)).all()
