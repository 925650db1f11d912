"""Reads the file that W&B writes for an offline run: W&B itself has no reader in Python any more.

The format is that of LevelDB's log: blocks of 32 KiB, records with a header of 7 bytes (checksum, length, type). The
file begins with 7 bytes of its own. Each record is a message of W&B's protocol.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2

__all__ = ["history", "offline_runs", "records", "run_record", "settings_of"]

_BLOCK = 32 * 1024
_FILE_HEADER = _HEADER = 7
PATIENCE_S = 60.0
_FULL, _FIRST, _LAST = 1, 2, 4


def records(path: Path) -> list[Any]:
    """The messages of the ``.wandb`` file of a run that has ended.

    W&B's own process may keep the last of them for a while; then it is ended, which makes it write them.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = list(_records(path))
        if (found and found[-1].WhichOneof("record_type") == "exit") or time.monotonic() > deadline:
            return found
        wandb.teardown()
        time.sleep(0.02)


def _records(path: Path) -> Iterator[Any]:
    data, position, parts = path.read_bytes(), _FILE_HEADER, b""
    while position + _HEADER <= len(data):
        if _BLOCK - position % _BLOCK < _HEADER:
            position += _BLOCK - position % _BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + _HEADER])
        if position + _HEADER + length > len(data):
            return
        piece = data[position + _HEADER : position + _HEADER + length]
        position += _HEADER + length
        parts = piece if kind in (_FULL, _FIRST) else parts + piece
        if kind in (_FULL, _LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record


def offline_runs(folder: Path) -> list[Path]:
    """The files of the offline runs below a folder, oldest first."""
    return sorted(folder.glob("**/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)


def run_record(path: Path) -> Any:
    """Who the run is: id, project, group, job type."""
    return next(record.run for record in records(path) if record.WhichOneof("record_type") == "run")


def history(path: Path) -> dict[int, dict[str, Any]]:
    """Step -> name -> value."""
    found: dict[int, dict[str, Any]] = {}
    for record in records(path):
        if record.WhichOneof("record_type") == "history":
            items = [("/".join(item.nested_key) or item.key, item.value_json) for item in record.history.item]
            values = {name: json.loads(value) for name, value in items}
            step = int(values.pop("_step", record.history.step.num))
            found.setdefault(step, {}).update({k: v for k, v in values.items() if not k.startswith("_")})
    return found


def settings_of(path: Path) -> dict[str, Any]:
    """The last value of every key of the run's configuration; nested keys are joined by a slash."""
    found: dict[str, Any] = {}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        config = record.run.config if kind == "run" else record.config if kind == "config" else None
        for item in config.update if config is not None else ():
            found["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    return found
