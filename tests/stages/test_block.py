from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pdstore import Identity, Rows, Store, StoreInfo, masks
from pdstore.errors import Preempted
from pdstore.files import Files
from schemas.tables import IMAGES, OBJECTS
from stages.block import check_unchanged, read_image
from stages.source.images import ImageFault
from stages.unit import Control, Unit


def picture(value: int, height: int = 6, width: int = 8) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def thing(image_id: int, object_id: int = 0) -> dict[str, Any]:
    mask = np.ones((1, 6, 8), bool)
    frame = {"height": 6, "width": 8, "area": 48, "rle": masks.encode(mask)[0], "score": 1.0}
    return {"image_id": image_id, "object_id": object_id, "category_id": 0, "category_name": "cat", **frame}


def test_a_block_has_the_rows_of_its_number(bench: Any) -> None:
    """Each block reads its own rows of a role, all columns or those named."""
    bench.images(picture(1), picture(2))
    images = bench.images(picture(3), unit=1)
    unit = bench.unit(images=images)
    assert unit.block(0).rows("images")["image_id"].tolist() == [0, 1]
    assert unit.block(1).rows("images")["image_id"].tolist() == [4]
    assert list(unit.block(1).rows("images", ["key"]).columns) == ["key"]
    assert unit.block(1).table("images") == IMAGES


def test_the_rows_of_a_role_with_several_nodes_are_joined(bench: Any) -> None:
    """They come node by node, in the order in which the pipeline names the nodes."""
    first, second = bench.put("first", OBJECTS, [thing(1)]), bench.put("second", OBJECTS, [thing(0), thing(1, 1)])
    unit = Unit("node", 0, bench.unit().images, {"objects": [second, first]})
    rows = unit.own_block.rows("objects", ["image_id", "object_id"])
    assert list(zip(rows["image_id"].tolist(), rows["object_id"].tolist(), strict=True)) == [(0, 0), (1, 1), (1, 0)]


def test_keys_and_classes_are_those_of_the_images(bench: Any) -> None:
    """By image_id, without the packed files."""
    block = bench.unit(images=bench.images(picture(1), picture(2), classes=[0, 1])).own_block
    assert block.keys == {0: "0_0.png", 1: "0_1.png"}
    assert block.classes == {0: (0, "cat"), 1: (1, "dog")}
    assert "encoded" not in block.image_rows.columns


def test_pictures_come_in_the_order_asked_for(bench: Any) -> None:
    """All images of the block by rising id, or those named, as RGB pixels; progress counts every one."""
    done: list[int] = []
    unit = bench.unit(images=bench.images(*(picture(value) for value in (10, 20, 30))))
    unit.control = Control(advance=done.append)
    assert [(i, int(pixels[0, 0, 0]), pixels.shape) for i, pixels in unit.own_block.pictures()] == [
        (0, 10, (6, 8, 3)),
        (1, 20, (6, 8, 3)),
        (2, 30, (6, 8, 3)),
    ]
    assert [image_id for image_id, _ in unit.own_block.pictures([2, 0])] == [2, 0]
    assert done == [1] * 5


def test_a_damaged_picture_is_rejected(bench: Any) -> None:
    """A file that is gone, or is no image, becomes an error row with its key and reason; the others come."""
    unit = bench.unit(images=bench.images(picture(1), picture(2), picture(3)))
    (bench.folder / "0_0.png").unlink()
    (bench.folder / "0_2.png").write_bytes(b"no image")
    assert [image_id for image_id, _ in unit.own_block.pictures()] == [1]
    faults = [(fault["image_id"], fault["subject"], fault["reason"]) for fault in unit.faults]
    assert faults == [(0, "0_0.png", "missing_file"), (2, "0_2.png", "not_an_image")]


def test_a_request_to_stop_ends_the_pictures(bench: Any) -> None:
    """The next picture raises Preempted with the unit's number."""
    unit = bench.unit(images=bench.images(picture(1), picture(2)))
    is_stopped: list[bool] = []
    unit.control = Control(should_stop=lambda: bool(is_stopped))
    pictures = unit.own_block.pictures()
    next(pictures)
    is_stopped.append(True)
    with pytest.raises(Preempted, match="stopped in unit 0"):
        next(pictures)


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_a_batch_has_pictures_of_one_shape(bench: Any, size: int) -> None:
    """At most ``size`` at a time; every picture comes once, with its own id."""
    wide, high = [picture(value) for value in (1, 2, 3, 4)], [picture(value, 8, 6) for value in (5, 6, 7)]
    bench.images(wide[0], high[0], wide[1], wide[2])
    images = bench.images(high[1], high[2], wide[3], unit=1)
    values = {0: 1, 1: 5, 2: 2, 3: 3, 4: 6, 5: 7, 6: 4}
    for number in (0, 1):
        block = bench.unit(number, images=images).own_block
        batches = list(block.batches(size, lambda pixels: pixels.shape))
        for ids, stack in batches:
            assert 1 <= len(ids) == len(stack) <= size and len({pixels.shape for pixels in stack}) == 1
            assert [int(pixels[0, 0, 0]) for pixels in stack] == [values[image_id] for image_id in ids]
        assert sorted(image_id for ids, _ in batches for image_id in ids) == sorted(block.keys)


