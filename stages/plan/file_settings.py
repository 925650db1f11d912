"""Files that settings name: which of them are not there. All are checked together, before anything is computed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pdstore.errors import InputMissing
from stages.models.sources import is_hub_name
from stages.plan.pipeline import Node

__all__ = ["MissingFile", "check_files", "missing_files"]

_IS_MOUNTED = "is the disk mounted?"
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


@dataclass(frozen=True)
class MissingFile:
    """A path that cannot be used: what is wrong with it, and the settings ``node.key`` that name it."""

    path: str
    problem: str
    keys: tuple[str, ...]

    @property
    def reason(self) -> str:
        return f"{self.problem}, named by {' and '.join(self.keys)}"

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def missing_files(nodes: Iterable[Node]) -> list[MissingFile]:
    """Each path once, in the order of the nodes."""
    missing: dict[tuple[str, str], list[str]] = {}
    for node in nodes:
        checkpoints = node.settings.checkpoints()
        for key, path in node.files.items():
            problem = _problem(path, key in checkpoints, node.identity.weights.get(key, ""))
            if problem:
                missing.setdefault((_shown(path), problem), []).append(f"{node.name}.{key}")
    return [MissingFile(path, problem, tuple(keys)) for (path, problem), keys in missing.items()]


def check_files(nodes: Iterable[Node]) -> None:
    """Raises InputMissing, which lists every path that these nodes' settings name and that cannot be read."""
    missing = missing_files(nodes)
    if len(missing) == 1:
        fix = f"Bring it back, or set another path: pd config set {missing[0].keys[0]}=PATH"
        raise InputMissing(missing[0].reason, missing[0].path, fix)
    if missing:
        lines = "\n  ".join(map(str, missing))
        fix = "Bring them back, or set other paths: pd config set NODE.KEY=PATH"
        raise InputMissing(f"{len(missing)} files that the settings name are not there:\n  {lines}\n", "", fix)


def _problem(path: Path, is_checkpoint: bool, digest: str) -> str:
    """What is wrong with a path; empty if it can be used."""
    if is_checkpoint and digest.startswith("hub: ") and is_hub_name(str(path)):
        return ""
    what = "file or folder" if is_checkpoint else "file"
    try:
        path.stat()
        if path.is_dir() and not is_checkpoint:
            return "this is a folder, not a file"
        if path.is_dir() and not next(path.iterdir(), None):
            return f"this folder is empty ({_IS_MOUNTED})"
    except OSError as error:
        if error.errno not in _NOT_THERE:
            return f"this {what} cannot be read ({os.strerror(error.errno or 0)}; {_IS_MOUNTED})"
        return f"no such {what} ({_IS_MOUNTED})"
    return "" if os.access(path, os.R_OK) else f"this {what} cannot be read (no permission)"


def _shown(path: Path) -> str:
    # A relative path is often meant for another current folder.
    return str(path) if path.is_absolute() else f"{path} (in {Path.cwd()})"
