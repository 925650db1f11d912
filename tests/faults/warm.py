"""Loads what the commands need, in the process from which those of :mod:`tests.faults.commands` are forked."""

from __future__ import annotations

import os

# Before torch is loaded: threads do not outlive a fork.
os.environ["OMP_NUM_THREADS"] = "1"

import io
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from cli.main import run_command
from tests.faults.commands import COMMANDS, make_pictures

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    make_pictures(folder)
    places = {"STORE": f"{name}/store", "IMAGES": f"{name}/images", "PRESET": f"{name}/preset.yaml"}
    for command, words in COMMANDS.items():
        before = [] if command == "init" else ["--store", places["STORE"]]
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            run_command([*before, *(places.get(word, word) for word in words)])