def test_packed_files_need_no_folder(tmp_path: Path, bench: Any) -> None:
    """If ingest packed the files, pictures come from the store, whatever is in the image folder."""
    Image.fromarray(picture(77)).save(tmp_path / "source.png")
    store = Store.create(str(tmp_path / "packed"), StoreInfo(4, 0, {"root": str(tmp_path)}))
    layer = store.declare("ingest", Identity("ingest", 1, {"copy": True}), IMAGES, "test")
    record = {"image_id": 0, "key": "gone.png", "split": "train", "wnid": "", "class_id": 0, "class_name": "cat"}
    record |= {"height": 6, "width": 8, "bytes": 0, "mode": "PNG/RGB", "orientation": 1, "sha256": ""}
    layer.commit(0, Rows.from_records(IMAGES, [record | {"encoded": (tmp_path / "source.png").read_bytes()}]))
    unit = Unit("node", 0, Files(str(tmp_path / "nowhere")), {"images": [layer]})
    assert [(image_id, int(pixels[0, 0, 0])) for image_id, pixels in unit.own_block.pictures()] == [(0, 77)]
    assert unit.faults == []


def test_a_read_that_fails_on_the_way_is_no_fault_of_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk is raised as it is; an error about the path, or a missing file, is an ImageFault."""
    files = Files(str(tmp_path))
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageFault) as missing:
        read_image(files, "none.png")
    assert missing.value.reason == "missing_file" and str(tmp_path / "none.png") in missing.value.detail
    with pytest.raises(ImageFault) as unreadable:
        read_image(files, "folder.png")
    assert unreadable.value.reason == "unreadable"

    def broken(self: Files, path: str) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Files, "read", broken)
    with pytest.raises(OSError, match="Input/output error"):
        read_image(files, "any.png")


def _ingested(bench: Any, key: str) -> tuple[Any, Path]:
    """A layer with one image as ingest writes it, and its file."""
    path = bench.folder / key
    Image.fromarray(picture(9)).save(path)
    record = {"image_id": 0, "key": key, "split": "train", "wnid": "", "class_id": 0, "class_name": "cat"}
    record |= {"height": 6, "width": 8, "bytes": path.stat().st_size, "mode": "PNG/RGB", "orientation": 1}
    record |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "encoded": b""}
    return bench.put("ingest", IMAGES, [record]), path


@pytest.mark.parametrize("size", [(6, 8), (8, 6), (12, 16)])
def test_a_picture_that_was_replaced_is_rejected(bench: Any, size: tuple[int, int]) -> None:
    """Also by one of the same size: the masks of the store belong to another picture."""
    layer, path = _ingested(bench, "a.png")
    assert [i for i, _ in bench.unit(images=layer).own_block.pictures()] == [0]
    Image.fromarray(picture(200, *size)).save(path)
    unit = bench.unit(images=layer)
    assert list(unit.own_block.pictures()) == []
    assert [(f["image_id"], f["subject"], f["reason"]) for f in unit.faults] == [(0, "a.png", "changed")]


def test_a_picture_of_another_size_is_rejected_without_a_digest(bench: Any) -> None:
    """Rows that carry no sha256 still say the size."""
    images = bench.images(picture(1), picture(2))
    Image.fromarray(picture(1, 7, 8)).save(bench.folder / "0_0.png")
    unit = bench.unit(images=images)
    assert [i for i, _ in unit.own_block.pictures()] == [1]
    assert unit.faults[0]["reason"] == "changed" and "8x6 pixels at ingest, now 8x7" in unit.faults[0]["detail"]


def test_bytes_are_compared_with_their_digest() -> None:
    """Equal bytes pass, others are a fault; without a digest everything passes."""
    check_unchanged(b"abc", hashlib.sha256(b"abc").hexdigest())
    check_unchanged(b"abc", "")
    with pytest.raises(ImageFault, match=r"another one than at ingest \(now 3 bytes\)"):
        check_unchanged(b"abd", hashlib.sha256(b"abc").hexdigest())
