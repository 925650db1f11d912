"""Train the final model on the labels. Source: paper §3.4; reference ``part_distillation_model.py``.

The class head has the parts of every object class; loss and inference use only the parts of the image's class.
"""

from __future__ import annotations

from collections.abc import Callable

from pdstore.errors import UsageError
from schemas.stages import DistillTrainSettings
from stages.train.node import part_choice, run_training
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: DistillTrainSettings, setup: Setup) -> Callable[[Unit], Output]:
    """Raises UsageError if the labels have more clusters than ``parts_per_class``."""

    def run(unit: Unit) -> Output:
        clusters = max(
            (int(rows["cluster"].max(initial=-1)) for rows in unit.layer("labels").scan(["cluster"])), default=-1
        )
        if clusters >= settings.parts_per_class:
            fix = f"Set parts_per_class={clusters + 1}, as in ranking.k"
            problem = (
                f"the labels have {clusters + 1} clusters per class, but parts_per_class={settings.parts_per_class}"
            )
            raise UsageError(problem, "labels", fix)
        return run_training(
            unit,
            setup,
            settings,
            part_choice("labels", settings, labelled=True),
            num_classes=settings.parts_per_class,
            num_objects=len(setup.classes),
        )

    return run
