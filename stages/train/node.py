"""A training as a node of the pipeline: from a selection of images to a network and rows of its losses."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pdstore import Rows
from pdstore.errors import UsageError
from schemas.tables import METRICS
from schemas.training import TrainSettings
from stages.models.network import PartNetwork, build, copy_body
from stages.models.network_files import load_network, load_weights, network_files
from stages.track.wandb_id import recorded_group
from stages.train.ground_truth import GroundTruth
from stages.train.log import has_log, read_log
from stages.train.loop import Hooks, train
from stages.train.process_group import ProcessGroup
from stages.train.source import Choice, StoreSource, select
from stages.training_place import TrainingPlace
from stages.unit import Output, Setup, Unit

__all__ = ["part_choice", "run_training"]

LOGGED = 200
"""About how many steps a training reports in ``metrics``; the full log lies next to its checkpoints."""

IN_SQL = ("loss", "loss_class", "loss_mask", "loss_dice", "lr")
"""What those rows hold: only values that are determined by the settings and the data."""


def part_choice(role: str, settings: TrainSettings, labelled: bool) -> Choice:
    """Part masks on an object that is large enough, with a high enough score.

    Labelled masks must also be large enough in the image; without labels, only augmentation drops small masks, as in
    the reference ``proposal_dataset_mapper.py`` and ``part_distillation_dataset_mapper.py``.

    Args:
        labelled: the label of a mask is its cluster, and samples carry their object class; otherwise labels are 0.
    """
    object_ratio = "m.area / m.object_ratio / (m.height * m.width)"
    condition = f"m.score > {settings.min_score} AND {object_ratio} "
    if labelled:
        condition += f">= {settings.min_object_ratio} AND m.area / (m.height * m.width) >= {settings.min_part_ratio}"
    else:
        condition += f"> {settings.min_object_ratio}"

    def label(rows: Rows) -> npt.NDArray[np.int64]:
        return rows["cluster"].astype(np.int64) if labelled else np.zeros(len(rows), np.int64)

    return Choice(role, condition, label, has_object_class=labelled)


def run_training(
    unit: Unit,
    setup: Setup,
    settings: TrainSettings,
    choice: Choice,
    *,
    num_classes: int,
    num_objects: int = 0,
    extra: Mapping[str, bytes] | None = None,
) -> Output:
    """Train a network, from the newest checkpoint if there is one.

    Args:
        setup: has the network of the input ``model``, if the training starts from one.
        num_classes: number of mask classes.
        num_objects: number of object classes of a class-specific head; 0 for a plain head.
        extra: further files that are committed with the network.

    Raises:
        UsageError: the network of the input ``model`` has another architecture.
        UsageError, InputMissing, StorageFailure: a store to evaluate on is not there, or not finished.
        Preempted: a signal asked the training to stop; a checkpoint was written.
    """
    place, group = unit.training, ProcessGroup.of_this_process()
    assert place is not None, "the runner gives every training a place"
    # First of all: a store that cannot be read is said now, and not after hours.
    ground_truth = None
    if settings.evaluate_every:
        ground_truth = GroundTruth(settings, setup.classes if num_objects else None, group)
    selection = select(unit, settings, settings.split, choice, place.selection)
    unit.note(f"training on {len(selection)} images, {settings.steps} steps; state in {place.folder}")
    network = build(settings.network, num_classes, num_objects, settings.seed)
    if "model" in setup.models:
        _start_from(network, setup.models["model"])
    # Once per machine: its ranks share the folder.
    if int(os.environ.get("LOCAL_RANK", group.rank)) == 0 and (fetched := place.fetch()):
        unit.note(f"{unit.node}: {fetched} was fetched from the store")
    group.gathered(None)
    network = train(
        StoreSource(unit, selection, choice, settings.window, _longest(settings)),
        settings,
        network,
        place.folder,
        _hooks(unit, settings, place),
        held_out=_held_out(unit, settings, choice, place.held_out),
        ground_truth=ground_truth,
        device=setup.device,
        group=group,
    )
    return Output(_losses(place.folder, unit.node), {**network_files(network), **(extra or {})})


def _hooks(unit: Unit, settings: TrainSettings, place: TrainingPlace) -> Hooks:
    group = stage = ""
    if settings.wandb:
        group = recorded_group(place.store.files)
        stage = place.store.layer(place.node, place.fingerprint).info.identity.stage
    return Hooks(
        on_resume=unit.control.resumed,
        on_checkpoint=lambda: place.send(unit.note),
        on_step=lambda step, values: unit.advance(1),
        note=lambda text: unit.note(f"{unit.node}: {text}"),
        should_stop=unit.control.should_stop,
        name=unit.node,
        config=settings.model_dump(mode="json"),
        group=group,
        stage=stage,
    )


def _held_out(unit: Unit, settings: TrainSettings, choice: Choice, name: str) -> StoreSource | None:
    if not settings.validate_every:
        return None
    selection = select(unit, settings, settings.validate_split, choice, name)
    return StoreSource(unit, selection, choice, settings.window, _longest(settings))


def _longest(settings: TrainSettings) -> int:
    """The long side that the largest scale of the augmentation gives: every sample would be scaled down from more."""
    return math.ceil(settings.augment.size_px * max(1.0, settings.augment.scale_max))


def _start_from(network: PartNetwork, folder: Path) -> None:
    """Copy the weights in ``folder`` into the network, except the class predictor, whose classes are different."""
    misfits = network.settings.misfits(load_network(folder).settings)
    if misfits:
        fix = "Give both nodes the same network settings"
        raise UsageError(f"the model to start from has another architecture: {'; '.join(misfits)}", str(folder), fix)
    copy_body(network, load_weights(folder))


def _losses(folder: Path, node: str) -> Rows:
    """Rows of ``metrics`` from the log, for about ``LOGGED`` of its steps and always for the last."""
    lines = list(read_log(folder)) if has_log(folder) else []
    every = max(1, len(lines) // LOGGED)
    chosen = [line for line in lines if line["step"] % every == 0 or line is lines[-1]]
    return Rows.from_records(
        METRICS,
        [
            {
                "evaluated": node,
                "protocol": "train",
                "metric": metric,
                "class_name": "",
                "part_name": "",
                "step": line["step"],
                "value": float(line[metric]),
            }
            for line in chosen
            for metric in IN_SQL
            if line[metric] is not None  # the loss of a skipped step
        ],
    )
