from __future__ import annotations

import pytest
from torch import nn

from stages.train.evaluation_mode import evaluation_mode, piece_size
from stages.train.process_group import ALONE, ProcessGroup
from tests.stages.train.squares import SETTINGS


def test_modes_are_restored_even_after_an_error() -> None:
    """A module that trained trains again, and one that was frozen stays in evaluation mode."""
    network = nn.Sequential(nn.BatchNorm2d(1), nn.BatchNorm2d(1)).train()
    network[1].eval()
    found: list[bool] = []

    def fail() -> None:
        with evaluation_mode(network):
            found.extend(module.training for module in network.modules())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert found == [False] * 3
    assert network.training and network[0].training and not network[1].training


@pytest.mark.parametrize(
    ("batch", "ranks", "pieces", "expected"), [(8, 1, 1, 8), (8, 2, 2, 2), (6, 2, 2, 2), (1, 1, 4, 1)]
)
def test_a_piece_is_what_a_rank_has_in_the_network_at_once(batch: int, ranks: int, pieces: int, expected: int) -> None:
    """A rank's share of a batch in ``accumulate`` pieces, and at least one image."""
    settings = SETTINGS.model_copy(update={"batch_size": batch, "accumulate": pieces})
    assert piece_size(settings, ProcessGroup(0, ranks) if ranks > 1 else ALONE) == expected
