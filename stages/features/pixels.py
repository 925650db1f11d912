"""Colour, position and texture: features that need no weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from schemas.stages import GroupingSettings
from stages.features.protocol import Features
from stages.fitting import or_rejected
from stages.kernels.clustering.grouping import normalize
from stages.kernels.pixel_features import pixel_features
from stages.source.frames import frame_side
from stages.unit import Setup, Unit

__all__ = ["start"]


def start(settings: GroupingSettings, setup: Setup) -> Features:
    """A ready backend of :func:`stages.kernels.pixel_features.pixel_features`, with cells of ``stride`` pixels."""

    def features(unit: Unit, image_ids: list[int]) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        block = unit.own_block
        for image_id, pixels in block.pictures(image_ids, block.frames(frame_side(settings.long_side))):
            maps = None
            with or_rejected(unit, image_id):
                maps = pixel_features(pixels, settings.stride)
            if maps is not None:
                yield image_id, normalize(maps) if settings.normalize else maps

    return features
