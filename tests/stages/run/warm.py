"""Loads what a run needs, in the process from which the workers of :mod:`tests.stages.run.chaos` are forked."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from stages.create.store import create_store
from tests.stages.conftest import run_all
from tests.stages.run.chaos import SPEC, pictures

with contextlib.suppress(ImportError):
    import s3fs as s3fs

with tempfile.TemporaryDirectory() as folder:
    run_all(create_store(f"{folder}/store", pictures(Path(folder, "images"), 6), SPEC))
