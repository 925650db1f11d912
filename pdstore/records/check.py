"""Checking what a store holds beside its layers: its listing, its vocabulary, its pipeline, selections, checkpoints."""

from __future__ import annotations

from collections.abc import Iterator

from pdstore import layout
from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.records.digests import digest_of, remove_with_digest
from pdstore.records.sealed import is_sealed, unseal
from pdstore.records.states import restore_copy, restore_state

__all__ = ["file_problems", "repair_file", "uncovered_files"]

_END = layout.digest("")


def file_problems(files: Files) -> Iterator[tuple[str, str]]:
    """Path and problem of each file that is not what was written. Cost: reads all of them, piece by piece."""
    names = _names(files)
    for path in _lost_inputs(names):
        yield path, "missing"
    for path in names:
        if path.endswith(_END):
            try:
                problem = _problem(files, path.removesuffix(_END))
            except CorruptData as error:
                yield path, error.problem
                continue
            if problem:
                yield path.removesuffix(_END), problem
        elif path.endswith(".json"):
            try:
                unseal(files.read(path))
            except ValueError as error:
                yield path, f"the file is not a record that this program wrote ({error!s})"


def uncovered_files(files: Files) -> list[str]:
    """The files that have no digest, since an earlier release wrote them. What can be, is read; no more is known."""
    names = _names(files)
    known, found = set(names), list[str]()
    for path in names:
        if path.endswith((".parquet", ".arrow", ".pt")) or layout.is_growing(path):
            found += [path] if layout.digest(path) not in known else []
        elif path.endswith(".json"):
            try:
                found += [] if is_sealed(files.read(path)) else [path]
            except ValueError:
                continue  # it is damaged, and reported as such
    return found


def repair_file(files: Files, path: str) -> bool:
    """Take a damaged file out of the way, if nothing is lost with it. False if it has to be restored from a copy."""
    if path.endswith(_END):
        files.remove(path)
        return True
    if path == layout.PIPELINE:
        return restore_copy(files)
    if path.startswith(f"{layout.PIPELINES}/"):
        return restore_state(files, int(path.rsplit("/", 1)[-1].removesuffix(".json")))
    if path.startswith(f"{layout.CHECKPOINTS}/") and path.endswith(".pt"):
        # A training goes on from the one before it.
        remove_with_digest(files, path)
        return True
    return False


def _names(files: Files) -> list[str]:
    """The files beside the layers that a result depends on, sorted."""
    found = [name for name in files.names("") if name.endswith((".json", ".parquet", _END))]
    for folder in (layout.LISTINGS, layout.SELECTIONS):
        found += [f"{folder}/{name}" for name in files.names(folder)]
    inside = files.sizes(layout.CHECKPOINTS) if files.names(layout.CHECKPOINTS) else {}
    return found + sorted(path for path in inside if _is_state(path))


def _lost_inputs(names: list[str]) -> list[str]:
    """The records that are gone of the inputs that a training's selection was frozen from; they were written first."""
    known, end = set(names), layout.digest(layout.selection("")).rsplit("/", 1)[-1]
    frozen = [layout.parse_training_selection(path.removesuffix(end)) for path in names if path.endswith(end)]
    return [path for name in frozen if name and (path := layout.selection_inputs(name)) not in known]


def _is_state(path: str) -> bool:
    name = path.rsplit("/", 1)[-1].removesuffix(_END)
    return not name.startswith(".") and (name.endswith(".pt") or layout.is_growing(f"/{name}"))


def _problem(files: Files, path: str) -> str:
    """How a file with a digest differs from what was written. Raises CorruptData if the digest is damaged."""
    kept = digest_of(files, path)
    if kept is None:
        return ""
    try:
        with files.open(path) as file:
            return kept.problem_of(file, is_growing=layout.is_growing(path))
    except FileNotFoundError:
        return "missing"
