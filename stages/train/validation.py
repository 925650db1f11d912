"""How well a network in training does on held-out images, and pictures of its output next to the labels."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from pdstore import masks
from schemas.stages import Precision
from schemas.training import AugmentSettings, TrainSettings
from stages.kernels.evaluation import Evaluation, ImageResult
from stages.kernels.pictures import Cell, Overlay, Row, draw_sheet
from stages.kernels.protocol import HONEST
from stages.kernels.recall import IOU_THRESHOLDS, recalled
from stages.models.network import PartNetwork, Queries
from stages.models.precision import autocast
from stages.train.evaluation_mode import evaluation_mode, piece_size
from stages.train.loss import PartLoss
from stages.train.process_group import ProcessGroup
from stages.train.samples import Batch, SampleSource, collate

__all__ = ["SHOWN_IMAGES", "draw_batch", "validate"]

SHOWN_IMAGES, SHOWN_PX = 6, 192
CONFIDENT = 0.5
"""A query with a class of a higher probability is shown."""
RECALL_AT = (10, 100)
Bools = npt.NDArray[np.bool_]


@torch.no_grad()
def validate(
    network: PartNetwork,
    loss: PartLoss,
    source: SampleSource,
    settings: TrainSettings,
    group: ProcessGroup,
    precision: Precision = "float32",
) -> dict[str, float]:
    """Score the network on the first ``validate_images`` images of ``source``, without augmentation.

    Images and points are the same every time, so that the values of a training can be compared. Each rank takes its
    share, in pieces as large as those of a step. The network is left in the mode that it was in.

    Args:
        precision: numbers that the network computes with, as in training; the loss is computed in float32.

    Returns:
        ``validation_loss``: the mean over the images. ``validation_AR@n``: in percent, over the masks of all queries.
        ``validation_mIoU``, if masks have several classes: in percent, over the pairs of object class and class. It
        takes the masks that are more confident of a class than of no class, with the most confident mask on top.
    """
    device = network.mean.device
    plain = AugmentSettings(size_px=settings.augment.size_px, flip_ratio=0, crop_min_ratio=1, scale_min=1, scale_max=1)
    rows = np.arange(min(settings.validate_images, len(source)))[group.rank :: group.size]
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    counts = _Counts(network)
    size = piece_size(settings, group)
    for first in range(0, len(rows), size):
        chosen = rows[first : first + size]
        batch = collate(source.read(chosen), plain, settings.seed, 0, min_part_ratio=settings.min_part_ratio).to(device)
        with evaluation_mode(network), autocast(device, precision):
            queries = network(batch.images, batch.object_class)
        values = loss(queries, batch.masks, batch.labels, [(settings.seed, -1, i) for i in batch.image_ids])
        sums += torch.tensor([float(sum(values.values())) * len(chosen), len(chosen)], device=device)
        for result, is_confident in _results(batch, queries):
            counts.add(result, is_confident)
    total = group.total(sums)
    metrics: dict[str, float] = functools.reduce(operator.add, group.gathered(counts)).metrics()
    return {"validation_loss": float(total[0] / total[1])} | {f"validation_{n}": v for n, v in metrics.items()}


class _Counts:
    """The counts of a rank on its images. The counts of several ranks can be added."""

    def __init__(self, network: PartNetwork) -> None:
        self._num_classes, self._num_objects = network.num_classes, max(1, network.num_objects)
        self._recalled, self._num_masks = np.zeros((len(RECALL_AT), len(IOU_THRESHOLDS)), np.int64), 0
        self._parts = Evaluation(self._num_classes, self._num_classes, HONEST, ())

    def add(self, image: ImageResult, is_confident: Bools) -> None:
        truth, predicted = (masks.encode(np.asarray(stack)) for stack in (image.gt_masks, image.pred_masks))
        self._recalled += recalled(masks.iou(predicted, truth, *image.frame), image.pred_scores, RECALL_AT)
        self._num_masks += len(truth)
        if self._num_classes > 1:
            confident = replace(
                image,
                gt_masks=truth,
                pred_masks=predicted.take(np.flatnonzero(is_confident)),
                pred_clusters=np.asarray(image.pred_clusters)[is_confident],
                pred_scores=np.asarray(image.pred_scores)[is_confident],
                size=image.frame,
            )
            self._parts.add(confident)

    def __add__(self, other: _Counts) -> _Counts:
        total = copy.copy(self)
        total._recalled, total._num_masks = self._recalled + other._recalled, self._num_masks + other._num_masks
        total._parts = self._parts + other._parts
        return total

    def metrics(self) -> dict[str, float]:
        recall = 100 * self._recalled.mean(1) / self._num_masks if self._num_masks else np.full(len(RECALL_AT), np.nan)
        metrics = {f"AR@{n}": float(value) for n, value in zip(RECALL_AT, recall, strict=True)}
        if self._num_classes > 1:
            # A cluster of the network is the class of the same number, whatever the object class.
            names = dict.fromkeys(range(self._num_objects), np.arange(self._num_classes))
            metrics["mIoU"] = self._parts.scores(names).metrics["A-mIoU"]
        return metrics


def _results(batch: Batch, queries: Queries) -> Iterator[tuple[ImageResult, Bools]]:
    """Each image with the masks of all queries, the least confident first, in the pixels that the network saw.

    The second value, (N,) bool, says which masks are more confident of a class than of no class.
    """
    probabilities = queries.class_logits.float().softmax(-1).cpu().numpy()
    for i, image_id in enumerate(batch.image_ids):
        order = np.argsort(probabilities[i, :, :-1].max(1), kind="stable")
        ordered = probabilities[i, order]
        large = torch.nn.functional.interpolate(
            queries.mask_logits[i : i + 1].float(), batch.images.shape[-2:], mode="bilinear", align_corners=False
        )
        result = ImageResult(
            image_id,
            int(batch.object_class[i]),
            None,
            (batch.masks[i] > 0.5).cpu().numpy(),
            batch.labels[i].cpu().numpy(),
            (large[0] > 0).cpu().numpy()[order],
            ordered[:, :-1].argmax(1),
            ordered[:, :-1].max(1),
        )
        yield result, ordered[:, :-1].max(1) > ordered[:, -1]


def draw_batch(batch: Batch, queries: Queries) -> Image.Image:
    """A sheet of the first images of a batch as the network saw them, with the labels and with its output.

    A query is shown if the probability of its class is above 0.5, the most confident on top; its colour is its class.
    """
    rows = []
    probabilities = queries.class_logits.detach().float().softmax(-1).cpu().numpy()
    logits = queries.mask_logits.detach().float()
    for i in range(min(SHOWN_IMAGES, len(batch.image_ids))):
        pixels = batch.images[i].permute(1, 2, 0).cpu().numpy()
        size = pixels.shape[:2]
        labels = Overlay(batch.masks[i].cpu().numpy() > 0.5, batch.labels[i].tolist())
        best = probabilities[i, :, :-1].max(1)
        shown = [q for q in np.argsort(-best, kind="stable") if best[q] > CONFIDENT]
        large = torch.nn.functional.interpolate(logits[i : i + 1], size, mode="bilinear", align_corners=False)[0]
        predicted = Overlay((large[shown] > 0).cpu().numpy(), probabilities[i, shown, :-1].argmax(1).tolist())
        rows.append(Row(pixels, [Cell(caption=str(batch.image_ids[i])), Cell(labels), Cell(predicted)]))
    return draw_sheet(["image", "labels", "network"], rows, SHOWN_PX)
