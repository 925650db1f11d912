"""The maps of one image as one map, where the network left them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from stages.features.protocol import Maps
from stages.kernels.clustering.grouping import concat_maps, normalize
from stages.kernels.clustering.torch_grouping import join_maps

__all__ = ["joined"]


def joined(maps: Sequence[Tensor], is_normalized: bool) -> Maps:
    """Maps (C_i, h_i, w_i) on one device -> (sum of C_i, h_0, w_0), resized bilinearly to the first one's size.

    Args:
        is_normalized: scale each map to unit length over its channels before it is resized.

    Returns:
        An array if the maps are on the CPU, where objects are grouped one by one; otherwise a tensor on their device.
    """
    if maps[0].device.type != "cpu":
        return join_maps(maps, is_normalized)
    arrays = [m.numpy() for m in maps]
    return concat_maps([normalize(m) if is_normalized else m for m in arrays])
