"""Feature maps of any backbone that transformers' ``AutoBackbone`` supports: DINOv2, DINOv3 (ViT, ConvNeXt), Swin, …

A plain vision transformer has a single resolution, that of its patches, and its blocks are ``stage1`` to ``stageN``.
The stages of a pyramid are ordered from fine to coarse.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional
from transformers import AutoBackbone, AutoConfig
from transformers.utils import logging as transformers_logging

from pdstore.errors import CorruptData, UsageError, nearest
from schemas.stages import GroupingSettings
from stages.features.joined import joined
from stages.features.protocol import Features, Maps
from stages.fitting import fitting
from stages.models.precision import autocast
from stages.models.sources import local_checkpoint
from stages.source.frames import frame_side
from stages.unit import Setup, Unit

__all__ = ["AutoFeatures", "start"]

Pixels = npt.NDArray[np.uint8]

IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
PYRAMID_STRIDE = 32
"""Pixels per cell in the coarsest stage of a pyramid."""
FRESH = "hidden_states_norms"
"""Norms that a backbone adds to the stages of a classifier; their initial weights are not random."""

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


def start(settings: GroupingSettings, setup: Setup) -> Features:
    """A ready backend.

    Raises:
        UsageError: if ``weights`` is not set, or is not a backbone.
        InputMissing: if the checkpoint cannot be found.
        CorruptData: if the checkpoint is damaged or incomplete.
    """
    if not settings.weights:
        fix = "Set it to a folder that save_pretrained wrote or to a hub name, or choose backend: pixels"
        raise UsageError("backend auto needs weights, but none are set", "grouping.weights", fix)
    folder = local_checkpoint(str(setup.files.get("weights", settings.weights)))
    network = AutoFeatures(folder, settings, setup.device)
    join = partial(joined, weights=settings.map_weights, colour=settings.colour)

    def features(unit: Unit, image_ids: list[int]) -> Iterator[tuple[int, Maps]]:
        longest = frame_side(settings.long_side)
        batches = unit.own_block.batches(settings.batch_size, network.size, image_ids, longest=longest)
        batched = fitting(unit, batches, lambda _, pictures: zip(network.maps(pictures), pictures, strict=True))
        for image_id, (maps, pixels) in batched:
            yield image_id, join(maps, settings.normalize, pixels=pixels)

    return features


class AutoFeatures:
    """A backbone that is ready to use.

    Args:
        folder: in the layout of ``save_pretrained``.
        settings: which stages to return, and the size of the input.
    """

    def __init__(self, folder: Path, settings: GroupingSettings, device: str) -> None:
        self._settings, self._device = settings, torch.device(device)
        self._network = _load(folder, settings.out_features).to(self._device).eval()
        self._multiple = _multiple(self._network.config)
        processor = folder / "preprocessor_config.json"
        norm = {**IMAGENET, **(json.loads(processor.read_text()) if processor.is_file() else {})}
        mean, std = (torch.tensor(norm[name], device=self._device).view(3, 1, 1) for name in IMAGENET)
        self._mean, self._std = 255 * mean, 255 * std

    def size(self, pixels: Pixels) -> tuple[int, int]:
        """(height, width) of a picture in the network: multiples of a patch, so that the maps cover all of it."""
        height, width = pixels.shape[:2]
        settings = self._settings
        ratio = settings.input_scale * (settings.long_side / max(height, width) if settings.long_side else 1.0)
        rows, columns = (max(1, round(side * ratio / self._multiple)) * self._multiple for side in (height, width))
        return rows, columns

    @torch.inference_mode()
    def maps(self, pictures: Sequence[Pixels]) -> list[list[Tensor]]:
        """The maps of each picture: (C, h, w) float32 over the whole picture, on the network's device.

        All pictures have equal :meth:`size`.
        """
        size = self.size(pictures[0])
        tensors = [torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() for pixels in pictures]
        resized = [functional.interpolate(t, size, mode="bilinear", antialias=True) for t in tensors]
        batch = (torch.cat(resized).to(self._device) - self._mean) / self._std
        with autocast(self._device, self._settings.precision):
            stages = [maps.float() for maps in self._network(batch).feature_maps]
        return [[maps[i] for maps in stages] for i in range(len(pictures))]


def _load(folder: Path, stages: Sequence[str]) -> Any:
    """The backbone with the given stages; if none are given, with those that the checkpoint names (the last one)."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        # Only to learn the class: AutoBackbone's own from_pretrained contacts the hub even for a local folder.
        with torch.device("meta"):
            kind = type(AutoBackbone.from_config(config))
    except (OSError, ValueError, KeyError) as error:
        problem = f"AutoBackbone does not support this checkpoint: {str(error).strip().splitlines()[0]}"
        raise UsageError(problem, str(folder), "Choose another backbone") from None
    for name in stages:
        if name not in config.stage_names:
            known = ", ".join(config.stage_names)
            raise UsageError(
                f"the backbone has no stage {name!r}; its stages are {known}",
                "grouping.out_features",
                nearest(name, config.stage_names),
            )
    if stages:
        config.out_features = [name for name in config.stage_names if name in stages]
    try:
        network, report = kind.from_pretrained(
            folder, config=config, output_loading_info=True, use_safetensors=True, local_files_only=True
        )
    except (OSError, RuntimeError, SafetensorError) as error:
        problem = f"no safetensors that fit config.json: {str(error).strip().splitlines()[0]}"
        raise CorruptData(problem, str(folder), "Download the folder again") from None
    missing = sorted(name for name in report["missing_keys"] if FRESH not in name)
    if missing:
        # transformers would continue with random weights in their place.
        problem = f"the checkpoint has no weights for {', '.join(missing)}"
        raise CorruptData(problem, str(folder), "Download the folder again")
    return network


def _multiple(config: Any) -> int:
    """Side of a patch, or of the coarsest cell of a pyramid, in pixels; the sides of the input are multiples of it."""
    if hasattr(config, "depths"):
        return PYRAMID_STRIDE
    return math.lcm(*np.ravel(config.patch_size).tolist())
