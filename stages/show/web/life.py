"""The life of an image: what every node made of it, side by side, and what it left out and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from starlette.responses import Response

from pdstore import Rows
from pdstore.errors import InputMissing
from stages.mask_names import mask_colours, mask_names
from stages.plan.pipeline import Node
from stages.show.overlays import MAX_MASKS
from stages.show.web.drawing import Drawings
from stages.show.web.dropped import bounds_of, dropped
from stages.show.web.page import Visit
from stages.show.web.snapshots import Snapshot

__all__ = ["Fault", "Life", "Mask", "Step", "read_life", "show_life"]

SIDE = 320


@dataclass(frozen=True)
class Mask:
    """One row of a node.

    Attributes:
        colour: number of its colour; None if it is drawn in that of another row.
        score: confidence; None if the table has none.
        share: of the image's area, 0 to 1; None if the row has no mask.
    """

    name: str
    colour: int | None
    score: float | None
    share: float | None


@dataclass(frozen=True)
class Fault:
    """A row of ``errors`` about the image."""

    subject: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Step:
    """What one node made of the image.

    Attributes:
        is_computed: whether the block of the image is committed.
        is_drawn: whether its rows are masks.
        masks: its rows, best first.
        read: name of an input -> how many rows it has of the image.
        dropped: sentences about what it read and made nothing of.
        bounds: its settings that are thresholds.
    """

    node: str
    stage: str
    noun: str
    is_computed: bool
    is_drawn: bool
    masks: tuple[Mask, ...] = ()
    read: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    dropped: tuple[str, ...] = ()
    bounds: Mapping[str, float] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """How many rows there are, and of how many."""
        if not self.is_computed:
            return "not computed yet"
        count = len(self.masks)
        own = f"{count} {self.noun.removesuffix('s') if count == 1 else self.noun}" if count else "nothing"
        sources = " and ".join(f"{number} in {name}" for name, number in self.read.items())
        return f"{own} of {sources}" if sources else own


@dataclass(frozen=True)
class Life:
    """An image and its steps, in the pipeline's order."""

    image_id: int
    key: str
    class_name: str
    split: str
    height: int
    width: int
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...] = ()


def read_life(drawings: Drawings, snapshot: Snapshot, image_id: int) -> Life:
    """The life of an image. Cost: the rows of the image in each layer; no other image's masks are read.

    Raises:
        InputMissing: the image was not ingested. The message has the reason if ingest noted one.
    """
    nodes = [n for n in snapshot.project.nodes.values() if n.stage.unit == "block"]
    faults = {node.name: tuple(_faults(drawings, snapshot, node.name, image_id)) for node in nodes}
    try:
        image = drawings.image_row(snapshot, image_id)
    except InputMissing as error:
        noted = [f"{fault.reason}: {fault.detail}" for of_node in faults.values() for fault in of_node]
        if noted:
            raise InputMissing(f"this image was left out, {'; '.join(noted)}", f"image {image_id}") from None
        raise error from None
    names = {int(row["class_id"]): str(row["class_name"]) for row in _classes(snapshot)}
    rows: dict[str, Rows | None] = {}
    for node in nodes:
        try:
            rows[node.name] = drawings.rows(snapshot, node.name, image_id)
        except InputMissing:
            rows[node.name] = None
    shown = [node for node in nodes if node.stage.output.name != "images"]
    split, size = str(image["split"][0]), (int(image["height"][0]), int(image["width"][0]))
    steps = tuple(_step(node, rows, names, split, faults[node.name]) for node in shown)
    key, class_name = str(image["key"][0]), str(image["class_name"][0])
    rest = tuple(fault for node in nodes if node not in shown for fault in faults[node.name])
    return Life(image_id, key, class_name, split, *size, steps, rest)


def show_life(visit: Visit) -> Response:
    """``/image/IMAGE_ID``."""
    snapshot = visit.snapshot
    life = read_life(visit.viewer.drawings, snapshot, visit.image_id)
    query = "SELECT max(image_id) FILTER (image_id < ?) AS before, min(image_id) FILTER (image_id > ?) AS after"
    # Near ids alone, so that the query stops at a few rows of a large store.
    near = f"{query} FROM images WHERE image_id BETWEEN ? AND ?"
    (beside,) = snapshot.rows(near, [life.image_id, life.image_id, life.image_id - 1000, life.image_id + 1000])
    return visit.html("life.html", life=life, side=SIDE, max_masks=MAX_MASKS, **beside)


def _step(
    node: Node, of_image: Mapping[str, Rows | None], names: Mapping[int, str], split: str, faults: tuple[Fault, ...]
) -> Step:
    rows, table = of_image[node.name], node.stage.output
    fixed = (
        node.name,
        node.stage.name,
        table.name,
        rows is not None,
        "rle" in table.names or table.name == "candidates",
    )
    if rows is None:
        return Step(*fixed)
    read = {name: found for name in node.upstream() if (found := of_image.get(name)) is not None}
    counts = {name: len(found) for name, found in read.items() if found.table.name != "images"}
    why = dropped(node, rows, read, split)
    return Step(*fixed, tuple(_masks(rows, names)), counts, faults, tuple(why), bounds_of(node))


def _masks(rows: Rows, names: Mapping[int, str]) -> Iterator[Mask]:
    scores = rows["score"].tolist() if "score" in rows.columns else [None] * len(rows)
    shares: list[float | None] = [None] * len(rows)
    if "rle" in rows.columns:
        shares = (rows["area"] / np.maximum(rows["height"] * rows["width"].astype(np.int64), 1)).tolist()
    called: list[str] = mask_names(rows, names)
    colours: list[int | None] = [*mask_colours(rows)]
    if rows.table.name == "candidates":
        # Their masks have the colours of the segments that they are.
        called = [f"segment {number}" for number in rows["segment_id"].tolist()]
        colours = [None] * len(rows)
    for name, colour, score, share in zip(called, colours, scores, shares, strict=True):
        yield Mask(name, colour, score, share)


def _faults(drawings: Drawings, snapshot: Snapshot, node: str, image_id: int) -> Iterator[Fault]:
    for row in drawings.errors(snapshot, node, image_id):
        yield Fault(row["subject"], row["reason"], row["detail"])


def _classes(snapshot: Snapshot) -> list[dict[str, Any]]:
    return snapshot.rows("SELECT class_id, class_name FROM classes", limit=100_000)
