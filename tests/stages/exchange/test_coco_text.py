from __future__ import annotations

import json
from pathlib import Path

from stages.exchange.choice import Category, image_layer
from stages.exchange.coco_text import category_records, join_blocks, write_block
from stages.exchange.formats import Source


def test_blocks_are_joined_to_one_file(masked, tmp_path: Path) -> None:
    """In order, also if some or all of them are empty; text of other alphabets stays as it is."""
    source = Source(masked.layer("the-labels"), image_layer(masked.store), [], record={"node": "ä"})
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        write_block(tmp_path / str(number), ())
    for n, text in ((0, ""), (2, '{"n": 1},\n{"n": 2},\n')):
        (tmp_path / str(n) / "annotations.txt").write_text(text)
    for blocks in ([0, 1, 2], [2, 1], [0, 1], []):
        join_blocks(source, [], [tmp_path / str(n) for n in blocks], tmp_path / "out.json")
        content = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
        assert content["annotations"] == ([{"n": 1}, {"n": 2}] if 2 in blocks else [])
        assert content["images"] == content["categories"] == [] and content["info"]["node"] == "ä"


def test_categories_are_numbered_from_1() -> None:
    """COCO's tools take 0 for the background; only clusters have a cluster."""
    cat, head = Category("cat 3", "cat", 0, "n1", 3, ""), Category("cat head", "cat", 0, "n1", -1, "head")
    first, second = category_records([cat, head])
    assert (first["id"], first["cluster"], first["supercategory"]) == (1, 3, "cat")
    assert second["id"] == 2 and "cluster" not in second
