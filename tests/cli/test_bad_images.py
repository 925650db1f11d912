"""Every kind of image file that a folder may hold: readable files become rows, others error rows with a reason."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import SIZE_PX, Pd, assert_error, draw, draw_noise

_ORIENTATION_TAG = 0x0112


@pytest.fixture
def odd_photos(tmp_path: Path) -> Path:
    """Three intact pictures and one of each odd kind."""
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
    """Every listed file is in `images` or in `errors`, and the rest of the pipeline runs."""
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
    """Above --max-error-rate the run fails and says how to see why; the blocks are committed nevertheless."""
    store = tmp_path / "s"
    pd("init", store, "--images", odd_photos, "--preset", pipeline_file)
    result = pd("--store", store, "run", "ingest", "--max-error-rate", "0.1")
    assert result.code == 1
    assert "4 of 13 images were left out and are in errors; at most 10% may be" in result.err and "pd sql" in result.err
    assert "ingest: already done" in pd("--store", store, "run", "ingest").err


def test_no_object_in_any_image(pd: Pd, pipeline_file: Path, tmp_path: Path) -> None:
    """Each image becomes an error row; the run fails with the query that shows why, and the blocks are committed."""
    for number in range(3):
        draw_noise(tmp_path / "plain" / "cat" / f"{number}.png")
    store = tmp_path / "s"
    pd("init", store, "--images", tmp_path / "plain", "--preset", pipeline_file)
    result = pd("--store", store, "run")
    assert_error(result, 1, "detic: 3 of 3 images were left out and are in errors; at most 50% may be", "--max-error")
    rows = pd("--store", store, "sql", "SELECT DISTINCT node, reason FROM errors", "--format", "csv").out
    assert rows.splitlines()[1:] == ["detic,no_object"]
    assert "detic: already done" in pd("--store", store, "run", "detic").err


def test_images_that_disappeared(pd: Pd, store: Path, photos: Path) -> None:
    """If the image folder is gone, its blocks fail and nothing is lost; `pd show` names the missing file."""
    pd("run", "ingest")
    shutil.move(photos, photos.with_name("unmounted"))
    result = pd("stage", "run", "detic")
    assert result.code == 1
    assert f"{photos}: the files of 2 of 2 images are missing, and the image folder cannot be read" in result.err
    assert_error(pd("show", "0"), 1, "the file of the image is missing", photos, ".png", "Bring the file back")
    assert pd("stage", "run", "detic", "--max-error-rate", "1", "--limit", "1").code == 0
    shutil.move(photos.with_name("unmounted"), photos)
    assert pd("stage", "run", "detic").code == 0
    assert pd("sql", "SELECT count(*) n FROM errors WHERE node = 'detic'", "--format", "csv").out.split() == [
        "n",
        "2",
    ]
