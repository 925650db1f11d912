"""Settings of the reports that a node sends while it runs. None of them changes a result."""

from __future__ import annotations

from schemas.base import Settings, operational

__all__ = ["PicturedSettings", "TrackedSettings"]


class TrackedSettings(Settings):
    """A node that can report to Weights & Biases and TensorBoard."""

    wandb: bool = operational(False, description="also report to Weights & Biases; offline if there is no network")
    wandb_project: str = operational("pd", description="project in Weights & Biases")
    tensorboard: bool = operational(False, description="also write event files for TensorBoard")

    @property
    def is_tracked(self) -> bool:
        """True if the node reports anywhere."""
        return self.wandb or self.tensorboard


class PicturedSettings(TrackedSettings):
    """A node whose reports have pictures of images."""

    picture_every: int = operational(
        1000, ge=0, description="wandb, tensorboard: images between pictures; 0 is no pictures"
    )
