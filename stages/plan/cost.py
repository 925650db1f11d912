"""What nodes cost: hours of one worker and gigabytes, for the rest of a store and for data sets of any size.

Everything follows from a :class:`Rate` per node, which is measured and never assumed: from the seconds, bytes and rows
that the node's commits record, or from the log of a training. What was not measured says why, and is in no sum.

Bias: a unit's seconds run until it is committed, beside the computing of the next one, so hours are rather too many;
retries, restarts and workers that wait are not in them. ``ranking`` and evaluations count as linear in the images,
with as many classes in a bucket as here. A training is its steps, whatever the number of images; its validations and
checkpoints are not counted.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pdstore import Layer
from schemas.training import TrainSettings
from stages.plan.project import Project
from stages.plan.states import NodeState
from stages.stage import Stage
from stages.training_place import TrainingPlace

__all__ = [
    "DATASETS",
    "Amount",
    "NodeCost",
    "Rate",
    "Sample",
    "Total",
    "measured",
    "node_costs",
    "rate_of_samples",
    "totals",
]

DATASETS: Mapping[str, int] = {"ImageNet-1K": 1_281_167, "ImageNet-21K": 14_197_122}
"""Data set -> images. 1K: the training images of ILSVRC 2012 (Russakovsky et al., "ImageNet Large Scale Visual
Recognition Challenge", IJCV 2015). 21K: the release of fall 2011, 21,841 synsets (image-net.org)."""

DAY_H = 24
Per = Literal["image", "step", "run"]


@dataclass(frozen=True)
class Sample:
    """One measured unit.

    Attributes:
        images: how many images it stands for; a fraction of the store's for a unit that is no block.
        seconds: of one worker. size: bytes on disk. rows: of the node's table.
        host: the machine that computed it.
    """

    images: float
    seconds: float
    size: int
    rows: int
    host: str = ""


@dataclass(frozen=True)
class Rate:
    """What a node takes per image, per step of a training, or per run of a node that does not depend on the images.

    Attributes:
        seconds: per ``per``; None if it was not measured.
        size: bytes, per image, otherwise in all; None if it was not measured.
        rows: rows of its table per image; None if it was not measured, or if the node is no matter of images.
        basis: what was measured, or why nothing was.
        hosts: the machines on which it was measured.
    """

    per: Per
    seconds: float | None
    size: float | None
    rows: float | None
    basis: str
    hosts: tuple[str, ...] = ()

    @classmethod
    def unknown(cls, per: Per, why: str) -> Rate:
        return cls(per, None, None, None, f"not measured: {why}")


@dataclass(frozen=True)
class Amount:
    """Hours of one worker and gigabytes (10^9 bytes); None where the rate is unknown."""

    hours: float | None
    gigabytes: float | None


@dataclass(frozen=True)
class NodeCost:
    """What a node costs.

    Attributes:
        left: for the units that the store lacks. whole: data set -> for all of its images.
    """

    node: str
    is_training: bool
    rate: Rate
    left: Amount
    whole: Mapping[str, Amount]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Total:
    """What all nodes together cost for some images.

    Attributes:
        images: number of images. hours: of one worker, without trainings. training_hours: of the trainings.
        workers: how many workers compute everything but the trainings in a day.
        not_measured: the nodes that are in neither sum, because their time was not measured.
    """

    images: int
    hours: float
    training_hours: float
    gigabytes: float
    workers: int
    not_measured: tuple[str, ...]


def rate_of_samples(samples: Sequence[Sample], per: Per, basis: str) -> Rate:
    """The rate that these units show; a unit without images says nothing about images.

    Seconds are the median of the units, since the first has to load a network and another may have been disturbed;
    bytes and rows are means.
    """
    used = [sample for sample in samples if sample.images > 0 or per != "image"]
    if not used:
        return Rate.unknown(per, "no unit with images is committed")
    hosts = tuple(sorted({sample.host for sample in used} - {""}))
    size, rows = sum(sample.size for sample in used), sum(sample.rows for sample in used)
    if per != "image":
        return Rate(per, statistics.median(s.seconds for s in used), size, None, basis, hosts)
    images = sum(sample.images for sample in used)
    seconds = statistics.median(sample.seconds / sample.images for sample in used)
    return Rate(per, seconds, size / images, rows / images, basis, hosts)


def measured(project: Project, names: Iterable[str] = ()) -> dict[str, Rate]:
    """The rate of each node, or of the named ones. Cost: one read of what is committed, and of training logs."""
    return {name: _measured(project, name) for name in (names or project.nodes)}


def _measured(project: Project, name: str) -> Rate:
    node, layer = project[name], project.layer(name)
    if node.stage.is_training:
        assert isinstance(node.settings, TrainSettings)
        return _rate_of_training(TrainingPlace(project.store, name, node.fingerprint), node.settings, layer)
    samples, per = _samples(project, name, layer), per_of(node.stage)
    if not samples:
        return Rate.unknown(per, "no unit is committed")
    return rate_of_samples(samples, per, f"{len(samples)} {node.stage.unit}{'s' * (len(samples) != 1)}")


def per_of(stage: Stage) -> Per:
    """What the time of a node of this stage grows with."""
    if stage.is_training:
        return "step"
    return "run" if stage.writes_model else "image"


def _samples(project: Project, name: str, layer: Layer) -> list[Sample]:
    sizes = project.listing.block_sizes()
    share = project.listing.images / max(project.num_units(name), 1)
    is_block = project[name].stage.unit == "block"
    commits = layer.commits()
    columns = (commits.column(name) for name in ("unit", "seconds", "bytes", "rows", "host"))
    return [
        Sample(sizes[unit] if is_block else share, seconds, size, rows, host)
        for unit, seconds, size, rows, host in zip(*columns, strict=True)
    ]


def _rate_of_training(place: TrainingPlace, settings: TrainSettings, layer: Layer) -> Rate:
    """Seconds per step from the log, which a training keeps from its first step on; bytes from its commit."""
    # Imported here: it loads the libraries that draw, which a plan without costs does without.
    from stages.train.log import LOG_NAME, read_log

    manifest = layer.manifests().get(0)
    size, hosts = (manifest.size, (manifest.host,)) if manifest else (None, ())
    if not (place.folder / LOG_NAME).exists():
        return Rate("step", None, size, None, "not measured: it has no log on this machine", hosts)
    speeds = [line.get("samples_per_s") for line in read_log(place.folder)]
    seconds = [settings.batch_size / speed for speed in speeds if speed]
    if not seconds:
        return Rate("step", None, size, None, "not measured: its log has no finished step", hosts)
    return Rate("step", statistics.median(seconds), size, None, f"{len(seconds)} logged steps", hosts)


def node_costs(project: Project, states: Iterable[NodeState], rates: Mapping[str, Rate]) -> list[NodeCost]:
    """What each node costs at these rates."""
    return [_node_cost(project, state, rates[state.node]) for state in states]


def _node_cost(project: Project, state: NodeState, rate: Rate) -> NodeCost:
    node = project[state.node]
    if isinstance(node.settings, TrainSettings) and rate.per == "step":
        done = _steps_done(TrainingPlace(project.store, state.node, node.fingerprint))
        steps = node.settings.steps
        left = _fixed(rate, max(steps - done, 0) if state.missing else 0, bool(state.missing))
        whole = dict.fromkeys(DATASETS, _fixed(rate, steps, True))
    elif rate.per == "run":
        left, whole = _fixed(rate, len(state.missing), bool(state.missing)), dict.fromkeys(DATASETS, _fixed(rate, 1))
    else:
        left = _of_images(rate, _images_left(project, state))
        whole = {name: _of_images(rate, images) for name, images in DATASETS.items()}
    return NodeCost(state.node, node.stage.is_training, rate, left, whole)


def _steps_done(place: TrainingPlace) -> int:
    from stages.train.log import LOG_NAME, read_log

    if not (place.folder / LOG_NAME).exists():
        return 0
    return max((int(line["step"]) for line in read_log(place.folder)), default=0)


def _images_left(project: Project, state: NodeState) -> float:
    if project[state.node].stage.unit == "block":
        sizes = project.listing.block_sizes()
        return float(sum(sizes[unit] for unit in state.missing))
    return project.listing.images * len(state.missing) / max(state.units, 1)


def _of_images(rate: Rate, images: float) -> Amount:
    if not images:
        return Amount(0.0, 0.0)
    hours = None if rate.seconds is None else rate.seconds * images / 3600
    return Amount(hours, None if rate.size is None else rate.size * images / 1e9)


def _fixed(rate: Rate, times: int, has_output: bool = True) -> Amount:
    """``times`` steps or runs, with one output."""
    size = rate.size if has_output else 0.0
    seconds = rate.seconds if times else 0.0
    return Amount(None if seconds is None else seconds * times / 3600, None if size is None else size / 1e9)


def totals(project: Project, costs: Sequence[NodeCost]) -> dict[str, Total]:
    """The sums over the nodes, of ``this store`` (what it lacks) and of each data set (all of it)."""
    left = _total(project.listing.images, costs, [cost.left for cost in costs])
    whole = {name: _total(images, costs, [cost.whole[name] for cost in costs]) for name, images in DATASETS.items()}
    return {"this store": left, **whole}


def _total(images: int, costs: Sequence[NodeCost], amounts: Sequence[Amount]) -> Total:
    pairs = list(zip(costs, amounts, strict=True))
    hours = math.fsum(amount.hours or 0 for cost, amount in pairs if not cost.is_training)
    return Total(
        images=images,
        hours=hours,
        training_hours=math.fsum(amount.hours or 0 for cost, amount in pairs if cost.is_training),
        gigabytes=math.fsum(amount.gigabytes or 0 for amount in amounts),
        workers=math.ceil(hours / DAY_H),
        not_measured=tuple(cost.node for cost, amount in pairs if amount.hours is None),
    )
