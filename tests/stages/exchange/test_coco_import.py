"""Round trips: what leaves as COCO comes back with equal masks, or with what people changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pdstore import Rows, Store, masks
from pdstore.errors import CorruptData, InputMissing, UsageError
from schemas.catalog import catalog_of
from stages.exchange.coco_import import add
from stages.exchange.export import Request, export
from stages.exchange.imports import ImportRequest
from stages.plan.project import Project

KEYS = ("image_id", "object_id", "category_id", "area", "height", "width")
TABLE = {"detic": "objects", "crf": "parts", "labels": "labels"}


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory, _grouped: Store) -> Store:
    """Twelve photographs with objects, parts and labels. Never write to it."""
    from tests.stages.conftest import _copy, run_all

    store = _copy(_grouped, tmp_path_factory.mktemp("computed"))
    run_all(store)
    return store


@pytest.fixture
def store(computed: Store, tmp_path: Path) -> Store:
    from tests.stages.conftest import _copy

    return _copy(computed, tmp_path)


@pytest.fixture
def exported(store: Store, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """``exported(node)``: the content of its COCO file."""

    def content(node: str) -> dict[str, Any]:
        export(store, Request("coco", node, tmp_path / f"{node}.json"))
        return json.loads((tmp_path / f"{node}.json").read_text())

    return content


def rows_of(store: Store, node: str) -> Rows:
    layer = Project.open(store).layer(node)
    return Rows.concat(layer.table, layer.scan())


def imported(store: Store, file: Path, content: Any, run_all: Callable[..., None], **request: Any) -> Rows:
    file.write_text(json.dumps(content))
    add(Project.open(store), ImportRequest(file, "corrected", **request)).record(is_consent=True)
    run_all(store, ["corrected"])
    return rows_of(store, "corrected")


@pytest.mark.parametrize("node", TABLE)
def test_what_leaves_comes_back(store, exported, run_all, tmp_path: Path, node: str) -> None:
    """A file that nobody changed gives the node's masks, of the same objects and classes, with the score 1."""
    rows = imported(store, tmp_path / "file.json", exported(node), run_all, of=node)
    before = rows_of(store, node)
    assert rows.table.name == TABLE[node] and len(rows) == len(before) > 10
    order = [np.lexsort([r["area"], r["object_id"], r["image_id"]]) for r in (rows, before)]
    rows, before = (r.take(index) for r, index in zip((rows, before), order, strict=True))
    for name in KEYS:
        assert rows[name].tolist() == before[name].tolist(), name
    size = int(rows["height"][0]), int(rows["width"][0])
    assert (masks.decode(rows.ragged("rle"), *size) == masks.decode(before.ragged("rle"), *size)).all()
    assert set(rows["score"].tolist()) == {1.0}
    if "cluster" in rows.columns:
        assert rows["cluster"].tolist() == before["cluster"].tolist()
        assert rows["object_ratio"].tolist() == pytest.approx(before["object_ratio"].tolist(), abs=0.01)


