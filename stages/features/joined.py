"""The maps of one image as one map, where the network left them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stages.features.protocol import Maps
from stages.kernels.clustering.grouping import concat_maps, normalize
from stages.kernels.clustering.torch_grouping import join_maps
from stages.kernels.pixel_features import chromaticity

__all__ = ["joined"]


def joined(
    maps: Sequence[Tensor],
    is_normalized: bool,
    *,
    weights: Sequence[float] = (),
    pixels: npt.NDArray[np.uint8] | None = None,
    colour: float = 0.0,
) -> Maps:
    """Maps (C_i, h_i, w_i) on one device -> (sum of C_i, h_0, w_0), resized bilinearly to the first one's size.

    Args:
        is_normalized: scale each map to unit length over its channels before it is resized.
        weights: of each map, by which its channels are multiplied in the end; unless given, 1.
        pixels: (H, W, 3) uint8 RGB, the picture that the maps cover; without it there are no colours.
        colour: weight of the :func:`~stages.kernels.pixel_features.chromaticity` of ``pixels``, which becomes the last
            three channels; 0 adds none.

    Returns:
        An array if the maps are on the CPU, where objects are grouped one by one; otherwise a tensor on their device.
    """
    scale = np.repeat(np.array(weights, np.float32), [len(m) for m in maps])[:, None, None] if weights else None
    size = maps[0].shape[1], maps[0].shape[2]
    tints = np.float32(colour) * chromaticity(pixels, *size) if colour and pixels is not None else None
    if maps[0].device.type != "cpu":
        device, on_device = maps[0].device, join_maps(maps, is_normalized)
        if scale is not None:
            on_device = on_device * torch.from_numpy(scale).to(device)
        return on_device if tints is None else torch.cat([on_device, torch.from_numpy(tints).to(device)])
    arrays = [m.numpy() for m in maps]
    array = concat_maps([normalize(m) if is_normalized else m for m in arrays])
    if scale is not None:
        array = array * scale
    return array if tints is None else np.concatenate([array, tints])
