"""Published checkpoints on the Hugging Face hub that a setting stands for, by name and revision."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["HUB"]

HUB: Mapping[str, Mapping[str, str]] = {
    "sam3": {"weights": "facebook/sam3@main"},
    "grounding-dino+sam2": {
        "weights": "IDEA-Research/grounding-dino-base@main",
        "segmenter": "facebook/sam2.1-hiera-large@main",
    },
}
"""Backend of detic -> the checkpoints that it takes unless others are set."""
