from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pdstore.errors import Preempted
from pdstore.files import Files
from schemas.tables import ERRORS, OBJECTS
from stages.unit import Control, Output, Unit, UnitsOfOneBlock

BLACK = np.zeros((4, 4, 3), np.uint8)


def test_blocks_are_those_that_every_input_has(bench: Any) -> None:
    """Of several roles and nodes; what the runner has fixed counts in place of what is committed by now."""
    for number in (0, 1, 2):
        images = bench.images(BLACK, unit=number)
    first, second = bench.put("first", OBJECTS, [], 1), bench.put("second", OBJECTS, [], 1)
    bench.put("first", OBJECTS, [], 2)
    layers = {"images": [images], "objects": [first, second]}
    unit = Unit("node", 0, bench.unit().images, layers)
    assert unit.blocks("images") == [0, 1, 2] and unit.blocks("images", "objects") == [1]
    fixed = Unit("node", 0, bench.unit().images, layers, committed={"images": {0, 2}, "second": {1, 2}})
    assert fixed.blocks("images", "objects") == [2]


def test_a_rejected_image_is_an_error_row_with_its_key(bench: Any) -> None:
    """A subject that is given stands in place of the key; rows come by image, whatever the order of rejection."""
    unit = bench.unit(images=bench.images(BLACK, BLACK))
    unit.reject(1, "no_object", "nothing above 0.5")
    unit.reject(-1, "too_few_points", "only 2", "cat")
    unit.reject(0, "no_object", "nothing above 0.5")
    rows = unit.errors()
    assert rows.table == ERRORS
    assert rows["image_id"].tolist() == [-1, 0, 1] and rows["subject"].tolist() == ["cat", "0_0.png", "0_1.png"]
    assert rows["reason"].tolist() == ["too_few_points", "no_object", "no_object"]


def test_rejected_images_are_counted_once(bench: Any) -> None:
    """Two faults of an image are one rejected image; a fault of no image is none."""
    unit = bench.unit(images=bench.images(BLACK, BLACK))
    assert unit.num_rejected() == 0 and len(unit.errors()) == 0
    for image_id, reason in ((0, "empty_mask"), (0, "empty_mask"), (0, "wrong_size"), (1, "wrong_size"), (-1, "other")):
        unit.reject(image_id, reason, "", "subject")
    assert unit.num_rejected() == 2
    assert [unit.num_rejected(reason) for reason in ("empty_mask", "wrong_size", "other", "none")] == [1, 2, 0, 0]


def test_what_is_smaller_than_an_image_is_counted_apart(bench: Any) -> None:
    """An image that lost parts is a row of errors, but is not left out; each part and object counts."""
    unit = bench.unit(images=bench.images(BLACK, BLACK))
    unit.reject(0, "empty_mask", "tail", of="part")
    unit.reject(0, "empty_mask", "head", of="part")
    unit.reject(1, "empty_mask", "cat", of="object")
    unit.reject(1, "wrong_size", "")
    assert unit.left_out == {"part": 2, "object": 1} and len(unit.errors()) == 4
    assert unit.num_rejected() == 1 and unit.num_rejected("empty_mask") == 0


def test_a_unit_stops_when_the_run_is_asked_to() -> None:
    """The error names node and unit; until then nothing happens."""
    is_stopped: list[bool] = []
    unit = Unit("crf", 7, None, {}, control=Control(should_stop=lambda: bool(is_stopped)))  # type: ignore[arg-type]
    unit.check_stop()
    is_stopped.append(True)
    with pytest.raises(Preempted, match="crf: stopped in unit 7, which is not committed"):
        unit.check_stop()


def test_a_unit_reports_to_its_run() -> None:
    """Counts and lines arrive; without a run they go nowhere."""
    counts: list[int] = []
    lines: list[str] = []
    unit = Unit("crf", 0, None, {}, control=Control(advance=counts.append, note=lines.append))  # type: ignore[arg-type]
    unit.advance(2)
    unit.note("text")
    assert (counts, lines) == ([2], ["text"])
    alone = Unit("crf", 0, None, {})  # type: ignore[arg-type]
    alone.advance(1)
    alone.note("unheard")
    alone.check_stop()


def test_units_of_several_nodes_read_a_block_together(bench: Any) -> None:
    """A picture is decoded and counted once; a damaged one is an error row of each unit, and a stop reaches all."""
    layer = bench.images(BLACK, BLACK)
    (bench.folder / "0_1.png").write_bytes(b"no picture")
    counts: list[int] = []
    is_stopped: list[bool] = []
    control = Control(should_stop=lambda: bool(is_stopped), advance=counts.append)
    units = [Unit(node, 0, Files(str(bench.folder)), {"images": [layer]}, control=control) for node in ("a", "b")]
    block = UnitsOfOneBlock(units).block
    assert [image_id for image_id, _ in block.pictures()] == [0] and sum(counts) == 2
    assert [(unit.faults[0]["subject"], unit.num_rejected()) for unit in units] == [("0_1.png", 1)] * 2
    is_stopped.append(True)
    with pytest.raises(Preempted, match="a: stopped in unit 0"):
        list(block.pictures())


def test_an_output_may_be_rows_alone(bench: Any) -> None:
    """Only stages that write a network or a table of their own add files."""
    rows = bench.images(BLACK).read(0)
    assert Output(rows).files == {} and Output(rows, {"a": b"b"}).files == {"a": b"b"}
