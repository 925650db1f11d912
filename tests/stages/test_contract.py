"""The contract that every stage keeps, on the nodes of the demo pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pdstore import Layer, Store, masks
from pdstore.blockfile import ERRORS, pack, parquet_bytes
from pdstore.errors import UsageError
from pdstore.fingerprint import digest
from schemas.pipeline import NodeSpec
from stages.plan.inputs import Inputs
from stages.plan.pipeline import Node, Pipeline
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.registry import STAGES
from stages.run.preflight import prepare
from stages.stage import MODEL
from stages.training_place import TrainingPlace
from stages.unit import Output, Setup, Unit

DEMO = Pipeline(read_preset("demo"), root="images")
NODES = list(DEMO.nodes)
BLOCK_NODES = [name for name, node in DEMO.nodes.items() if node.stage.unit == "block"]
MASK_NODES = [name for name, node in DEMO.nodes.items() if "rle" in node.stage.output.names]
PURE_NODES = [name for name, node in DEMO.nodes.items() if not node.stage.is_training]
ROLES = [(name, role) for name, stage in STAGES.items() for role, r in stage.inputs.items() if not r.is_optional]


@pytest.fixture(params=NODES)
def node(request: pytest.FixtureRequest, finished: Store) -> Node:
    return Project.open(finished)[request.param]


@pytest.fixture
def layer(finished: Store, node: Node) -> Layer:
    return finished.layer(node.name, node.fingerprint)


def snapshot(store: Store) -> dict[str, tuple[int, int]]:
    """Every file of the store: size and time of its last change."""
    files = (path for path in Path(store.url).rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def unit_of(store: Store, node: Node, number: int) -> tuple[Callable[[Unit], Output], Unit]:
    """What the runner hands to a stage."""
    project, name = Project.open(store), node.name
    images, process = prepare(project, name)
    layers = Inputs(project, name).layers
    listed = project.listing.read(number) if node.stage.reads_listing else ()
    place = TrainingPlace(store, name, node.fingerprint) if node.stage.is_training else None
    return process, Unit(name, number, images, layers, listed=listed, training=place)


def test_the_demo_has_every_stage(finished: Store) -> None:
    """The suite covers all stages except those that need published weights, named parts, corrections, or the original's
    pseudo-labels, and the proxies, which are asked for.
    """
    others = {"weights", "part-train", "annotated-labels", "original-objects", "original-parts", "original-labels"}
    others |= {"proxies"}
    assert {node.stage.name for node in Project.open(finished).nodes.values()} == set(STAGES) - others


def test_every_unit_is_committed_as_the_declared_table(finished: Store, node: Node, layer: Layer) -> None:
    """A node commits all its units, and their rows have the columns that its stage declares."""
    assert layer.units() == list(range(Project.open(finished).num_units(node.name)))
    assert layer.table == node.stage.output
    for rows in layer.scan():
        assert tuple(rows.columns) == node.stage.output.names
    assert sum(len(rows) for rows in layer.scan([layer.table.names[0]])) > 0


@pytest.mark.parametrize("node", BLOCK_NODES, indirect=True)
def test_rows_are_of_the_blocks_own_images(finished: Store, node: Node, layer: Layer) -> None:
    """A block's rows are of its own ingested images, by rising image; every id within an image comes once.

    In a table that is sliced by a column they rise by that column first.
    """
    ingested = finished.layer("ingest", finished.current()["ingest"])
    numbers = ("image_id", "object_id", "part_id", "proposal_id", "segment_id", "label_id")
    ids, first = [n for n in numbers if n in layer.table.names], layer.table.sliced_by
    for unit in layer.units():
        rows = layer.read(unit, [*ids, *([first] if first else [])])
        assert set(rows["image_id"].tolist()) <= set(ingested.read(unit, ["image_id"])["image_id"].tolist())
        order = list(zip(rows[first or "image_id"].tolist(), rows["image_id"].tolist(), strict=True))
        assert order == sorted(order)
        assert (rows["image_id"] // finished.info.block_size == unit).all()
        keys = list(zip(*(rows[name].tolist() for name in ids), strict=True))
        assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("node", MASK_NODES, indirect=True)
def test_masks_fit_their_images(finished: Store, node: Node, layer: Layer) -> None:
    """Masks decode to the image's size, areas are those of the masks and never 0, scores lie in 0..1."""
    ingested = finished.layer("ingest", finished.current()["ingest"])
    for unit in layer.units():
        rows, images = layer.read(unit), ingested.read(unit, ["image_id", "height", "width"])
        sizes = {int(i): (int(h), int(w)) for i, h, w in zip(*(images[n] for n in images.columns), strict=True)}
        for row in range(len(rows)):
            height, width = int(rows["height"][row]), int(rows["width"][row])
            assert (height, width) == sizes[int(rows["image_id"][row])]
            area = int(masks.decode_one(rows.ragged("rle")[row], height, width).sum())
            assert area == rows["area"][row] > 0
        assert ((rows["score"] >= 0) & (rows["score"] <= 1)).all()
        if "object_ratio" in rows.columns:
            assert (rows["object_ratio"] > 0).all() and np.isfinite(rows["object_ratio"]).all()
            settings = node.settings.model_dump()
            # Labels that are not cut to the object, or were smoothed after it, may be larger than it.
            is_bound = settings.get("use_object_mask", True) and not settings.get("crf")
            assert (rows["object_ratio"] <= (1.0 if is_bound else np.inf)).all()


