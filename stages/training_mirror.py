"""The state of a training in an object store, so that another machine can go on with it.

A training writes its checkpoints and its log to a local folder. If the store is in an object store, each checkpoint is
sent there when it is written, and a machine that begins fetches what is newer than its own. An object is whole or not
there. Each has its digest beside it, as in a local store, and is sent before the digest: what is fetched is compared.

Pictures and TensorBoard's files stay on the machine that drew them.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from pdstore import layout
from pdstore.errors import CorruptData, PdError
from pdstore.files import Files
from pdstore.records.digests import digest_of, place_file

__all__ = ["BEST_NAME", "CHECKPOINTS", "TOKEN", "fetch_state", "send_state", "steps_in"]

TOKEN = "training"
"""The file that tells one training from another of the same settings, which began after the first was discarded."""
BESIDE = ("log.jsonl", "wandb_id")
CHECKPOINTS, BEST_NAME = "checkpoints", "best.pt"
PIECE = 8 << 20


def fetch_state(files: Files, remote: str, folder: Path) -> str:
    """Bring the folder of a training to what the store has of it, if that is newer, or of another training.

    Args:
        remote: the folder in the store.

    Returns:
        The name of the checkpoint that was fetched; empty if none was.
    """
    _agree_on_token(files, remote, folder)
    steps = [name for name in files.names(f"{remote}/{CHECKPOINTS}") if _is_step(name)]
    own = [path.name for path in steps_in(folder / CHECKPOINTS)]
    for name in sorted(steps, reverse=True):
        if own and own[-1] >= name:
            return ""
        if _fetch(files, f"{remote}/{CHECKPOINTS}/{name}", folder / CHECKPOINTS / name):
            _fetch(files, f"{remote}/{CHECKPOINTS}/{BEST_NAME}", folder / CHECKPOINTS / BEST_NAME)
            for beside in BESIDE:
                _fetch(files, f"{remote}/{beside}", folder / beside, is_needed=False)
            return name
    return ""


def send_state(files: Files, remote: str, folder: Path, note: Callable[[str], None]) -> None:
    """Send what the store lacks of a training's state, and remove there what is not kept here.

    A store that does not answer is noted, and the next checkpoint is sent with what this one lacked.
    """
    try:
        for name in BESIDE:
            _send(files, folder / name, f"{remote}/{name}")
        there = set(files.names(f"{remote}/{CHECKPOINTS}"))
        kept = [path.name for path in sorted((folder / CHECKPOINTS).glob("*.pt"))]
        for name in kept:
            # A checkpoint of a step is never written again under the same name but with the same content.
            if name == BEST_NAME or not {name, layout.digest(name)} <= there:
                _send(files, folder / CHECKPOINTS / name, f"{remote}/{CHECKPOINTS}/{name}")
        named = {*kept, *map(layout.digest, kept)}
        files.remove_many([f"{remote}/{CHECKPOINTS}/{name}" for name in sorted(there - named)])
    except (PdError, OSError) as error:
        note(f"the checkpoint was not sent to the store, and the training goes on: {error}")


def _agree_on_token(files: Files, remote: str, folder: Path) -> None:
    """Make a token where there is none, and discard the folder of another training."""
    path, own = f"{remote}/{TOKEN}", folder / TOKEN
    known = own.read_bytes() if own.exists() else b""
    try:
        token = files.read(path)
    except FileNotFoundError:
        if known:
            shutil.rmtree(folder)
        token = secrets.token_hex(8).encode()
        if not files.create_own(path, token):
            token = files.read(path)
    else:
        if known != token:
            shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    own.write_bytes(token)


def _send(files: Files, source: Path, path: str) -> None:
    if not source.exists():
        return
    kept = layout.digest(source.name)
    if (source.parent / kept).exists():
        files.remove(layout.digest(path))
    with source.open("rb") as file, files.writing(path) as target:
        shutil.copyfileobj(file, target, PIECE)
    if (source.parent / kept).exists():
        files.write(layout.digest(path), (source.parent / kept).read_bytes())


def _fetch(files: Files, path: str, target: Path, *, is_needed: bool = True) -> bool:
    """Fetch a file with its digest. False if it is not there, or not what was written.

    Args:
        is_needed: it counts only with its digest.
    """
    try:
        digest = digest_of(files, path)
    except CorruptData:
        digest = None
    if digest is None and is_needed:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{layout.UNFINISHED_CHECKPOINT}{secrets.token_hex(8)}")
    try:
        with temporary.open("wb") as out, files.open(path) as file:
            shutil.copyfileobj(file, out, PIECE)
            out.flush()
            os.fsync(out.fileno())
        with temporary.open("rb") as written:
            if digest is not None and digest.problem_of(written, is_growing=layout.is_growing(path)):
                return False
        local = Files(str(target.parent))
        place_file(local, temporary, target.name)
        if digest is not None:
            local.write(layout.digest(target.name), files.read(layout.digest(path)))
    except FileNotFoundError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def steps_in(folder: Path) -> list[Path]:
    """The checkpoints of steps, rising."""
    return sorted(folder.glob("step_*.pt"))


def _is_step(name: str) -> bool:
    return name.startswith("step_") and name.endswith(".pt")
