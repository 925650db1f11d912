from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools import mask as coco

from pdstore.errors import InputMissing, UsageError
from pdstore.records.sealed import seal, unseal
from stages.exchange import parquet
from stages.exchange.export import Request, export
from tests.stages.exchange.conftest import SIZES, Masked, in_pixels


def exported(masked: Masked, node: str, out: Path, where: str = "true", **options: Any) -> list[dict[str, Any]]:
    """The rows of all files of an export."""
    done = export(masked.store, Request("parquet", node, out, where, options=options))
    rows = [row for file in sorted((out / "data").iterdir()) for row in pq.read_table(file).to_pylist()]
    assert (done.images, done.annotations) == (len(rows), sum(len(row["annotations"]) for row in rows))
    return rows


@pytest.mark.parametrize("table", ["objects", "parts", "proposals", "labels", "predictions"])
def test_a_row_is_an_image_with_its_masks(table: str, masked: Masked, tmp_path: Path) -> None:
    """Every mask of every kind of table, in the pixels of the image, with its score and its class."""
    found = exported(masked, f"the-{table}", tmp_path / "out")
    rows, pixels = masked.rows[f"the-{table}"], in_pixels(masked.rows[f"the-{table}"])
    assert [row["image_id"] for row in found] == [0, 1, 2, 4, 5]
    assert [row["split"] for row in found] == ["train"] * 3 + ["val"] * 2
    for row in found:
        size, own = (row["height"], row["width"]), np.flatnonzero(rows["image_id"] == row["image_id"])
        assert size == SIZES[row["image_id"]] and len(row["annotations"]) == len(own)
        for mask, n in zip(row["annotations"], own, strict=True):
            painted = coco.decode({"size": size, "counts": mask["rle"]}).astype(bool)
            assert (painted == pixels[n]).all() and mask["area"] == painted.sum()
            assert mask["score"] == rows["score"][n]
            assert table == "proposals" or mask["object_id"] == rows["object_id"][n]
            ys, xs = np.nonzero(painted)
            expected = [xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1]
            assert mask["bbox"] == expected
    assert len({mask["id"] for row in found for mask in row["annotations"]}) == len(rows)


def test_pictures_are_embedded_or_named_or_left_out(masked: Masked, tmp_path: Path) -> None:
    """An embedded picture is the file itself, byte for byte."""
    root = Path(masked.store.info.source["root"])
    for row in exported(masked, "the-labels", tmp_path / "embed", images="embed"):
        assert row["image"] == {"bytes": (root / row["key"]).read_bytes(), "path": row["key"]}
    for row in exported(masked, "the-labels", tmp_path / "path"):
        assert row["image"] == {"bytes": None, "path": str(root / row["key"])}
    assert "image" not in exported(masked, "the-labels", tmp_path / "none", images="none")[0]
    with pytest.raises(UsageError, match="--images.*embed, path, none"):
        exported(masked, "the-labels", tmp_path / "other", images="all")


def test_segments_are_a_picture_with_the_best_mask_on_top(masked: Masked, tmp_path: Path) -> None:
    """A pixel is the place of its mask among the annotations, from 1; scores of this store rise with the place."""
    row = exported(masked, "the-objects", tmp_path / "out", segments=True, images="none")[0]
    found = np.asarray(Image.open(io.BytesIO(row["segments"]["bytes"])))
    expected = np.zeros(SIZES[0], int)
    for number, mask in enumerate(row["annotations"], 1):
        expected[coco.decode({"size": SIZES[0], "counts": mask["rle"]}) > 0] = number
    assert (found == expected).all() and found.dtype == np.uint8


def test_an_image_that_is_gone_is_an_error_that_names_it(own: Masked, tmp_path: Path) -> None:
    """A dataset with holes would fail later, on somebody else's machine."""
    record = unseal(own.store.files.read("store.json"))
    own.store.files.write("store.json", seal(json.loads(json.dumps(record).replace('"root": "', '"root": "/nowhere'))))
    with pytest.raises(InputMissing, match=r"0_0\.png.*cannot be embedded.*--images path"):
        exported(type(own)(type(own.store)(own.store.url), own.rows), "the-labels", tmp_path / "out", images="embed")
    assert not (tmp_path / "out").exists()


def test_neighbouring_blocks_are_joined_into_files_of_a_size(
    masked: Masked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks become one file per split, or a file each if they are large; the rows are the same."""
    where = "i.split = 'train' OR true"
    joined = exported(masked, "the-objects", tmp_path / "joined", where)
    names = [path.name for path in sorted((tmp_path / "joined/data").iterdir())]
    assert names == ["train-00000-of-00001.parquet", "val-00000-of-00001.parquet"]
    files = [tmp_path / "joined/data" / name for name in names]
    assert list(parquet._runs(files)) == [files]
    monkeypatch.setattr(parquet, "SHARD_BYTES", 1)
    assert list(parquet._runs(files)) == [[file] for file in files]
    assert exported(masked, "the-objects", tmp_path / "split", where) == joined


def test_names_of_splits_are_names_for_datasets() -> None:
    """It takes letters, digits and underscores."""
    assert [parquet.split_name(name) for name in ("train", "val-2", "")] == ["train", "val_2", "train"]
