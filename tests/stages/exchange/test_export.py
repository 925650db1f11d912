from __future__ import annotations

import json
from pathlib import Path

import pytest

from pdstore.errors import InputMissing, Preempted, UsageError
from stages.exchange.export import Request, export
from stages.unit import Control


def test_an_export_says_what_it_wrote_and_left_out(masked, tmp_path: Path) -> None:
    """Images, masks and categories are counted, and so is every mask and image that is left out, with its reason."""
    out = tmp_path / "out.json"
    done = export(masked.store, Request("coco", "the-labels", out, where="m.cluster = 4"))
    assert (done.images, done.annotations, done.categories, done.reused) == (5, 10, 7, 0)
    assert done.left_out == {"image without a chosen mask": 1, "mask not chosen": 10}
    assert out.exists() and [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out.json"]


def test_blocks_that_are_not_computed_are_counted(own, tmp_path: Path) -> None:
    """What the node has not committed is left out with a reason; a node without any block is an error."""
    own.layer("the-parts").withdraw(0)
    done = export(own.store, Request("coco", "the-parts", tmp_path / "out.json"))
    assert done.images == 2 and done.left_out == {"image not computed yet": 4}
    own.layer("the-parts").withdraw(1)
    with pytest.raises(InputMissing, match="no output of the node yet. Run: pd stage run the-parts"):
        export(own.store, Request("coco", "the-parts", tmp_path / "other.json"))


def test_a_stopped_export_goes_on(masked, tmp_path: Path) -> None:
    """The second run writes the missing block only, and its output is that of a run that was not stopped."""
    request, advanced = Request("coco", "the-labels", tmp_path / "out.json"), []
    with pytest.raises(Preempted, match="the blocks that are written are kept"):
        export(masked.store, request, Control(lambda: sum(advanced) > 0, advanced.append))
    assert not request.out.exists() and advanced == [0, 4]
    assert export(masked.store, request).reused == 1
    whole = Request("coco", "the-labels", tmp_path / "whole.json")
    export(masked.store, whole)
    assert request.out.read_bytes() == whole.out.read_bytes()


def test_a_condition_that_reads_other_rows_is_asked_again(masked, tmp_path: Path) -> None:
    """What its subquery reads may have changed meanwhile, so that no block of the earlier run is used."""
    where, advanced = "m.image_id IN (SELECT image_id FROM parts)", []
    request = Request("coco", "the-labels", tmp_path / "out.json", where=where)
    with pytest.raises(Preempted):
        export(masked.store, request, Control(lambda: sum(advanced) > 0, advanced.append))
    assert export(masked.store, request).reused == 0


def test_what_was_recomputed_meanwhile_is_written_again(own, tmp_path: Path) -> None:
    """A block whose rows are others now is not used again."""
    request, advanced = Request("coco", "the-labels", tmp_path / "out.json"), []
    with pytest.raises(Preempted):
        export(own.store, request, Control(lambda: sum(advanced) > 0, advanced.append))
    layer = own.layer("the-labels")
    rows = layer.read(0)
    layer.withdraw(0)
    layer.commit(0, rows.take([0]))
    done = export(own.store, request)
    assert done.reused == 0 and done.annotations == 9


def test_requests_that_cannot_be_met_are_refused_before_anything_is_written(masked, tmp_path: Path) -> None:
    """A wrong format, node, option, or an output that exists: one error each, and no file."""
    out = tmp_path / "out" / "x.json"
    out.parent.mkdir()
    for wrong, message in (
        (Request("cocoa", "the-labels", out), "Did you mean 'coco'"),
        (Request("coco", "nothing", out), "no node 'nothing'"),
        (Request("coco", "the-labels", out, options={"images": "embed"}), "no option images"),
        (Request("coco", "the-labels", out, where="x"), "not valid"),
        (Request("coco", "the-labels", out, selection="x"), "no selection 'x'"),
    ):
        with pytest.raises(UsageError, match=message):
            export(masked.store, wrong)
    assert list(out.parent.iterdir()) == []
    out.write_text("{}")
    with pytest.raises(UsageError, match="exists already"):
        export(masked.store, Request("coco", "the-labels", out))
    assert export(masked.store, Request("coco", "the-labels", out, overwrite=True)).images == 5
    assert len(json.loads(out.read_text())["images"]) == 5


def test_a_selection_and_empty_images(masked, tmp_path: Path) -> None:
    """Only the images of the selection are listed, also those without a mask if they are asked for."""
    request = Request("coco", "the-labels", tmp_path / "out.json", selection="chosen", with_empty=True)
    done = export(masked.store, request)
    assert (done.images, done.annotations) == (2, 4)
    assert [image["id"] for image in json.loads(request.out.read_text())["images"]] == [3, 5]
