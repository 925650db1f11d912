"""Loads networks and tokenizers of transformers from a folder or the hub, and refuses incomplete ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from pdstore.errors import CorruptData, PdError, UsageError
from schemas.stages import DeticSettings
from stages.models.sources import local_checkpoint
from stages.unit import Setup

__all__ = ["checkpoint", "load_network", "load_tokenizer"]

_VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt")

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


def checkpoint(settings: DeticSettings, setup: Setup, key: str, example: str) -> Path:
    """The local folder of the checkpoint that a setting names.

    Args:
        key: name of the setting.
        example: a hub name that the error message suggests.

    Raises:
        UsageError: if the setting is empty.
        InputMissing: if there is neither such a folder nor such a name on the hub.
    """
    text = str(setup.files.get(key, getattr(settings, key)))
    # An unset path is "", which Path turns into ".".
    if text in {"", "."}:
        fix = f"Set it to a folder that save_pretrained wrote, or to a hub name such as {example}"
        raise UsageError(f"backend {settings.backend} needs weights, but none are set", f"detic.{key}", fix)
    return local_checkpoint(text)


def load_network(kind: Any, folder: Path, device: str) -> Any:
    """A network of class ``kind``, ready for inference.

    Raises:
        CorruptData: if the folder lacks a file, or the file lacks weights of this network.
    """
    try:
        network, report = kind.from_pretrained(
            folder, output_loading_info=True, use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _misfit(kind, folder, str(error).strip().splitlines()[0]) from None
    _check_whole(kind, folder, report)
    return network.to(torch.device(device)).eval()


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in the folder of a network. Raises CorruptData if there is none."""
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        # transformers would continue with an empty vocabulary.
        problem = f"the folder has no tokenizer (none of {', '.join(_VOCABULARIES)})"
        raise CorruptData(problem, str(folder), "Download the whole folder again")
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _check_whole(kind: Any, folder: Path, report: Mapping[str, Iterable[str]]) -> None:
    missing = sorted(report["missing_keys"])
    if missing:
        # transformers would continue with random weights in their place.
        shown = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
        raise _misfit(kind, folder, f"no weights for {shown}")


def _misfit(kind: Any, folder: Path, why: str) -> PdError:
    fix = "Name a checkpoint of this network, with config.json and safetensors"
    return CorruptData(f"this is not a complete checkpoint of {kind.__name__}: {why}", str(folder), fix)