def test_corrections_are_what_a_training_reads(store, exported, run_all, tmp_path: Path) -> None:
    """Rejected, redrawn and renamed masks come back; an image with nothing has nothing; the others are untouched."""
    content = exported("labels")
    nothing, redrawn, removed = (image["id"] for image in content["images"][:3])
    renamed = next(a for a in content["annotations"] if a["image_id"] == redrawn)
    other = next(c for c in content["categories"] if c["id"] != renamed["category_id"])
    square = np.zeros((40, 40), bool)
    square[5:9, 6:12] = True
    encoded = {"size": [40, 40], "counts": masks.encode(square[None])[0].decode()}
    drawn = {"id": 1, "image_id": redrawn, "category_id": other["id"], "segmentation": encoded, "iscrowd": 0}
    content["images"] = [image for image in content["images"] if image["id"] in (nothing, redrawn)]
    content["annotations"] = [drawn]
    rows = imported(store, tmp_path / "file.json", content, run_all, of="labels")
    before = rows_of(store, "labels")
    assert nothing in before["image_id"] and nothing not in rows["image_id"]
    (own,) = rows.by("image_id")[redrawn]
    assert (rows["cluster"][own], rows["category_id"][own], rows["area"][own]) == (
        other["cluster"],
        other["class_id"],
        24,
    )
    assert (masks.decode_one(rows.ragged("rle")[own], 40, 40) == square).all()
    untouched = [r.take(r["image_id"] == removed) for r in (rows, before)]
    assert untouched[0].ragged("rle") == untouched[1].ragged("rle") and len(untouched[0]) > 0
    # The same SQL as a training uses for its selection, and an export, see the corrections.
    sql = "SELECT DISTINCT image_id FROM labels WHERE node = 'corrected' AND score > 0.99"
    assert catalog_of(store).query(sql).column("image_id").to_pylist() == [redrawn]
    export(store, Request("coco", "corrected", tmp_path / "again.json", where="m.score = 1"))
    again = json.loads((tmp_path / "again.json").read_text())["annotations"]
    assert [a["segmentation"]["counts"] for a in again] == [encoded["counts"]]


def test_without_a_node_the_masks_are_parts_that_people_drew(store, exported, run_all, tmp_path: Path) -> None:
    """The part names are those of the categories, and images that are not in the file have no rows."""
    content = exported("crf")
    kept = content["images"][0]["id"]
    content["images"] = content["images"][:1]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] == kept]
    rows = imported(store, tmp_path / "file.json", content, run_all)
    assert rows.table.name == "parts" and set(rows["image_id"].tolist()) == {kept}
    assert set(rows["part_name"].tolist()) == {"part"}
    assert Project.open(store)["corrected"].is_truth


def test_readers_read_the_corrections(store, exported, tmp_path: Path) -> None:
    """With --for, a node reads the corrections in place of the node; fingerprints of all others stay."""
    exported("detic")
    project = Project.open(store)
    request = ImportRequest(tmp_path / "detic.json", "corrected", of="detic", readers=("labels",))
    added = add(project, request)
    assert added["labels"].inputs["objects"] == ("corrected",) and added["candidates"].inputs["objects"] == ("detic",)
    changed = {name for name in project.nodes if added[name].fingerprint != project[name].fingerprint}
    assert changed == {"labels"} and not added["corrected"].is_truth


def test_wrong_requests(store, exported, tmp_path: Path) -> None:
    """Each is one error, before the pipeline is changed."""
    exported("labels")
    project, file = Project.open(store), tmp_path / "labels.json"
    (tmp_path / "other.json").write_text('{"images": [], "annotations": [], "categories": []}')
    (tmp_path / "broken.json").write_text("{")
    for request, error, message in (
        (ImportRequest(file), UsageError, "needs a name. Add --as NODE"),
        (ImportRequest(file, "labels"), UsageError, "already has a node 'labels'"),
        (ImportRequest(file, "x", "ranking"), UsageError, "found ranking, which writes clusters"),
        (ImportRequest(file, "x", "labls"), UsageError, "Did you mean 'labels'"),
        (ImportRequest(file, "x", "labels", ("crf",)), UsageError, "crf: the node does not read labels. No node does"),
        (ImportRequest(file, "x", "detic", ("crf",)), UsageError, "These do: grouping, candidates, labels"),
        (ImportRequest(file, "x", readers=("crf",)), UsageError, "Add --of NODE"),
        (ImportRequest(tmp_path / "no.json", "x"), InputMissing, "there is no such file"),
        (ImportRequest(tmp_path / "other.json", "x"), InputMissing, "none of the 0 images"),
        (ImportRequest(tmp_path / "broken.json", "x"), CorruptData, "not COCO JSON"),
    ):
        with pytest.raises(error, match=message):
            add(project, request)
