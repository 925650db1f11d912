"""Looking at a network while it trains: its modes are restored, and no more images are in it than in a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from schemas.training import TrainSettings
from stages.train.process_group import ProcessGroup

__all__ = ["evaluation_mode", "piece_size"]


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """In the block, norms keep their statistics and no path is dropped; afterwards each module has its mode again."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def piece_size(settings: TrainSettings, group: ProcessGroup) -> int:
    """How many images a rank has in the network at once."""
    return -(-max(1, settings.batch_size // group.size) // settings.accumulate)
