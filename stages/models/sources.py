"""Where published weights come from: a folder, or a name on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from pdstore.errors import InputMissing
from stages.models.not_weights import refuse_not_weights

__all__ = ["is_fetched", "is_hub_name", "local_checkpoint"]

_HUB_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w.][\w./-]*))?")
"""``org/name`` or ``org/name@revision``, where a revision is a commit, a tag or a branch."""
_FILE_SUFFIXES = {".json", ".npy", ".pkl", ".pt", ".pth", ".safetensors", ".yaml"}
_NOT_SAFE = ["*.bin", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.ot", "*.pkl", "*.pt", "*.pth"]
"""Files of a hub repository that are not downloaded: pickles, and weights for other programs."""


def is_hub_name(text: str) -> bool:
    """True for ``org/name`` and ``org/name@revision``, unless it ends like a file name, or a folder ``org`` is here."""
    match = _HUB_NAME.fullmatch(text)
    if match is None:
        return False
    name = Path(match[1])
    return (match[2] is not None or name.suffix not in _FILE_SUFFIXES) and not name.parent.exists()


def local_checkpoint(text: str) -> Path:
    """A local folder with a checkpoint in the layout of transformers' ``save_pretrained``.

    Args:
        text: a folder, which is used as it is, or ``org/name`` or ``org/name@revision`` on the Hugging Face hub, which
            is downloaded into the hub's cache (or found there without a network). Pickled weights are not downloaded.

    Raises:
        InputMissing: if there is no such folder, or the hub has no such name or cannot be reached.
        CorruptData: if a file of the folder is a Git LFS pointer or a web page.
    """
    if Path(text).is_dir():
        for path in sorted(Path(text).glob("*")):
            if path.suffix in (".safetensors", ".json") and path.is_file():
                refuse_not_weights(path)  # as a clone without Git LFS leaves them
        return Path(text)
    if not is_hub_name(text):
        fix = "Give a folder that save_pretrained wrote, or a hub name such as facebook/dinov2-base"
        raise InputMissing(
            f"expected a folder with a checkpoint, found {'a file' if Path(text).exists() else 'nothing'}", text, fix
        )
    try:
        return Path(_snapshot(text))
    except Exception as error:  # the client raises requests', httpx', its own and OS errors; each means "not there"
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        fix = "Check name and revision; without a network here, copy its folder from another machine and give its path"
        problem = f"not available from the Hugging Face hub ({type(error).__name__}: {why})"
        raise InputMissing(problem, text, fix) from error


def is_fetched(text: str) -> bool:
    """Whether a hub name is in the hub's cache on this machine; no network is asked."""
    try:
        _snapshot(text, is_local=True)
    except OSError:  # the client's error for an entry that is not there is a FileNotFoundError
        return False
    return True


def _snapshot(text: str, *, is_local: bool = False) -> str:
    # Imported here: most checkpoints are folders, and the hub's client is slow to load.
    from huggingface_hub import snapshot_download

    match = _HUB_NAME.fullmatch(text)
    assert match is not None
    return snapshot_download(match[1], revision=match[2], ignore_patterns=_NOT_SAFE, local_files_only=is_local)
