"""Pictures on the page: the best and the worst images of a node or, without ground truth, random images."""

from __future__ import annotations

import base64
import io
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

__all__ = ["MAX_SCORED", "Card", "Gallery", "Picture", "best_and_worst", "by_chance"]

MAX_SCORED = 1000
"""How many images are scored for the gallery. Blocks are in random order, so the first images are a fair sample."""
PICTURE_PX = 200
JPEG_QUALITY = 85


@dataclass(frozen=True)
class Picture:
    """An image with the masks of a node, as a data URI."""

    title: str
    caption: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Card:
    """One image with its pictures.

    Attributes:
        quality: see :func:`best_and_worst`; None without ground truth.
    """

    caption: str
    quality: float | None
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Gallery:
    """The cards of a gallery.

    Attributes:
        scored: how many images the cards were chosen from.
        missing: why some pictures could not be drawn; empty if all were.
    """

    best: tuple[Card, ...] = ()
    worst: tuple[Card, ...] = ()
    scored: int = 0
    missing: str = ""


def best_and_worst(project: Project, evaluation: Node, node: str, shown: Sequence[str], count: int) -> Gallery:
    """The ``count`` images on which ``node`` does best, best first, and the ``count`` worst, worst first.

    The quality of an image is the mean, over its true parts, of the best IoU that any mask has with the part. It is
    computed under the honest protocol, for the first :data:`MAX_SCORED` images of the evaluation's test split.

    Args:
        evaluation: the evaluation that scores ``node``.
        shown: nodes whose masks are drawn, in this order.
    """
    quality = dict(_qualities(project, evaluation, node))
    order = sorted(quality, key=lambda image_id: (-quality[image_id], image_id))
    best = order[: min(count, -(-len(order) // 2))]
    worst = order[len(best) :][::-1][:count]
    (high, missing_high), (low, missing_low) = (_cards(project, ids, shown, quality) for ids in (best, worst))
    return Gallery(high, low, len(order), missing_high or missing_low)


def by_chance(project: Project, shown: Sequence[str], count: int) -> Gallery:
    """``count`` random images, the same ones every time."""
    try:
        chosen = sample_images(project, count, seed=0)
    except InputMissing as error:
        return Gallery(missing=str(error))
    cards, missing = _cards(project, chosen, shown, {})
    return Gallery(best=cards, missing=missing)


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
    pictures = [Picture("image", "", _uri(bare), width, height)]
    for name in shown:
        overlay = overlay_of(project, name, image_id)
        if overlay is not None:
            drawn = draw_overlay(pixels, overlay, width, height)
            pictures.append(Picture(name, overlay.caption, _uri(drawn), width, height))
    return Card(caption, quality, tuple(pictures))


def _uri(picture: Image.Image) -> str:
    sink = io.BytesIO()
    picture.convert("RGB").save(sink, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(sink.getvalue()).decode()}"
