"""With the real detectron2 where it is installed; errors that do not need it are tested everywhere."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pdstore import Store, layout, masks
from pdstore.errors import UsageError
from pdstore.selection import Selection
from schemas.tables import OBJECTS
from stages.exchange.detectron2 import register, thing_classes
from stages.source.listing import ImageClass, Listing

IS_INSTALLED = importlib.util.find_spec("detectron2") is not None
needs_detectron2 = pytest.mark.skipif(not IS_INSTALLED, reason="needs detectron2")
pytestmark = pytest.mark.filterwarnings("ignore")  # detectron2 was written for older versions of torch and NumPy
SIZE = 32


@pytest.fixture
def catalog() -> Iterator[Any]:
    """detectron2's catalog. What the test registers is removed afterwards."""
    data = pytest.importorskip("detectron2.data")
    before = set(data.DatasetCatalog.list())
    yield data
    for name in set(data.DatasetCatalog.list()) - before:
        data.DatasetCatalog.remove(name)
        data.MetadataCatalog.remove(name)


def rows_of(finished: Store, node: str) -> Any:
    layer = finished.layer(node, finished.current()[node])
    return [layer.read(unit) for unit in layer.units()]


def test_classes_are_those_of_the_node(finished: Store) -> None:
    """Object classes for objects, class and part for parts, class and cluster for labels; in the vocabulary's order."""
    vocabulary = [*(c.name for c in Listing(finished).classes()), "person"]
    objects = thing_classes(finished, "truth-objects")
    assert objects == [name for name in vocabulary if name in objects] and objects[-1] == "person"
    assert thing_classes(finished, "crf") == [f"{name} part" for name in thing_classes(finished, "detic")]
    parts = thing_classes(finished, "truth-parts")
    assert {name.split()[0] for name in parts} == set(objects) and len(parts) > len(objects)
    labels = thing_classes(finished, "labels")
    order = [(vocabulary.index(name.rsplit(" ", 1)[0]), int(name.rsplit(" ", 1)[1])) for name in labels]
    assert order == sorted(order) and len(set(order)) == len(order)


def test_two_classes_of_one_name_stay_two(bench) -> None:
    """A crane is a bird or a machine: their external ids are added to the name."""
    classes = [ImageClass(0, "n02012849", "crane"), ImageClass(1, "n03126707", "crane")]
    Listing(bench.store).write_classes(classes)
    square = {"score": 1.0, "area": 1, "height": 1, "width": 1, "rle": masks.encode(np.ones((1, 1, 1)))[0]}
    rows = [{"image_id": n, "object_id": 0, "category_id": n, "category_name": "crane", **square} for n in range(2)]
    layer = bench.put("objects", OBJECTS, rows)
    bench.store.files.write(layout.PIPELINE, json.dumps({"current": {"objects": layer.fingerprint}}).encode())
    assert thing_classes(bench.store, "objects") == ["crane (n02012849)", "crane (n03126707)"]


def test_a_node_without_masks_is_refused(finished: Store) -> None:
    """The error for a wrong name suggests the nearest; for a node of another table, it lists the tables that fit."""
    with pytest.raises(UsageError, match=r"the pipeline has no node 'label'. Did you mean 'labels'"):
        thing_classes(finished, "label")
    with pytest.raises(UsageError, match=r"objects, .* or predictions, found ranking, which writes clusters"):
        thing_classes(finished, "ranking")


@pytest.mark.skipif(IS_INSTALLED, reason="detectron2 is installed")
def test_the_error_names_detectron2_if_it_is_missing(finished: Store) -> None:
    """The error also says where to read how to install it."""
    with pytest.raises(
        UsageError, match=r"the package detectron2 is not installed\. Install it as described at https://detectron2"
    ):
        register("any", finished, "labels")


