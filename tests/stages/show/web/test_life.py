from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from pdstore import Store
from pdstore.errors import InputMissing
from stages.show.web.drawing import Drawings
from stages.show.web.life import read_life
from stages.show.web.snapshots import Snapshot, Snapshots
from tests.stages.show.web.conftest import MARKUP


def _labelled(snapshot: Snapshot) -> int:
    return int(snapshot.rows("SELECT min(image_id) AS i FROM labels")[0]["i"])


def test_every_node_is_a_step(snapshot: Snapshot) -> None:
    """They come in the pipeline's order, with as many rows as SQL counts."""
    image_id = _labelled(snapshot)
    life = read_life(Drawings(), snapshot, image_id)
    assert [step.node for step in life.steps] == ["detic", "grouping", "crf", "candidates", "labels"]
    for step in life.steps:
        sql = f"SELECT count(*) AS n FROM {step.noun} WHERE node = ? AND image_id = ?"
        assert len(step.masks) == snapshot.rows(sql, [step.node, image_id])[0]["n"]
        scores = [mask.score for mask in step.masks]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= mask.share <= 1 for mask in step.masks if mask.share is not None)
    crf = life.steps[2]
    assert crf.read == {"grouping": len(life.steps[1].masks)} and crf.summary.endswith("in grouping")


def test_an_image_that_was_left_out_has_its_reason(snapshot: Snapshot) -> None:
    """The page of an image that could not be decoded says why; a number of no image is missing."""
    (row,) = snapshot.rows("SELECT image_id, reason FROM errors WHERE node = 'ingest'")
    with pytest.raises(InputMissing, match=f"this image was left out, {row['reason']}: "):
        read_life(Drawings(), snapshot, row["image_id"])
    with pytest.raises(InputMissing, match="is not committed"):
        read_life(Drawings(), snapshot, 10**9)


def test_a_node_that_has_not_run_is_said_so(copied: Store) -> None:
    """A block that is not committed is told from one without rows."""
    snapshots = Snapshots(copied.url)
    snapshot = snapshots.newest()
    image_id = _labelled(snapshot)
    copied.layer("labels", snapshot.shown["labels"]).withdraw(image_id // copied.info.block_size)
    labels = read_life(Drawings(), snapshot, image_id).steps[-1]
    assert not labels.is_computed and labels.masks == () and labels.summary == "not computed yet"
    snapshots.close()


def test_the_page_has_every_picture_with_its_size(client: TestClient, snapshot: Snapshot) -> None:
    """Width and height are given before anything is loaded, every picture has a text, and the neighbours are linked."""
    image_id = _labelled(snapshot)
    text = client.get(f"/image/{image_id}").text
    images = text.split("<img ")[1:]
    assert len(images) == 1 + 3 * 5
    assert all('width="320" height="320"' in image and "alt=" in image for image in images)
    assert f'href="/image/{image_id + 1}"' in text


def test_markup_in_names_is_shown_as_text(client: TestClient, snapshot: Snapshot) -> None:
    """Class and key of an image are text."""
    (row,) = snapshot.rows("SELECT image_id FROM images WHERE class_name = ? LIMIT 1", [MARKUP])
    text = client.get(f"/image/{row['image_id']}").text
    assert "<img src=x" not in text and "<b>.png" not in text and "&lt;b&gt;.png" in text


def test_a_page_that_is_not_there(client: TestClient, open_client: Callable[..., TestClient]) -> None:
    """Numbers of no image, and what is no number, are pages that say so."""
    for path in ("/image/1000000", "/image/99999999999999999999", "/image/x", "/image/-1", "/image/%2e%2e"):
        answer = client.get(path)
        assert answer.status_code == 404 and 'role="alert"' in answer.text
