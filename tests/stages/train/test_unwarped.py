from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from pdstore import Ragged, masks
from schemas.training import AugmentSettings
from stages.source.photos import EncodedPhoto
from stages.train.augment import augment, draw
from stages.train.stored_masks import StoredMasks
from stages.train.unwarped import UnwarpedSample

FRAMES = np.array([[60, 80], [30, 40], [60, 80], [120, 160], [60, 80]])


@pytest.mark.parametrize("turn", [0.0, 0.5])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_device_makes_the_sample_of_the_host(kind: str, turn: float) -> None:
    """Masks of all frames are equal, and pictures up to rounding, at any scale, with a change of colours."""
    rng, buffer = np.random.default_rng(0), io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((320, 240)).save(buffer, kind)
    strings = [masks.encode(rng.random((1, height, width)) < 0.3)[0] for height, width in FRAMES.tolist()]
    photo = EncodedPhoto(buffer.getvalue(), "key", (240, 320), (60, 80))
    stored = StoredMasks(Ragged.from_list(strings), FRAMES, photo.size)
    settings = AugmentSettings(size_px=64, crop_min_ratio=0.5, scale_max=2.5, rotation_rad=turn, colour=0.2)
    counts = set()
    for image_id in range(20):
        change, expected = draw(stored, settings, 0, 0, image_id, 0.19), np.empty((64, 64, 3), np.uint8)
        seen = augment(photo, stored, change, expected)
        image, found = UnwarpedSample.of(photo, stored, change).on(torch.device("cpu"))
        assert found.dtype == torch.float32 and np.array_equal(found.numpy(), seen)
        away = np.abs(image.permute(1, 2, 0).numpy().astype(int) - expected)
        assert image.dtype == torch.uint8 and away.max() <= 4 and away.mean() < 0.6
        counts.add(len(seen))
    assert len(counts) > 1
