"""Samples that the host decodes, and the device warps: what to send, and what becomes of it there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pdstore.runs import Runs
from stages.kernels.warping.device_warp import places_of, recolour_on, seen_on, warp_on
from stages.kernels.warping.warp import crop
from stages.source.photos import Photo
from stages.train.augment import Change
from stages.train.stored_masks import StoredMasks

__all__ = ["UnwarpedSample"]


@dataclass(frozen=True, eq=False)
class UnwarpedSample:
    """A picture at about the size in which it is seen, its masks as runs, and the change that was drawn for them.

    Attributes:
        pixels: (h, w, 3) uint8, what the square shows of the picture. to_pixels: (2, 3), from the square to them.
        targets: numbers of targets, from 0, and the runs of their masks; one pair per frame of masks.
    """

    pixels: Tensor
    to_pixels: npt.NDArray[np.float64]
    change: Change
    stored: StoredMasks
    targets: list[tuple[npt.NDArray[np.int64], Runs]]

    @classmethod
    def of(cls, photo: Photo, stored: StoredMasks, change: Change) -> UnwarpedSample:
        """Decode the picture. Nothing is warped."""
        part = crop(*photo.reduced(change.view.shrink), change.view)
        # Where pixels come straight from a file's decoder they cannot be written, which torch does not allow for.
        pixels = part.pixels if part.pixels.flags.writeable else part.pixels.copy()
        targets = []
        for numbers, runs in stored.by_frame:
            places = np.flatnonzero(np.isin(change.targets, numbers))
            targets.append((places, runs.take(np.searchsorted(numbers, change.targets[places]))))
        return cls(torch.from_numpy(pixels), part.to_pixels, change, stored, targets)

    def pinned(self) -> UnwarpedSample:
        """The sample with its picture in pinned memory."""
        return replace(self, pixels=self.pixels.pin_memory())

    def on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """(3, S, S) uint8 and (M, S, S) float32 on the device: what ``augment`` gives on the host."""
        view, colours = self.change.view, self.change.colours
        places = places_of(view, device)
        image = warp_on(self.pixels.to(device, non_blocking=True), self.to_pixels, places)
        if colours is not None:
            image = recolour_on(image, colours.mixed, colours.contrast)
        masks = torch.zeros((len(self.change.targets), view.side, view.side), device=device)
        height, width = self.stored.size
        for numbers, runs in self.targets:
            rows, columns = (
                torch.where(axis >= 0, (2 * axis + 1) * length // (2 * whole), -1)
                for axis, length, whole in zip(places, (runs.height, runs.width), (height, width), strict=True)
            )
            masks[torch.from_numpy(numbers).to(device)] = seen_on(runs, (rows, columns)).float()
        return image, masks
