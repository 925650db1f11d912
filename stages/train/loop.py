"""The training loop: one process or many ranks, on the CPU or on GPUs.

The samples of a step depend on (seed, epoch, batch), and its points on (seed, step, image). So a training that was
stopped at any moment and resumes from its checkpoint ends with the same weights: bit for bit with the same number of
ranks and threads on one CPU. With another number of ranks, batches are the same and losses agree up to rounding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pdstore.errors import InputMissing, PdError, Preempted, UsageError
from pdstore.stream import SampleOrder
from schemas.training import TrainSettings
from stages.models.network import PartNetwork
from stages.train.ground_truth import GroundTruth
from stages.train.log import TrainingLog
from stages.train.process_group import ALONE, ProcessGroup
from stages.train.samples import Batch, SampleSource, UnwarpedBatch, batches
from stages.train.step import Stepper, Taken
from stages.train.training_state import TrainingState
from stages.train.validation import SHOWN_IMAGES, draw_batch, validate

__all__ = ["Hooks", "train"]

SHOWN_IDS = 16


@dataclass(frozen=True)
class Hooks:
    """How a training reports to its caller, and how the caller stops it.

    Attributes:
        on_step: called after each step with the number of the step, from 1, and its values.
        note: prints a line.
        should_stop: called in each step; if it returns True on any rank, all ranks stop after that step, with a
            checkpoint.
        name: name of the training, for its log.
        config: settings that the log shows. group, stage: the store and the stage, as W&B shows them.
        on_resume: called before the first step with the number of steps that an earlier run has done, if there are any.
        on_checkpoint: called by the first rank after it has written a checkpoint.
    """

    on_step: Callable[[int, dict[str, float]], None] = lambda step, values: None
    note: Callable[[str], None] = lambda text: None
    should_stop: Callable[[], bool] = lambda: False
    name: str = "training"
    config: Mapping[str, Any] | None = None
    on_resume: Callable[[int], None] = lambda step: None
    on_checkpoint: Callable[[], None] = lambda: None
    group: str = ""
    stage: str = ""


def train(
    source: SampleSource,
    settings: TrainSettings,
    network: PartNetwork,
    folder: Path,
    hooks: Hooks = Hooks(),
    *,
    held_out: SampleSource | None = None,
    ground_truth: GroundTruth | None = None,
    device: str = "cpu",
    group: ProcessGroup = ALONE,
) -> PartNetwork:
    """Train ``network`` in place, from the newest checkpoint in ``folder`` if there is one.

    Args:
        network: the network with its initial weights, which are the same on all ranks.
        folder: local folder of this training, shared by all ranks: ``checkpoints/``, ``log.jsonl``, ``pictures/``.
        held_out: samples to validate on, if ``validate_every`` is set.
        ground_truth: other stores to evaluate on, if ``evaluate_every`` is set.
        device: torch device of this rank.
        group: the processes that train together.

    Returns:
        The network with its final weights (averaged, if the settings say so), in evaluation mode.

    Raises:
        InputMissing: the source is empty.
        UsageError: the number of ranks does not divide the batch size.
        StaleSettings: the checkpoint was written under other settings.
        Preempted: ``should_stop`` returned True; the same call continues from there.
        PdError: more than ``max_skipped`` steps in a row had a loss or a gradient that is not finite.
    """
    if len(source) == 0:
        fix = "Lower min_score, min_object_ratio or min_part_ratio"
        raise InputMissing("there are no samples to train on", str(folder), fix)
    if settings.batch_size % group.size:
        fix = "Choose a batch_size that is a multiple of the number of ranks, or another number of GPUs"
        raise UsageError(f"{group.size} ranks cannot share a batch of {settings.batch_size} evenly", hooks.name, fix)
    state = TrainingState(settings, network.to(device), folder)
    start = state.resume(torch.device(device))
    starts = group.gathered(start)
    if len(set(starts)) > 1:
        fix = "Put the store on a disk that all machines share, so that they see the same folder"
        raise UsageError(f"the ranks see checkpoints of different steps: {starts}", str(folder), fix)
    training = _Training(state, Stepper(state, group, torch.device(device)), hooks, group, held_out, ground_truth)
    try:
        training.run(start, source)
    finally:
        training.close()
    return state.finish()


class _Training:
    """One run of the training loop."""

    def __init__(
        self,
        state: TrainingState,
        stepper: Stepper,
        hooks: Hooks,
        group: ProcessGroup,
        held_out: SampleSource | None,
        ground_truth: GroundTruth | None,
    ) -> None:
        self.state, self.stepper, self.hooks, self.group, self.held_out = state, stepper, hooks, group, held_out
        self.settings, self.ground_truth = state.settings, ground_truth
        self.log = None
        if group.is_first:
            names = {"group": hooks.group, "job_type": hooks.stage}
            self.log = TrainingLog(state.folder, self.settings, hooks.name, hooks.config or {}, **names)
        self.waited = self.spent = 0.0
        self.reported = 0

    def run(self, start: int, source: SampleSource) -> None:
        settings, self.reported = self.settings, start
        if start:
            self.hooks.on_resume(start)
        if self.log:
            self.log.cut(start)
        order = SampleOrder(source.block_of_row, settings.batch_size, settings.seed, settings.window)
        stream = batches(
            source,
            order,
            order.at_step(start),
            settings.augment,
            rank=self.group.rank,
            ranks=self.group.size,
            threads=settings.loader_threads,
            pin=self.stepper.device.type == "cuda",
            min_part_ratio=settings.min_part_ratio,
            on_device=settings.augment_on == "device",
        )
        for step in range(start, settings.steps):
            began = time.perf_counter()
            batch = next(stream)
            ready = time.perf_counter()
            taken = self.stepper.step(step, batch, self.hooks.should_stop())
            taken.values.update(self._timings(ready - began, time.perf_counter() - began))
            self._after(step + 1, batch, taken)

    def _after(self, done: int, batch: Batch | UnwarpedBatch, taken: Taken) -> None:
        settings, score, values = self.settings, None, taken.values
        stop = taken.wants_stop and done < settings.steps
        if taken.skipped_images:
            self.hooks.note(f"step {done} was skipped, because its loss or gradient is not finite: {_names(taken)}")
        if self.held_out is not None and settings.validate_every and done % settings.validate_every == 0:
            state = self.state
            precision = self.stepper.precision
            metrics = validate(state.network, self.stepper.loss, self.held_out, settings, self.group, precision)
            values, score = values | metrics, metrics["validation_loss"]
        if self.log:
            if self.ground_truth and settings.evaluate_every and done % settings.evaluate_every == 0:
                values |= self._evaluated(self.ground_truth, done)
            self.log.add(done, values, taken.skipped_images)
            if settings.picture_every and done % settings.picture_every == 0:
                shown = batch.part(slice(SHOWN_IMAGES)).to(self.stepper.device)
                self.log.picture(done, draw_batch(shown, self.stepper.queries(shown)))
        is_due = stop or done % settings.checkpoint_every == 0 or done == settings.steps
        if self.log and (is_due or score is not None):
            self.log.keep_digest()
        if self.group.is_first and (is_due or score is not None):
            self.state.save(done, score, is_due)
            self.hooks.on_checkpoint()
        if is_due:
            self._report(done, values)
        self.hooks.on_step(done, values)
        if stop:
            problem = f"stopped at step {done} of {settings.steps}, as requested; a checkpoint was written"
            raise Preempted(problem, str(self.state.folder), "Run the same command again to continue")

    def _evaluated(self, ground_truth: GroundTruth, done: int) -> dict[str, float]:
        """The scores on other stores. The other ranks wait for the first one in their next step meanwhile."""
        try:
            scores = ground_truth.scores(self.state.network, self.stepper.precision, self.hooks.should_stop)
        except Preempted:
            self.hooks.note(f"step {done}: the evaluation on ground truth is left out, because the training is to stop")
            return {}
        except (PdError, OSError) as error:
            # Days of training do not depend on a disk that they only look at.
            self.hooks.note(f"step {done}: the evaluation on ground truth failed, and the training goes on: {error}")
            return {}
        shown = {n: v for n, v in scores.items() if n.endswith(("/AR@200", "/mIoU"))}
        self.hooks.note(f"step {done}: {', '.join(f'{name} {value:.1f}' for name, value in shown.items())}")
        return scores

    def _timings(self, waited: float, spent: float) -> dict[str, float]:
        self.waited, self.spent = self.waited + waited, self.spent + spent
        return {"samples_per_s": self.settings.batch_size / spent, "data_wait_ratio": waited / spent}

    def _report(self, done: int, values: dict[str, float]) -> None:
        steps, self.reported = done - self.reported, done
        rate = self.settings.batch_size * steps / max(self.spent, 1e-9)
        wait = self.waited / max(self.spent, 1e-9)
        self.hooks.note(f"step {done}: loss {values['loss']:.4g}, {rate:.3g} samples/s, {wait:.1%} waiting for data")
        self.waited = self.spent = 0.0

    def close(self) -> None:
        if self.log:
            self.log.close()


def _names(taken: Taken) -> str:
    """The images of a skipped step for a line on the screen, which has no room for those of a large batch."""
    ids = taken.skipped_images
    more = f" and {len(ids) - SHOWN_IDS} more, which log.jsonl names" if len(ids) > SHOWN_IDS else ""
    return f"images {', '.join(map(str, ids[:SHOWN_IDS]))}{more}"
