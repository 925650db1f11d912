"""The ground truth of another store: a data set that a training is scored on while it runs.

Such a store is made with ``pd init --dataset NAME`` and holds the images and the parts (and objects) that people drew.
It is only read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Layer, Rows, Store, layout
from pdstore.errors import InputMissing, UsageError
from pdstore.files import Files
from pdstore.inventory import shown_layer
from schemas.pipeline import PipelineSpec, SourceSpec
from stages.evaluation.samples import Parts, Scored
from stages.kernels.protocol import Protocol
from stages.source.listing import ImageClass, Listing
from stages.source.tars import open_images
from stages.unit import Control, Unit

__all__ = ["TruthStore"]

STAGE_OF_ROLE = {"images": "ingest", "truth": "annotated-parts", "truth_objects": "annotated-objects"}
"""Input role of the stage ``eval`` -> the stage whose node is read."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TruthStore:
    """The finished ground truth of a store.

    Attributes:
        name: the data set, or the last part of the URL.
        layers: input role of the stage ``eval`` -> its layer; ``truth_objects`` is there only if the protocol needs it.
        parts: (object class, part name) -> number of the part.
        classes: the vocabulary.
        images: the image files.
    """

    name: str
    layers: Mapping[str, Layer]
    parts: Parts
    classes: Sequence[ImageClass]
    images: Files

    @classmethod
    def open(cls, url: str, protocol: Protocol) -> TruthStore:
        """Open a store and check that it is complete.

        Raises:
            UsageError: there is no store, or its pipeline has no ground truth that the protocol needs.
            InputMissing: its images or its ground truth are not computed completely, or there is none.
            StorageFailure, OSError: it cannot be reached.
        """
        store = Store(url)
        blocks = Listing(store).blocks
        roles = [role for role in STAGE_OF_ROLE if role != "truth_objects" or protocol.cuts_to_object]
        nodes = {role: _node(store, role) for role in roles}
        layers = {role: _layer(store, node, blocks) for role, node in nodes.items()}
        source = SourceSpec.of(store)
        pairs = {
            pair
            for rows in layers["truth"].scan(["category_name", "part_name"])
            for pair in zip(rows["category_name"], rows["part_name"], strict=True)
        }
        if not pairs:
            raise InputMissing("there are no ground-truth parts", f"{url}, {nodes['truth']}", "Check its annotations")
        name = source.dataset_name or url.rstrip("/").rsplit("/", 1)[-1]
        parts = {pair: number for number, pair in enumerate(sorted(pairs))}
        return cls(name, layers, parts, Listing(store).classes(), open_images(store, source.root))

    def chosen(
        self, wanted: Callable[[str], str], limit: int, categories: Iterable[int] | None = None
    ) -> tuple[list[tuple[int, Ints]], dict[str, int]]:
        """The first images that have ground truth of their own class: (block, (N,) image ids), and images per group.

        Args:
            wanted: split -> the group of images that it belongs to; empty if its images are left out.
            limit: most images per group; 0 takes all.
            categories: the only object classes to take, as class_id of this store.
        """
        allowed = None if categories is None else list(categories)
        taken: dict[str, int] = {}
        found: list[tuple[int, Ints]] = []
        for block in self.layers["images"].units():
            images = self.layers["images"].read(block, ["image_id", "class_id", "split"])
            truth = self.layers["truth"].read(block, ["image_id", "category_id"])
            if allowed is not None:
                truth = truth.take(np.isin(truth["category_id"], allowed))
            rows = truth.by("image_id")
            kept: list[int] = []
            for image_id, class_id, split in zip(*(images[c] for c in ("image_id", "class_id", "split")), strict=True):
                group, index = wanted(str(split)), rows.get(int(image_id))
                if not group or index is None or (limit and taken.get(group, 0) >= limit):
                    continue
                true = truth["category_id"][index]
                if (true == class_id).any() if class_id >= 0 else (true >= 0).any():
                    taken[group] = taken.get(group, 0) + 1
                    kept.append(int(image_id))
            if kept:
                found.append((block, np.array(kept, np.int64)))
        return found, taken

    def splits(self) -> list[str]:
        """The splits of its images, sorted."""
        return sorted({str(split) for rows in self.layers["images"].scan(["split"]) for split in rows["split"]})

    def unit(self, block: int, should_stop: Callable[[], bool]) -> Unit:
        """The block as a unit, for its pictures."""
        layers = {role: [layer] for role, layer in self.layers.items()}
        return Unit(self.name, block, self.images, layers, control=Control(should_stop=should_stop))

    def scored(self, block: int, image_ids: Iterable[int], masks: Rows, has_clusters: bool) -> Scored:
        """The ground truth of images of a block beside the masks that are scored."""
        found, wanted = Scored.beside(self.layers, block, masks, has_clusters), list(image_ids)
        images, truth = (rows.take(np.isin(rows["image_id"], wanted)) for rows in (found.images, found.truth))
        return replace(found, images=images, truth=truth)

    def categories(self, block: int, image_ids: Iterable[int]) -> dict[int, list[int]]:
        """image_id -> the object classes of which it has true parts; for an image with a class, that class alone."""
        images = self.layers["images"].read(block, ["image_id", "class_id"])
        own = dict(zip(images["image_id"].tolist(), images["class_id"].tolist(), strict=True))
        truth = self.layers["truth"].read(block, ["image_id", "category_id"])
        rows = truth.by("image_id")
        return {i: [own[i]] if own[i] >= 0 else _known(truth["category_id"][rows[i]]) for i in image_ids}


def _known(categories: npt.NDArray[Any]) -> list[int]:
    return [int(category) for category in np.unique(categories) if category >= 0]


def _node(store: Store, role: str) -> str:
    """The first node of a role's stage; of ground truth, the first that takes all labels."""
    for name, stage, settings in _nodes(store):
        if stage == STAGE_OF_ROLE[role] and float(settings.get("percent", 100)) == 100:
            return name
    fix = "Make a store with ground truth: pd init STORE --images DIR --dataset NAME"
    if role == "truth_objects":
        fix = "Set evaluate_protocol=honest, which needs no true objects"
    raise UsageError(f"the store has no node of stage {STAGE_OF_ROLE[role]}", store.url, fix)


def _nodes(store: Store) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(name, stage, settings) of the nodes of a store's recorded pipeline."""
    state = store.state()
    if state is None or state.spec is None:
        raise UsageError(f"the store has no pipeline (no {layout.PIPELINE})", store.url, "Run pd init again")
    spec, overrides = PipelineSpec.parse(dict(state.spec), f"{store.url}, pipeline"), state.overrides or {}
    for name, node in spec.nodes.items():
        yield name, node.stage or name, {**node.settings, **overrides.get(name, {})}


def _layer(store: Store, node: str, blocks: int) -> Layer:
    """The complete layer of a node. Raises InputMissing if some blocks are missing."""
    layer = store.layer(node, shown_layer(store, node) or "")
    done = len(layer.units())
    if done < blocks:
        problem = f"{node} has {done} of {blocks} blocks, and an evaluation needs them all"
        raise InputMissing(problem, store.url, f"Run: pd --store {store.url} stage run {node}")
    return layer
