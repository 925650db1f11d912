"""Feature maps of a Mask2Former's backbone, concatenated at the resolution of the first map.

Source: paper §3.1; reference ``proposal_generation_model.py``, which joins res3 and res4: maps 1 and 2 here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pdstore.errors import UsageError
from schemas.stages import GroupingSettings
from stages.features.joined import joined
from stages.features.protocol import Features, Maps
from stages.fitting import fitting
from stages.models.inference import Inference
from stages.unit import Setup, Unit

__all__ = ["start"]


def start(settings: GroupingSettings, setup: Setup) -> Features:
    """A ready backend. Raises UsageError if there is no input ``model``."""
    if "model" not in setup.models:
        fix = "Give it a network: inputs: {model: NODE}, or choose backend: pixels"
        raise UsageError("backend backbone needs an input 'model', but there is none", "grouping", fix)
    join = partial(joined, weights=settings.map_weights, colour=settings.colour)
    network = Inference(setup.models["model"], setup.device, settings.long_side, settings.precision)

    def features(unit: Unit, image_ids: list[int]) -> Iterator[tuple[int, Maps]]:
        batches = unit.own_block.batches(settings.batch_size, network.shape, image_ids, longest=network.longest)
        look = partial(network.maps, which=settings.maps, scale=settings.input_scale)
        batched = fitting(unit, batches, lambda _, pictures: zip(look(pictures), pictures, strict=True))
        for image_id, (maps, pixels) in batched:
            yield image_id, join(maps, settings.normalize, pixels=pixels)

    return features
