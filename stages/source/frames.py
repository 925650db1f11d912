"""The frame of an image: the pixel grid in which it is processed and its masks are stored.

A frame is the image itself, or the image scaled down so that its longer side has a given length. So memory and the size
of rows do not depend on how large a photograph is; outputs bring masks back to original pixels where they are asked to.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pdstore import Ragged, Rows, masks

__all__ = ["FRAME_SIDE", "Size", "frame_of", "frame_side", "image_frames", "mask_frames", "mask_in_frame", "masks_at"]

Size = tuple[int, int]
"""(height, width), in pixels."""

FRAME_SIDE = 640
"""Longer side of a frame, in pixels, unless a network sees larger pictures."""


def frame_side(long_side: int) -> int:
    """Longer side of the frames of a stage whose network sees pictures with this long side; 0 is without a limit.

    It is not below ``FRAME_SIDE``, so that masks of a network that sees small pictures still have smooth borders.
    """
    return max(long_side, FRAME_SIDE) if long_side else 0


def frame_of(size: Size, longest: int) -> Size:
    """The frame of an image of this size: its longer side has at most ``longest`` pixels; 0 keeps the size."""
    side = max(size)
    if not longest or side <= longest:
        return size
    height, width = (max(1, round(length * longest / side)) for length in size)
    return height, width


def mask_frames(rows: Rows) -> npt.NDArray[np.int64]:
    """(N, 2) int64: the (height, width) of each row's mask."""
    return np.stack([rows["height"], rows["width"]], 1).astype(np.int64)


def image_frames(rows: Rows) -> dict[int, Size]:
    """image_id -> the frame of its masks; where they have several, the largest."""
    frames: dict[int, Size] = {}
    for image_id, height, width in zip(*(rows[n].tolist() for n in ("image_id", "height", "width")), strict=True):
        frames[image_id] = max(frames.get(image_id, (0, 0)), (height, width))
    return frames


def masks_at(rows: Rows, size: Size) -> Ragged:
    """The run lengths of the rows' masks, each brought from its own frame to ``size``, such as that of the image."""
    return masks.resize_each(rows.ragged("rle"), mask_frames(rows), size)


def mask_in_frame(rows: Rows, row: int, long_side: int) -> npt.NDArray[np.bool_]:
    """(H, W) bool: the mask of one row in the frame of a stage whose network sees pictures with this long side.

    Ground truth, which is in original pixels, is brought to the frame.
    """
    size = int(rows["height"][row]), int(rows["width"][row])
    frame = frame_of(size, frame_side(long_side))
    mask: npt.NDArray[np.bool_] = masks.decode_to(rows.ragged("rle").take([row]), [size], *frame)[0]
    return mask
