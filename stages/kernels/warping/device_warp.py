"""What :mod:`stages.kernels.warping.warp` and :mod:`pdstore.runs.grids` do on the host, in torch on any device.

Masks are equal; colours differ by rounding, a level or two.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from pdstore.runs import Runs
from stages.kernels.warping.views import View, fixed_point
from stages.kernels.warping.warp import GREY

__all__ = ["Places", "places_of", "recolour_on", "seen_on", "warp_on"]

Floats = npt.NDArray[np.float64]
Places = tuple[Tensor, Tensor]
"""int64, rows and columns of the picture under the pixels of a square, which broadcast to (S, S); -1 outside."""


def places_of(view: View, device: torch.device) -> Places:
    """The pixels of the picture under the middles of those of the square."""
    if not view.is_turned:
        rows, columns = (torch.from_numpy(axis).to(device, non_blocking=True) for axis in view.grid)
        return rows[:, None], columns[None, :]
    a, b, c, d, e, f = fixed_point(view.to_window)
    y, x = (torch.arange(view.side, device=device).reshape(shape) for shape in ((-1, 1), (1, -1)))
    column, row = a * x + b * y + c >> 16, d * x + e * y + f >> 16
    is_inside = (row >= 0) & (row < view.rows.stop - view.rows.start)
    is_inside &= (column >= 0) & (column < view.columns.stop - view.columns.start)
    return torch.where(is_inside, row + view.rows.start, -1), torch.where(is_inside, column + view.columns.start, -1)


def warp_on(pixels: Tensor, to_pixels: Floats, places: Places) -> Tensor:
    """(3, S, S) uint8: bilinear interpolation of a crop, with grey where the square shows no window.

    Args:
        pixels: (h, w, 3) uint8 on the device. to_pixels: (2, 3), of :class:`stages.kernels.warping.warp.Crop`.
    """
    side, device = max(places[0].shape), pixels.device
    height, width = pixels.shape[:2]
    # grid_sample takes places from -1 to 1, from border to border.
    scaled = to_pixels / np.array([[width / 2], [height / 2]])
    scaled[:, 2] += scaled[:, :2].sum(1) * 0.5 - 1
    y, x = (torch.arange(side, device=device, dtype=torch.float32).reshape(s) for s in ((-1, 1), (1, -1)))
    (a, b, c), (d, e, f) = scaled.tolist()
    grid = torch.stack([a * x + b * y + c, d * x + e * y + f], -1)
    planes = pixels.permute(2, 0, 1).float()
    found = grid_sample(planes[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]
    is_inside = (places[0] >= 0) & (places[1] >= 0)
    return torch.where(is_inside, found.round(), float(GREY)).to(torch.uint8)


def recolour_on(image: Tensor, mixed: Floats, contrast: Floats) -> Tensor:
    """(3, S, S) uint8 -> the same with its colours mixed, as :func:`stages.kernels.warping.warp.recolour` does it."""
    planes = image.float()
    matrix, grey = (torch.from_numpy(array).to(image.device, torch.float32) for array in (mixed.T.copy(), contrast))
    found = torch.einsum("oc,chw->ohw", matrix, planes) + (planes.mean() * grey)[:, None, None]
    return found.round().clamp(0, 255).to(torch.uint8)


def seen_on(runs: Runs, places: Places) -> Tensor:
    """(N, S, S) bool on the device of ``places``, which are those of the masks' own frame."""
    device, count, pixels = places[0].device, len(runs), runs.height * runs.width
    number = np.repeat(np.arange(count), np.diff(runs.offsets))
    # The runs of all masks one after the other, as those of one long mask.
    ends = torch.from_numpy(runs.ends + number * pixels).to(device, non_blocking=True)
    first, start = (torch.from_numpy(a).to(device) for a in (runs.offsets[:-1].copy(), np.arange(count) * pixels))
    rows, columns = places
    at = start[:, None, None] + columns * runs.height + rows
    # A place is inside if an odd number of its mask's runs have ended there.
    odd = (torch.searchsorted(ends, at, right=True) - first[:, None, None]) & 1 == 1
    return odd & (rows >= 0) & (columns >= 0)