@needs_detectron2
@pytest.mark.parametrize("node", ["detic", "crf", "truth-parts", "labels", "distill"])
def test_every_mask_is_an_annotation(catalog, finished: Store, node: str) -> None:
    """Each image has one dict with its file and size, and each mask one annotation with this mask, box and class."""
    names = register("all", finished, node)
    assert catalog.MetadataCatalog.get("all").thing_classes == names == thing_classes(finished, node)
    dicts = {record["image_id"]: record for record in catalog.DatasetCatalog.get("all")}
    vocabulary = [*(c.name for c in Listing(finished).classes()), "person"]
    for rows in rows_of(finished, node):
        rows = rows.take(rows["area"] > 0)
        for image_id, index in rows.by("image_id").items():
            image_rows, record = rows.take(index), dicts[image_id]
            size = record["height"], record["width"]
            assert Image.open(record["file_name"]).size == size[::-1]
            assert [a["segmentation"]["counts"] for a in record["annotations"]] == list(image_rows.ragged("rle"))
            stack = masks.decode(image_rows.ragged("rle"), *size)
            for annotation, mask in zip(record["annotations"], stack, strict=True):
                y, x = np.nonzero(mask)
                assert annotation["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
            called = [names[a["category_id"]] for a in record["annotations"]]
            expected = [vocabulary[number] for number in image_rows["category_id"].tolist()]
            assert all(name.startswith(start) for name, start in zip(called, expected, strict=True))


@needs_detectron2
def test_sql_and_selections_choose(catalog, finished: Store) -> None:
    """A condition over masks and images, or a frozen selection, leaves other masks out; class ids do not change."""
    names = register("chosen", finished, "labels", "i.split = 'val' AND m.cluster = 1")
    records = catalog.DatasetCatalog.get("chosen")
    assert {names[a["category_id"]][-2:] for record in records for a in record["annotations"]} == {" 1"}
    assert len(records) <= 12
    ids = [record["image_id"] for record in records][:2]
    selection = Selection(np.array(ids), finished.info.block_size)
    register("some", finished, "labels", selection=selection)
    assert [record["image_id"] for record in catalog.DatasetCatalog.get("some")] == sorted(ids)
    with pytest.raises(UsageError, match="of a mask is not among the classes given"):
        register("few", finished, "labels", classes=names[:1])
    with pytest.raises(UsageError, match="the dataset name 'chosen' is already taken"):
        register("chosen", finished, "labels")


@needs_detectron2
def test_packed_images_are_written_out(catalog, classical, run_all, folder: Path, tmp_path: Path) -> None:
    """If the store holds the image files, they are written to the given folder, byte for byte."""
    store = classical("ingest.copy=true")
    run_all(store, ["ingest", "detic"])
    with pytest.raises(UsageError, match="the images are packed in the store.*folder=DIR"):
        register("packed", store, "detic")
    register("packed", store, "detic", folder=tmp_path / "out")
    for record in catalog.DatasetCatalog.get("packed"):
        path = Path(record["file_name"])
        assert path.read_bytes() == (folder / path.relative_to(tmp_path / "out")).read_bytes()


def mask_rcnn() -> Any:
    """The configuration of a small Mask R-CNN."""
    from detectron2.config import get_cfg

    given = get_cfg()
    given.merge_from_list(
        [
            *("MODEL.DEVICE", "cpu", "MODEL.MASK_ON", True, "MODEL.WEIGHTS", "", "MODEL.RESNETS.DEPTH", 18),
            *("MODEL.BACKBONE.NAME", "build_resnet_fpn_backbone", "MODEL.RESNETS.RES2_OUT_CHANNELS", 64),
            *("MODEL.RESNETS.OUT_FEATURES", ["res2", "res3", "res4", "res5"]),
            *("MODEL.FPN.IN_FEATURES", ["res2", "res3", "res4", "res5"], "MODEL.FPN.OUT_CHANNELS", 32),
            *(
                "MODEL.RPN.IN_FEATURES",
                ["p2", "p3", "p4", "p5"],
                "MODEL.ANCHOR_GENERATOR.SIZES",
                [[8], [16], [32], [64]],
            ),
            *("MODEL.ROI_HEADS.NAME", "StandardROIHeads", "MODEL.ROI_HEADS.IN_FEATURES", ["p2", "p3"]),
            *("MODEL.ROI_HEADS.NUM_CLASSES", 40, "MODEL.ROI_BOX_HEAD.NAME", "FastRCNNConvFCHead"),
            *(
                "MODEL.ROI_BOX_HEAD.NUM_FC",
                1,
                "MODEL.ROI_BOX_HEAD.FC_DIM",
                32,
                "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION",
                7,
            ),
            *("MODEL.ROI_MASK_HEAD.NAME", "MaskRCNNConvUpsampleHead", "MODEL.ROI_MASK_HEAD.NUM_CONV", 1),
            *("MODEL.ROI_MASK_HEAD.CONV_DIM", 32, "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", 14),
            *("INPUT.MASK_FORMAT", "bitmask", "INPUT.MIN_SIZE_TRAIN", (64,), "INPUT.RANDOM_FLIP", "none"),
        ]
    )
    return given


@needs_detectron2
def test_detectron2_trains_on_the_labels(catalog, finished: Store) -> None:
    """detectron2's mapper reads every dict, and its Mask R-CNN computes losses and gradients from them."""
    import torch
    from detectron2.modeling import build_model
    from detectron2.utils.events import EventStorage

    register("labels", finished, "labels")
    mapper = catalog.DatasetMapper(mask_rcnn(), is_train=True)
    batch = [mapper(record) for record in catalog.DatasetCatalog.get("labels")]
    for record, mapped in zip(catalog.DatasetCatalog.get("labels"), batch, strict=True):
        given = [annotation["category_id"] for annotation in record["annotations"]]
        assert mapped["image"].shape == (3, 64, 64) and mapped["instances"].gt_classes.tolist() == given
        assert mapped["instances"].gt_masks.tensor.shape == (len(given), 64, 64)
    torch.manual_seed(0)
    network = build_model(mask_rcnn()).train()
    with EventStorage():
        losses = network(batch[:2])
    loss = sum(losses.values())
    loss.backward()
    assert {"loss_cls", "loss_mask"} <= set(losses) and torch.isfinite(loss)


@needs_detectron2
def test_detectron2_evaluates_against_the_labels(catalog, finished: Store, tmp_path: Path) -> None:
    """Its COCO evaluator converts the dataset by itself; the masks compared with themselves score 100."""
    import torch
    from detectron2.evaluation import COCOEvaluator
    from detectron2.structures import Boxes, Instances

    register("truth", finished, "labels")
    evaluator = COCOEvaluator("truth", tasks=("segm",), output_dir=str(tmp_path), use_fast_impl=False)
    evaluator.reset()
    for record in catalog.DatasetCatalog.get("truth"):
        predicted = Instances((record["height"], record["width"]))
        annotations = record["annotations"]
        rle = [annotation["segmentation"]["counts"] for annotation in annotations]
        stack = np.stack([masks.decode_one(counts, record["height"], record["width"]) for counts in rle])
        predicted.pred_masks, predicted.scores = torch.from_numpy(stack), torch.ones(len(stack))
        predicted.pred_boxes = Boxes(torch.tensor([a["bbox"] for a in annotations]))
        predicted.pred_classes = torch.tensor([a["category_id"] for a in annotations])
        evaluator.process([{"image_id": record["image_id"]}], [{"instances": predicted}])
    assert evaluator.evaluate()["segm"]["AP"] == pytest.approx(100)
