"""Checks before a node runs: do the settings match the existing blocks, and do the input and the files exist?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from pdstore.errors import InputMissing, UsageError
from pdstore.files import Files
from schemas.base import Settings
from schemas.tracking import TrackedSettings
from stages.models.model_folder import model_folder
from stages.plan.committed import Committed
from stages.plan.file_settings import check_files
from stages.plan.inputs import Inputs
from stages.plan.project import Project
from stages.plan.settings import check_settings
from stages.plan.work import Snapshot, Source, Work, plan_work
from stages.run.options import RunOptions
from stages.source.tars import open_images
from stages.stage import Stage
from stages.track.tracker import check_packages
from stages.unit import Output, Setup, Unit

__all__ = [
    "check_files_of_done",
    "check_files_to_read",
    "check_reports",
    "checked_work",
    "prepare",
    "prepare_together",
]

EXTRAS = {"s3fs": "s3"}


def checked_work(project: Project, name: str, inputs: Inputs, options: RunOptions) -> Work:
    """What a run of the node would compute now.

    Raises:
        StaleSettings: units exist under other settings, and ``new_layer`` is not set.
        InputMissing: an input has no committed unit, or a unit needs all of an input that is incomplete.
    """
    check_settings(project, name, options.new_layer)
    recorded = Committed.of(project.layer(name)) if options.refresh else None
    work = plan_work(Snapshot.read(project, name, inputs, recorded), options)
    if work.lacking:
        raise _lacking(name, work.lacking[0])
    return work


def check_files_to_read(project: Project, names: Iterable[str]) -> None:
    """Raises InputMissing, which lists all files that are not there, of those nodes that still have units to compute.

    This is checked before the first of them runs: otherwise the last would fail after hours.
    """
    check_files(project[name] for name in names if not _is_done(project, name))


def check_reports(project: Project, names: Iterable[str]) -> None:
    """Raises UsageError if a node is to report by a package that is not installed."""
    for name in names:
        settings = project[name].settings
        if isinstance(settings, TrackedSettings):
            check_packages(settings, name)


def check_files_of_done(project: Project, names: Iterable[str]) -> None:
    """Raises InputMissing if files of finished nodes are not there.

    Their rows need no file, but whether the file has changed since cannot be known, so the run is no success.
    """
    check_files(project[name] for name in names if _is_done(project, name))


def _is_done(project: Project, name: str) -> bool:
    return bool(project[name].files) and len(project.layer(name).units()) == project.num_units(name)


def _lacking(name: str, source: Source) -> InputMissing:
    fix = f"Run: pd stage run {source.name}, or everything that is missing: pd run"
    if not source.committed:
        return InputMissing(f"its input {source.name} has no committed unit yet", name, fix)
    missing = source.missing
    shown = ", ".join(map(str, missing[:8])) + (", …" if len(missing) > 8 else "")
    problem = f"it needs all {source.total} units of {source.name}, of which {len(missing)} are missing ({shown})"
    return InputMissing(problem, name, f"{fix}. Or use the committed part: --allow-partial")


def prepare(project: Project, name: str) -> tuple[Files, Callable[[Unit], Output]]:
    """The image folder, and the stage's function, ready for its first unit.

    Raises:
        UsageError: a package that the stage or its reports need is not installed.
        InputMissing: a file that a setting names does not exist.
    """
    images, process = prepare_together(project, [name])
    return images, lambda unit: process([unit])[0]


def prepare_together(project: Project, names: Sequence[str]) -> tuple[Files, Callable[[Sequence[Unit]], list[Output]]]:
    """The same for the nodes of a pass (:mod:`stages.plan.passes`): the function takes one unit of each or of some."""
    nodes, listing = [project[name] for name in names], project.listing
    check_files(nodes)
    check_reports(project, names)
    # All nodes of a pass are of one stage and read the same.
    stage, inputs = nodes[0].stage, nodes[0].inputs
    models = {
        role: model_folder(project.layer(read[0]))
        for role, read in inputs.items()
        if project[read[0]].stage.writes_model
    }
    setup = Setup(
        classes=listing.classes(),
        models=models,
        files={},
        device=_ready_device(project) if stage.uses_network else "cpu",
        listed=listing.all,
        root=project.source.root,
    )
    setups = {node.name: replace(setup, files=node.files) for node in nodes}
    try:
        process = _start(stage, {node.name: node.settings for node in nodes}, setups)
    except ModuleNotFoundError as error:
        package = error.name or ""
        fix = f"pip install 'pdstore[{EXTRAS[package]}]'" if package in EXTRAS else f"pip install {package}"
        raise UsageError(f"the package {package} is not installed", ", ".join(names), fix) from error
    return open_images(project.store, project.source.root), process


def _start(
    stage: Stage, settings: Mapping[str, Settings], setups: Mapping[str, Setup]
) -> Callable[[Sequence[Unit]], list[Output]]:
    if len(settings) > 1:
        return stage.load_together()(settings, setups)
    [name] = settings
    process = stage.load()(settings[name], setups[name])
    return lambda units: [process(unit) for unit in units]


def _ready_device(project: Project) -> str:
    """The device that networks run on, after torch was told how many threads to use.

    It is one number for all nodes of a process, the largest that a training asks for, and it is set before the first
    of them computes anything: with another number results differ in the last bit, so a run that is killed between two
    nodes would go on differently; and torch 2.13 can crash in a backward pass if the number is raised later.
    """
    import torch

    asked = [getattr(node.settings, "threads", 0) for node in project.pipeline.nodes.values()]
    if any(asked):
        torch.set_num_threads(max(asked))
    return "cuda" if torch.cuda.is_available() else "cpu"
