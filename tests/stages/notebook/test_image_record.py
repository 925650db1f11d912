from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdstore import masks
from pdstore.errors import InputMissing, UsageError
from stages.notebook import Database


def test_a_record_has_the_picture_of_the_file(db: Database) -> None:
    """The pixels are those of the file, and the rest is the row of the image."""
    for row in db.table("images"):
        image = db.image(row["image_id"])
        with Image.open(Path(db.url).parent / "images" / row["key"]) as file:
            assert np.array_equal(image.picture, np.asarray(file.convert("RGB")))
        found = (image.key, image.class_name, image.split, image.height, image.width, image.size)
        assert found == (*(row[n] for n in ("key", "class_name", "split", "height", "width")), image.picture.shape[:2])


def test_a_layer_has_the_rows_and_masks_of_its_node(db: Database) -> None:
    """Only the nodes that write masks; the rows are those that SQL gives."""
    image = db.image(4)
    assert list(image.layers) == ["detic", "grouping", "crf"]
    for node, layer in image.layers.items():
        rows = db.table(layer.table, f"node = '{node}' AND image_id = 4").arrow().drop_columns(["node", "layer"])
        # As text: the column changed is NaN before the CRF.
        assert str(list(layer.rows)) == str(rows.to_pylist()) and len(layer) == len(rows) > 0
        assert layer.masks.dtype == bool and layer.masks.shape == (len(layer), image.height, image.width)
        assert layer.masks.sum((1, 2)).tolist() == layer.rows["area"].tolist()


def test_a_longer_side_scales_picture_and_masks(db: Database) -> None:
    """Both have the same size; a smaller image keeps its own."""
    image, whole = db.image(4, long_side=20), db.image(4)
    assert image.picture.shape == (20, 20, 3) and db.image(4, long_side=99).size == whole.size
    layer = image.layers["detic"]
    expected = [masks.resize_nearest(mask, 20, 20) for mask in whole.layers["detic"].masks]
    assert np.array_equal(layer.masks, np.stack(expected))


def test_it_prints_what_was_found(db: Database) -> None:
    """One line, with the number of masks per node."""
    image = db.image(4)
    text = f"<image 4: {image.key} ({image.class_name}, train, {image.height} x {image.width}); masks: detic "
    assert repr(image).startswith(text) and re.search(r"grouping \d+, crf \d+>$", repr(image))
    assert re.fullmatch(r"<crf: \d+ parts>", repr(image.layers["crf"]))


def test_a_notebook_shows_the_overlays(db: Database) -> None:
    """One figure for the picture and one per node; each is an image in the page itself, and no text is HTML."""
    html = db.image(4)._repr_html_()
    data = re.findall(r'src="data:image/webp;base64,([^"]+)"', html)
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in data]
    assert len(pictures) == html.count("<figcaption>") == 4 and {p.shape for p in pictures} == {(224, 224, 3)}
    assert all(np.abs(p.astype(int) - pictures[0]).mean() > 3 for p in pictures[1:])
    assert "http" not in html and "<script" not in html


def test_an_overlay_colours_the_masks(db: Database) -> None:
    """At the size that is asked for; a node without masks is refused, with the nearest name."""
    image = db.image(4)
    assert image.overlay("crf", 80).size == (80, 80)
    with pytest.raises(UsageError, match=r"image 4: croof has no masks of this image\. Did you mean 'crf'\?"):
        image.overlay("croof")


def test_an_image_that_was_not_ingested_is_an_error(db: Database) -> None:
    """In a block that is there, and beyond."""
    for image_id in (-1, 12, 999):
        with pytest.raises(InputMissing, match=f"image {image_id}: this image was not ingested"):
            db.image(image_id)
