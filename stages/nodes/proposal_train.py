"""Train the part-proposal model: a Mask2Former with one class, "part".

Source: paper §3.2; reference ``proposal_model.py``.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.stages import ProposalTrainSettings
from stages.train.node import part_choice, run_training
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: ProposalTrainSettings, setup: Setup) -> Callable[[Unit], Output]:
    """An image's targets are the part masks of all nodes of input ``parts`` together."""

    def run(unit: Unit) -> Output:
        choice = part_choice("parts", settings, labelled=False)
        return run_training(unit, setup, settings, choice, num_classes=1)

    return run