def test_error_rows_say_what_was_left_out(layer: Layer) -> None:
    """Every row of errors names its subject, a short reason, and what was found."""
    for unit in layer.units():
        errors = layer.errors(unit)
        for row in errors.to_pylist() if errors is not None else []:
            assert row["subject"] and row["detail"]
            assert row["reason"].replace("_", "").isalpha()


@pytest.mark.parametrize("node", PURE_NODES, indirect=True)
def test_a_stage_is_a_pure_function(finished: Store, node: Node, layer: Layer) -> None:
    """The same unit gives the same bytes again, and the stage writes no file of the store by itself."""
    process, unit = unit_of(finished, node, layer.units()[-1])
    before = snapshot(finished)
    output = process(unit)
    assert snapshot(finished) == before
    files = {**pack(output.rows), **output.files}
    if unit.faults:
        files[ERRORS] = parquet_bytes(unit.errors().to_arrow())
    again = digest({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    assert again == layer.manifest(unit.number).content


@pytest.mark.parametrize("name", NODES)
def test_running_a_node_again_gives_equal_checksums(
    name: str, copy_store: Callable[..., Store], run_all: Callable[..., None], finished: Store, contents: Callable
) -> None:
    """A node whose layer is gone is computed again, trainings from their first step, to the same content digests."""
    store = copy_store(name)
    run_all(store, [name])
    assert contents(store, [name]) == contents(finished, [name])


def _node_of(stage: str) -> NodeSpec:
    """A node of a stage that the demo does not have, with nodes of the demo for its inputs."""
    roles = {role: r for role, r in STAGES[stage].inputs.items() if not r.is_optional}
    inputs = {role: (next(n for n in NODES if DEMO[n].stage.output.name in r.tables),) for role, r in roles.items()}
    settings = {"folder": "theirs"} if stage.startswith("original") else {"file": "theirs.json"}
    return NodeSpec(stage=stage, inputs=inputs, settings={} if stage == "proxies" else settings)


@pytest.mark.parametrize(("stage", "role"), ROLES)
def test_a_node_without_an_input_is_refused(stage: str, role: str) -> None:
    """If a required input is not given, the error names the node, the input, and the table that it must write."""
    preset = read_preset("supervised_parts" if stage == "part-train" else "demo")
    found = [(n, node) for n, node in preset.nodes.items() if (node.stage or n) == stage]
    name, spec = found[0] if found else (stage, _node_of(stage))
    inputs = {r: nodes for r, nodes in spec.inputs.items() if r != role}
    broken = preset.model_copy(update={"nodes": {**preset.nodes, name: spec.model_copy(update={"inputs": inputs})}})
    with pytest.raises(UsageError, match=rf"{name}: the input '{role}' is missing.*the node must write"):
        Pipeline(broken, root="images")


@pytest.mark.parametrize("stage", ["detic", "grouping"])
def test_a_backend_without_its_network_is_refused(stage: str) -> None:
    """If the chosen backend needs the optional network, the error asks for it or for a backend that needs none."""
    assert STAGES[stage].inputs["model"].tables == (MODEL,)
    with pytest.raises(UsageError, match=r"backend \w+ needs an input 'model'.*none.*or choose (another )?backend"):
        STAGES[stage].load()(STAGES[stage].settings(), Setup((), {}, {}))
