"""How a network in training does on held-out images, and a picture of what it says beside the labels."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from schemas.training import AugmentSettings, TrainSettings
from stages.kernels.evaluation import HONEST, Evaluation, ImageResult
from stages.models.network import PartNetwork, Queries
from stages.pictures import Cell, Overlay, Row, draw_sheet
from stages.train.loss import PartLoss
from stages.train.ranks import Ranks
from stages.train.samples import Batch, SampleSource, collate

__all__ = ["draw_batch", "validate"]

SHOWN_IMAGES, SHOWN_PX = 6, 192
SURE = 0.5
RECALL_AT = (10, 100)


@torch.no_grad()
def validate(
    network: PartNetwork, loss: PartLoss, source: SampleSource, settings: TrainSettings, ranks: Ranks
) -> dict[str, float]:
    """What the network is worth on the first ``validate_images`` images of ``source``, as they are.

    The same images and points every time, so that the values of a training can be compared; each rank takes its
    share. The network is left in the mode it was in.

    Returns:
        ``validation_loss``, the mean. ``validation_AR@n`` in percent, of the masks of all queries. Where masks have
        several classes ``validation_mIoU`` in percent, over the pairs of object class and class: of the masks that
        are surer of a class than of none, the surest on top.
    """
    device = network.mean.device
    plain = AugmentSettings(size_px=settings.augment.size_px, flip_ratio=0, crop_min_ratio=1, scale_min=1, scale_max=1)
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    rows = np.arange(min(settings.validate_images, len(source)))[ranks.rank :: ranks.size]
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    recall = Evaluation(network.num_classes, 0, HONEST, RECALL_AT)
    parts = Evaluation(network.num_classes, network.num_classes, HONEST, ())
    for first in range(0, len(rows), max(1, settings.batch_size // ranks.size)):
        chosen = rows[first : first + max(1, settings.batch_size // ranks.size)]
        batch = collate(source.read(chosen), plain, settings.seed, 0).to(device)
        queries = network(batch.images, batch.object_class)
        values = loss(queries, batch.masks, batch.labels, [(settings.seed, -1, i) for i in batch.image_ids])
        sums += torch.tensor([float(sum(values.values())) * len(chosen), len(chosen)], device=device)
        for result, is_sure in _results(batch, queries):
            recall.add(result)
            sure = {
                f"pred_{name}": getattr(result, f"pred_{name}")[is_sure] for name in ("masks", "clusters", "scores")
            }
            parts.add(replace(result, **sure))
    for module, mode in modes:
        module.training = mode
    total = ranks.total(sums)
    recall, parts = (functools.reduce(operator.add, ranks.gathered(counts)) for counts in (recall, parts))
    own = {c: np.arange(network.num_classes) for c in range(max(1, network.num_objects))}
    found = {name: value for name, value in recall.scores().metrics.items() if not name.endswith("-unique")}
    if network.num_classes > 1:
        found["mIoU"] = parts.scores(own).metrics["A-mIoU"]
    return {"validation_loss": float(total[0] / total[1])} | {f"validation_{n}": v for n, v in found.items()}


def _results(batch: Batch, queries: Queries) -> Iterator[tuple[ImageResult, npt.NDArray[np.bool_]]]:
    """Each image with the masks of all queries, the least sure first, in the pixels that the network saw.

    Beside it which of them are surer of a class than of none.
    """
    chances = queries.class_logits.float().softmax(-1).cpu().numpy()
    for i, image_id in enumerate(batch.image_ids):
        order = np.argsort(chances[i, :, :-1].max(1), kind="stable")
        best = chances[i, order]
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
            best[:, :-1].argmax(1),
            best[:, :-1].max(1),
        )
        yield result, best[:, :-1].max(1) > best[:, -1]


def draw_batch(batch: Batch, queries: Queries) -> Image.Image:
    """A sheet of the first images of a batch as the network saw them: labels, and what it says of them.

    A query is shown if it is surer of a class than of "no object", the surest on top; its colour is its class.
    """
    rows = []
    chances = queries.class_logits.detach().float().softmax(-1).cpu().numpy()
    logits = queries.mask_logits.detach().float()
    for i in range(min(SHOWN_IMAGES, len(batch.image_ids))):
        pixels = batch.images[i].permute(1, 2, 0).cpu().numpy()
        size = pixels.shape[:2]
        labels = Overlay(batch.masks[i].cpu().numpy() > 0.5, batch.labels[i].tolist())
        best = chances[i, :, :-1].max(1)
        shown = [q for q in np.argsort(-best, kind="stable") if best[q] > SURE]
        large = torch.nn.functional.interpolate(logits[i : i + 1], size, mode="bilinear", align_corners=False)[0]
        predicted = Overlay((large[shown] > 0).cpu().numpy(), chances[i, shown, :-1].argmax(1).tolist())
        rows.append(Row(pixels, [Cell(caption=str(batch.image_ids[i])), Cell(labels), Cell(predicted)]))
    return draw_sheet(["image", "labels", "network"], rows, SHOWN_PX)
