"""How a network in training does on held-out images: its loss there, and a picture beside the labels."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from schemas.training import AugmentSettings, TrainSettings
from stages.models.network import PartNetwork, Queries
from stages.pictures import Cell, Overlay, Row, draw_sheet
from stages.train.loss import PartLoss
from stages.train.ranks import Ranks
from stages.train.samples import Batch, SampleSource, collate

__all__ = ["draw_batch", "validation_loss"]

SHOWN_IMAGES, SHOWN_PX = 6, 192
SURE = 0.5


@torch.no_grad()
def validation_loss(
    network: PartNetwork, loss: PartLoss, source: SampleSource, settings: TrainSettings, ranks: Ranks
) -> float:
    """The mean loss over the first ``validate_images`` images of ``source``, as they are; each rank takes its share.

    The same images and points every time, so that the values of a training can be compared. The network is left in
    the mode it was in.
    """
    device = network.mean.device
    plain = AugmentSettings(size_px=settings.augment.size_px, flip_ratio=0, crop_min_ratio=1, scale_min=1, scale_max=1)
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    rows = np.arange(min(settings.validate_images, len(source)))[ranks.rank :: ranks.size]
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for first in range(0, len(rows), max(1, settings.batch_size // ranks.size)):
        chosen = rows[first : first + max(1, settings.batch_size // ranks.size)]
        batch = collate(source.read(chosen), plain, settings.seed, 0).to(device)
        queries = network(batch.images, batch.object_class)
        parts = loss(queries, batch.masks, batch.labels, [(settings.seed, -1, i) for i in batch.image_ids])
        sums += torch.tensor([float(sum(parts.values())) * len(chosen), len(chosen)], device=device)
    for module, mode in modes:
        module.training = mode
    total = ranks.total(sums)
    return float(total[0] / total[1])


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
