"""Image files of every kind that a folder may hold: rows where they can be read, error rows with a reason where not."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import SIZE_PX, Pd, draw

_ORIENTATION_TAG = 0x0112


@pytest.fixture
def odd_photos(tmp_path: Path) -> Path:
    """Three sound pictures and one of each odd kind."""
    folder = tmp_path / "odd" / "cat"
    for number in range(3):
        draw(folder / f"sound{number}.jpg", number)
    sound = Image.open(folder / "sound0.jpg").convert("RGB")
    data = (folder / "sound1.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(data[: len(data) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is not an image")
    (folder / "header.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    png = io.BytesIO()
    sound.save(png, "PNG")
    (folder / "png_named.jpg").write_bytes(png.getvalue())
    sound.convert("CMYK").save(folder / "cmyk.jpg")
    sound.convert("L").save(folder / "grey.jpg")
    Image.fromarray(np.full((SIZE_PX, SIZE_PX), 40_000, np.uint16)).save(folder / "deep.png")
    sound.crop((0, 0, 1, 1)).save(folder / "dot.png")
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = 6
    sound.crop((0, 0, SIZE_PX, 24)).save(folder / "turned.jpg", exif=exif)
    return folder.parent


def _rows(pd: Pd, store: Path, query: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(pd("--store", store, "sql", query, "--format", "json").out)
    return rows


def test_each_kind_is_a_row_or_an_error_row(pd: Pd, odd_photos: Path, pipeline_file: Path, tmp_path: Path) -> None:
    """Every listed file is in `images` or in `errors`, and the rest of the pipeline goes on."""
    store = tmp_path / "s"
    assert pd("init", store, "--images", odd_photos, "--preset", pipeline_file, "ingest.max_pixels=10000").code == 0
    result = pd("--store", store, "run", "--until", "crf", "--max-error-rate", "0.6")
    assert result.code == 0, result.err
    assert "ingest: 4 images left out" in result.err
    faults = {r["subject"]: r["reason"] for r in _rows(pd, store, "SELECT * FROM errors WHERE node = 'ingest'")}
    assert faults.keys() == {f"cat/{n}" for n in ("truncated.jpg", "empty.jpg", "text.jpg", "header.png")}
    assert faults["cat/truncated.jpg"] == "truncated" and faults["cat/empty.jpg"] == "empty_file"
    assert faults["cat/text.jpg"] == "not_an_image"
    images = {r["key"]: r for r in _rows(pd, store, "SELECT * FROM images")}
    assert len(images) == 9
    assert images["cat/png_named.jpg"]["mode"] == "PNG/RGB"
    assert images["cat/cmyk.jpg"]["mode"] == "JPEG/CMYK" and images["cat/grey.jpg"]["mode"] == "JPEG/L"
    assert str(images["cat/deep.png"]["mode"]).startswith("PNG/I")
    assert (images["cat/dot.png"]["height"], images["cat/dot.png"]["width"]) == (1, 1)
    turned = images["cat/turned.jpg"]
    assert (turned["orientation"], turned["height"], turned["width"]) == (6, SIZE_PX, 24)
    assert pd("--store", store, "verify").code == 0


def test_too_many_bad_images_fail_the_run(pd: Pd, odd_photos: Path, pipeline_file: Path, tmp_path: Path) -> None:
    """Above --max-error-rate the run fails and says how to see why; the blocks are committed all the same."""
    store = tmp_path / "s"
    pd("init", store, "--images", odd_photos, "--preset", pipeline_file)
    result = pd("--store", store, "run", "ingest", "--max-error-rate", "0.1")
    assert result.code == 1
    assert "4 of 13 images were left out and are in errors; at most 10% may be" in result.err and "pd sql" in result.err
    assert "ingest: done already" in pd("--store", store, "run", "ingest").err
