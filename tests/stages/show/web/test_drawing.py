from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pdstore import Store, masks
from pdstore.errors import InputMissing, UsageError
from stages.kernels.pictures import colour_of
from stages.mask_names import mask_colours
from stages.show.web.drawing import Drawing, Drawings, fitted_size, images_node
from stages.show.web.snapshots import Snapshot, Snapshots


@pytest.fixture
def drawings() -> Drawings:
    return Drawings()


def opened(drawing: Drawing) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(drawing.data)))


def with_parts(snapshot: Snapshot, node: str = "crf") -> int:
    """An image in which a node has masks."""
    return int(snapshot.rows("SELECT min(image_id) AS i FROM parts WHERE node = ?", [node])[0]["i"])


def test_a_photograph_is_never_enlarged(snapshot: Snapshot, drawings: Drawings) -> None:
    """A small image has its own size; the browser scales it."""
    for row in snapshot.rows("SELECT image_id, height, width FROM images LIMIT 3"):
        found = drawings.photograph(snapshot, row["image_id"], 320)
        assert found.media_type == "image/jpeg" and opened(found).shape == (row["height"], row["width"], 3)


def test_masks_lie_where_they_are(snapshot: Snapshot, drawings: Drawings) -> None:
    """Where one mask is, its colour is; where none is, the overlay is transparent."""
    image_id = with_parts(snapshot)
    rows = drawings.rows(snapshot, "crf", image_id)
    height, width = int(rows["height"][0]), int(rows["width"][0])
    drawn = opened(drawings.overlay(snapshot, "crf", image_id, 320, "areas"))
    assert drawn.shape == (*fitted_size((height, width), 320), 4)
    stack = masks.decode_to(rows.ragged("rle"), np.stack([rows["height"], rows["width"]], 1), *drawn.shape[:2])
    assert (drawn[..., 3][~stack.any(0)] == 0).mean() > 0.95
    for mask, colour in zip(stack, mask_colours(rows), strict=True):
        alone = mask & (stack.sum(0) == 1)
        assert (drawn[alone][:, :3] == colour_of(colour)).all(1).mean() > 0.8


def test_outlines_are_on_the_borders_alone(snapshot: Snapshot, drawings: Drawings) -> None:
    """Outlines cover less than areas, and nothing beside them."""
    image_id = with_parts(snapshot)
    areas, outlines = (
        opened(drawings.overlay(snapshot, "crf", image_id, 320, s))[..., 3] > 0 for s in ("areas", "outlines")
    )
    assert 0 < outlines.sum() < areas.sum() and not (outlines & ~areas).any()


def test_a_large_overlay_is_as_sharp_as_the_image_and_no_larger(snapshot: Snapshot, drawings: Drawings) -> None:
    """An image of 40 pixels needs no masks of 2048."""
    assert max(opened(drawings.overlay(snapshot, "crf", with_parts(snapshot), 2048, "areas")).shape) == 640


def test_candidates_have_the_masks_of_their_segments(snapshot: Snapshot, drawings: Drawings) -> None:
    """They are drawn though their table has none, and segments that were not chosen are left out."""
    (row,) = snapshot.rows("SELECT image_id, count(*) AS n FROM candidates GROUP BY 1 ORDER BY 2 DESC LIMIT 1")
    drawn = opened(drawings.overlay(snapshot, "candidates", row["image_id"], 320, "areas"))
    assert (drawn[..., 3] > 0).any()


def test_an_etag_names_what_is_drawn(copied: Store, drawings: Drawings) -> None:
    """Sizes, styles, layers and attempts differ; without a change it stays."""
    snapshots = Snapshots(copied.url)
    snapshot, layer = snapshots.newest(), copied.layer("crf", snapshots.newest().shown["crf"])
    image_id = with_parts(snapshot)
    first = drawings.overlay(snapshot, "crf", image_id, 320, "areas")
    assert drawings.overlay(snapshot, "crf", image_id, 320, "areas").etag == first.etag
    others = [("crf", 160, "areas"), ("crf", 320, "outlines"), ("grouping", 320, "areas")]
    etags = {drawings.overlay(snapshot, node, image_id, side, style).etag for node, side, style in others}
    assert len(etags | {first.etag}) == 4
    unit = image_id // copied.info.block_size
    rows, inputs = layer.read(unit), layer.manifest(unit).inputs
    layer.withdraw(unit)
    with pytest.raises(InputMissing, match="not committed"):
        drawings.overlay(snapshot, "crf", image_id, 320, "areas")
    layer.commit(unit, rows, inputs=inputs)
    assert drawings.overlay(snapshot, "crf", image_id, 320, "areas").etag != first.etag
    snapshots.close()


def test_what_cannot_be_drawn_is_an_error(snapshot: Snapshot, drawings: Drawings) -> None:
    """Unknown sizes, styles and nodes, nodes without masks, and images that are not there."""
    for arguments, message in (
        (("crf", 0, 321, "areas"), "expected a size"),
        (("crf", 0, 320, "dots"), "expected areas or outlines"),
        (("ingest", 0, 320, "areas"), "the node writes no masks"),
        (("ranking", 0, 320, "areas"), "the node writes no masks"),
        (("../crf", 0, 320, "areas"), "no node"),
    ):
        with pytest.raises(UsageError, match=message):
            drawings.overlay(snapshot, *arguments)
    with pytest.raises(InputMissing, match="is not committed"):
        drawings.photograph(snapshot, 10**9, 320)
    assert images_node(snapshot) == "ingest"


def test_an_image_whose_file_is_another_is_missing(copied: Store, drawings: Drawings, snapshot: Snapshot) -> None:
    """Its masks belong to the former file, so it is not shown under them."""
    root = snapshot.project.source.root
    row = snapshot.rows("SELECT image_id, key FROM images LIMIT 1")[0]
    with open(f"{root}/{row['key']}", "rb") as file:
        data = file.read()
    try:
        with open(f"{root}/{row['key']}", "ab") as file:
            file.write(b"more")
        with pytest.raises(InputMissing, match="cannot be read"):
            Drawings().photograph(snapshot, row["image_id"], 320)
    finally:
        with open(f"{root}/{row['key']}", "wb") as file:
            file.write(data)


def test_faults_of_an_image_are_found(snapshot: Snapshot, drawings: Drawings) -> None:
    """The rows of errors of its block that are about it."""
    (row,) = snapshot.rows("SELECT image_id FROM errors WHERE node = 'ingest'")
    faults = drawings.errors(snapshot, "ingest", row["image_id"])
    assert [fault["subject"] for fault in faults] == ["dogs/broken.png"]
    assert drawings.errors(snapshot, "ingest", 10**9) == []
