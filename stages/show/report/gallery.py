"""Images on the page: typical, best and worst ones of a node or, without ground truth, random ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pdstore import masks
from pdstore.errors import InputMissing
from pdstore.ragged import Ragged
from schemas.stages import EvalSettings
from stages.evaluation.samples import Scored
from stages.kernels.evaluation import ImageResult
from stages.kernels.pictures import draw_overlay, fitted
from stages.kernels.protocol import HONEST
from stages.plan.pipeline import Node
from stages.plan.project import Project
from stages.show.overlays import image_of, overlay_of, sample_images
from stages.show.report.embedded import Picture, embedded

__all__ = ["MAX_SCORED", "Card", "Cell", "Gallery", "by_chance", "by_quality"]

MAX_SCORED = 1000
"""How many images are scored for the gallery. Blocks are in random order, so the first images are a fair sample."""
PICTURE_PX = 512
"""Length of a picture's longer side: twice what the page shows at its usual width, for screens with fine pixels."""


@dataclass(frozen=True)
class Cell:
    """A column of a card.

    Attributes:
        title: the node; empty for the image itself.
        caption: a few words about the masks or, without a picture, why there is none.
        picture: the image with the node's masks; None if the node has none of this image.
    """

    title: str
    caption: str
    picture: Picture | None


@dataclass(frozen=True)
class Card:
    """One image: the image itself, and one cell per node, which are the same nodes in the same order on every card.

    Attributes:
        quality: see :func:`by_quality`; None without ground truth.
    """

    caption: str
    quality: float | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Gallery:
    """The cards of a gallery.

    Attributes:
        typical: images around the median quality; random images if there is no ground truth.
        scored: how many images the cards were chosen from.
        median: their median quality; None without ground truth.
        missing: why some pictures could not be drawn; empty if all were.
    """

    typical: tuple[Card, ...] = ()
    best: tuple[Card, ...] = ()
    worst: tuple[Card, ...] = ()
    scored: int = 0
    median: float | None = None
    missing: str = ""


def by_quality(project: Project, evaluation: Node, node: str, shown: Sequence[str], count: int) -> Gallery:
    """``count`` images around the median quality of ``node``, the best, best first, and the worst, worst first.

    The quality of an image is the mean, over its true parts, of the best IoU that any mask has with the part. It is
    computed under the honest protocol, for the first :data:`MAX_SCORED` images of the evaluation's test split. No image
    is shown twice.

    Args:
        evaluation: the evaluation that scores ``node``.
        shown: nodes whose masks are drawn, in this order.
    """
    quality = dict(_qualities(project, evaluation, node))
    order = sorted(quality, key=lambda image_id: (-quality[image_id], image_id))
    size = min(count, -(-len(order) // 3))
    start = (len(order) - size) // 2
    middle, best = order[start : start + size], order[: min(size, start)]
    worst = order[start + size :][::-1][:size]
    (typical, miss), (high, miss_high), (low, miss_low) = (
        _cards(project, ids, shown, quality) for ids in (middle, best, worst)
    )
    median = float(np.median(list(quality.values()))) if quality else None
    return Gallery(typical, high, low, len(order), median, miss or miss_high or miss_low)


def by_chance(project: Project, shown: Sequence[str], count: int) -> Gallery:
    """``count`` random images, the same ones every time."""
    try:
        chosen = sample_images(project, count, seed=0)
    except InputMissing as error:
        return Gallery(missing=str(error))
    cards, missing = _cards(project, chosen, shown, {})
    return Gallery(typical=cards, missing=missing)


def _cards(
    project: Project, image_ids: Sequence[int], shown: Sequence[str], quality: Mapping[int, float]
) -> tuple[tuple[Card, ...], str]:
    """Cards of the images that can be read, and why another image cannot be read."""
    cards, missing = [], ""
    for image_id in image_ids:
        try:
            cards.append(_card(project, image_id, shown, quality.get(image_id)))
        except InputMissing as error:
            missing = str(error)
    return tuple(cards), missing


def _qualities(project: Project, evaluation: Node, node: str) -> Iterator[tuple[int, float]]:
    roles = {role: names[0] for role, names in evaluation.inputs.items()}
    role = next(role for role in ("predicted", "segments") if roles.get(role) == node)
    wanted = {name: roles[name] for name in ("images", "truth", role)}
    layers = {name: project.shown(source) for name, source in wanted.items()}
    parts: dict[tuple[str, str], int] = defaultdict(int)  # which part is which does not matter for quality
    assert isinstance(evaluation.settings, EvalSettings)
    vote_split, test_split = evaluation.settings.vote_split, evaluation.settings.test_split
    qualities: dict[int, list[float]] = {}
    for block in sorted(set.intersection(*(set(layer.units()) for layer in layers.values()))):
        scored = Scored.read(layers, role, block, has_clusters=role == "predicted")
        for split, sample in scored.samples(parts, HONEST, vote_split):
            if split == test_split:
                qualities.setdefault(sample.image_id, []).append(_quality(sample))
        if len(qualities) >= MAX_SCORED:
            break
    # An image may show several objects: its quality is their mean.
    for image_id in list(qualities)[:MAX_SCORED]:
        yield image_id, float(np.mean(qualities[image_id]))


def _quality(sample: ImageResult) -> float:
    predicted, truth = sample.pred_masks, sample.gt_masks
    assert isinstance(predicted, Ragged)
    assert isinstance(truth, Ragged)
    return float(masks.iou(predicted, truth, *sample.frame).max(0, initial=0.0).mean())


def _card(project: Project, image_id: int, shown: Sequence[str], quality: float | None) -> Card:
    pixels, caption = image_of(project, image_id)
    width, height = fitted(pixels, PICTURE_PX)
    bare = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    cells = [Cell("", "", embedded(bare))]
    for name in shown:
        overlay = overlay_of(project, name, image_id)
        if overlay is None:
            is_committed = image_id // project.store.info.block_size in project.shown(name).units()
            cells.append(Cell(name, "nothing found" if is_committed else "not computed yet", None))
        else:
            drawn = draw_overlay(pixels, overlay, width, height)
            cells.append(Cell(name, overlay.caption, embedded(drawn)))
    return Card(caption, quality, tuple(cells))
