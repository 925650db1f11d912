from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdstore import Rows, Store, layout
from pdstore.errors import InputMissing, UsageError
from schemas.pipeline import PipelineSpec, SourceSpec
from schemas.tables import PROPOSALS
from stages.create.store import create_store
from stages.evaluation.truth_store import TruthStore
from stages.kernels.protocol import HONEST, REFERENCE

ANNOTATIONS = {"file": "{images}/annotations.json"}
NODES: dict[str, Any] = {
    "ingest": {},
    "few-parts": {
        "stage": "annotated-parts",
        "inputs": {"images": "ingest"},
        "settings": {**ANNOTATIONS, "percent": 20},
    },
    "truth-parts": {"stage": "annotated-parts", "inputs": {"images": "ingest"}, "settings": ANNOTATIONS},
    "truth-objects": {"stage": "annotated-objects", "inputs": {"images": "ingest"}, "settings": ANNOTATIONS},
}


@pytest.fixture(scope="module")
def drawn_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Store]:
    """``drawn_store(*nodes)``: a new store of 8 training and 6 held-out drawn images, with these nodes."""
    folder = tmp_path_factory.mktemp("drawn")

    def make(*nodes: str) -> Store:
        spec = PipelineSpec.parse({"block_size": 4, "nodes": {name: NODES[name] for name in nodes}}, "pipeline")
        source = SourceSpec(kind="demo", root=str(folder / "images"), num_train=8, num_val=6)
        return create_store(str(folder / f"store{len(list(folder.iterdir()))}"), source, spec)

    return make


@pytest.fixture(scope="module")
def whole(drawn_store: Callable[..., Store], request: pytest.FixtureRequest) -> Store:
    """A finished store with all four nodes. Never write to it."""
    from tests.stages.conftest import run_all

    store = drawn_store(*NODES)
    run_all(store)
    return store


def test_a_finished_store_is_read(whole: Store) -> None:
    """Its images, all its labels and its objects; the name is that of the data set."""
    truth = TruthStore.open(whole.url, REFERENCE)
    assert truth.name == "demo" and truth.splits() == ["train", "val"]
    assert {role: layer.node for role, layer in truth.layers.items()} == {
        "images": "ingest",
        "truth": "truth-parts",
        "truth_objects": "truth-objects",
    }
    assert sorted(truth.parts.values()) == list(range(len(truth.parts))) and len(truth.parts) > 3
    assert set(TruthStore.open(whole.url, HONEST).layers) == {"images", "truth"}


def test_images_are_chosen_by_split_and_class(whole: Store) -> None:
    """Each group of images has its limit, and only images with ground truth of an allowed class are taken."""
    truth = TruthStore.open(whole.url, HONEST)

    def by_split(split: str) -> str:
        return split

    found, counts = truth.chosen(by_split, 0)
    assert counts == {"train": 8, "val": 6} and sum(len(ids) for _, ids in found) == 14
    assert all((ids // 4 == block).all() for block, ids in found)
    limited, counts = truth.chosen(by_split, 3)
    first = [i for _, ids in found for i in ids.tolist()]
    assert counts == {"train": 3, "val": 3} and {i for _, ids in limited for i in ids.tolist()} <= set(first)
    _, counts = truth.chosen(lambda split: "held out" if split == "val" else "", 0)
    assert counts == {"held out": 6}
    ones, _ = truth.chosen(by_split, 0, [2])
    for block, ids in ones:
        assert truth.categories(block, ids.tolist()) == {int(i): [2] for i in ids}
    assert 0 < sum(len(ids) for _, ids in ones) < 14


def test_only_the_images_asked_for_are_scored(whole: Store) -> None:
    """Truth and images of others in the block are left out, and the objects are there for the protocol."""
    truth = TruthStore.open(whole.url, REFERENCE)
    block, ids = truth.chosen(lambda split: "all", 0)[0][0]
    scored = truth.scored(block, ids[:2].tolist(), Rows.empty(PROPOSALS), has_clusters=False)
    assert sorted(scored.images["image_id"].tolist()) == ids[:2].tolist()
    samples = list(scored.samples(truth.parts, REFERENCE, ""))
    assert [sample.image_id for _, sample in samples] == ids[:2].tolist()
    assert all(sample.object_mask for _, sample in samples)


def test_what_cannot_be_evaluated_on_is_refused(
    whole: Store, drawn_store: Callable[..., Store], run_all: Callable[..., None], tmp_path: Path
) -> None:
    """No store, no ground truth, no objects, a node that has not run or lacks a block: each has its error."""
    with pytest.raises(UsageError, match=r"nowhere: there is no store here"):
        TruthStore.open(str(tmp_path / "nowhere"), HONEST)
    bare = drawn_store("ingest")
    with pytest.raises(UsageError, match=rf"{bare.url}: the store has no node of stage annotated-parts.*--dataset"):
        TruthStore.open(bare.url, HONEST)
    no_objects = drawn_store("ingest", "truth-parts")
    with pytest.raises(UsageError, match=r"no node of stage annotated-objects\. Set evaluate_protocol=honest"):
        TruthStore.open(no_objects.url, REFERENCE)
    with pytest.raises(InputMissing, match=r"ingest has 0 of 4 blocks.* Run: pd --store .* stage run ingest"):
        TruthStore.open(no_objects.url, HONEST)
    shutil.copytree(whole.url, tmp_path / "part")
    part = Store(str(tmp_path / "part"))
    part.layer("truth-parts", part.current()["truth-parts"]).withdraw(2)
    with pytest.raises(InputMissing, match=r"truth-parts has 3 of 4 blocks"):
        TruthStore.open(part.url, HONEST)
    (Path(part.url) / layout.PIPELINE).unlink()
    shutil.rmtree(Path(part.url) / "pipeline")
    with pytest.raises(UsageError, match="the store has no pipeline"):
        TruthStore.open(part.url, HONEST)
