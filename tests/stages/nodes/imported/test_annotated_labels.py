from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pdstore import masks
from schemas.tables import LABELS
from stages.nodes.imported import annotated_labels
from tests.stages.datasets.published import HEIGHT, WIDTH, box, compressed, write_coco
from tests.stages.nodes.cats import BLACK, rows_of

CATEGORIES = [{"id": i, "name": n} for i, n in enumerate(("cat 0", "cat 3 left ear", "cat ear", "catt 1", "person 2"))]


def label(image_id: int, label_id: int, mask: Any, **changes: Any) -> dict[str, Any]:
    row = {"image_id": image_id, "object_id": 0, "label_id": label_id, "category_id": 0, "cluster": label_id}
    row |= {"score": 0.25, "object_ratio": 0.5, "area": int(mask.sum()), "height": HEIGHT, "width": WIDTH}
    return row | {"rle": masks.encode(mask[None])[0]} | changes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    drawn = {
        "0_0.png": [
            (1, compressed(box(0, 0, 4, 4))),
            (2, compressed(box(0, 8, 4, 4))),
            (3, compressed(box(9, 9, 4, 4))),
        ],
        "0_1.png": [(4, compressed(box(0, 0, 2, 2)))],
        "0_2.png": [],
    }
    write_coco(tmp_path / "corrected.json", drawn, categories=CATEGORIES)
    return tmp_path / "corrected.json"


def test_the_name_of_the_part_is_the_cluster(file: Path, bench: Any) -> None:
    """Masks have the score 1; a name without a number, or a class that is not in the store, is an error row."""
    unit, setup = bench.unit(images=bench.images(BLACK, BLACK)), bench.setup(files={"file": file})
    rows = rows_of(annotated_labels, unit, setup, file=str(file))
    assert rows["cluster"].tolist() == [3, 2] and rows["category_id"].tolist() == [0, -1]
    assert rows["score"].tolist() == [1, 1] and rows["label_id"].tolist() == [0, 0]
    assert sorted(fault["reason"] for fault in unit.faults) == ["unknown_class", "unknown_part"]
    assert any("'catt'" in fault["detail"] for fault in unit.faults)


def test_listed_images_have_what_was_drawn_and_others_what_was_found(file: Path, bench: Any) -> None:
    """An image that is listed without annotations has no label; one that is not listed keeps its rows."""
    images, found = bench.images(BLACK, BLACK, BLACK, BLACK), box(2, 2, 8, 8)
    labels = bench.put("labels", LABELS, [label(n, k, found) for n in range(4) for k in range(2)])
    unit, setup = bench.unit(images=images, labels=labels), bench.setup(files={"file": file})
    rows = rows_of(annotated_labels, unit, setup, file=str(file))
    assert rows["image_id"].tolist() == [0, 1, 3, 3]
    assert rows["cluster"].tolist() == [3, 2, 0, 1] and rows["score"].tolist() == [1, 1, 0.25, 0.25]
    drawn = masks.decode(rows.ragged("rle"), HEIGHT, WIDTH)
    assert (drawn[0] == box(0, 0, 4, 4)).all() and (drawn[2] == found).all()
