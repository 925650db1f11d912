"""Applies a section of docs/extending.md to a copy of the source tree, as a contributor would by hand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pdstore import Store

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extending.md"
PACKAGES = ("pdstore", "schemas", "stages", "configs")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Section:
    """The code of one section: path -> new file, path -> places to edit (old text, new text), and the pipeline."""

    files: dict[str, str]
    edits: dict[str, list[tuple[str, str]]]
    pipeline: str


@dataclass(frozen=True)
class Extended:
    """A copy of the source tree with a section applied, and what a run of its pipeline left."""

    tree: Path
    store: Store
    rows: list[dict[str, Any]]


def sections() -> dict[str, Section]:
    """Heading -> its code, of those sections of the page that have any."""
    chapters = (chapter.partition("\n") for chapter in PAGE.read_text().split("\n## ")[1:])
    read = {title: _section(FENCE.findall(body)) for title, _, body in chapters}
    return {title: section for title, section in read.items() if section.files}


def _section(fences: list[tuple[str, str]]) -> Section:
    files = {_path(body, "# "): body for language, body in fences if language == "python"}
    edits = {_path(body, "+++ "): _hunks(body.partition("\n")[2]) for language, body in fences if language == "diff"}
    return Section(files, edits, "".join(body for language, body in fences if language == "yaml"))


def _path(body: str, marker: str) -> str:
    first = body.partition("\n")[0]
    assert first.startswith(marker), f"expected a block that begins with {marker!r} and a path, found {first!r}"
    return first.removeprefix(marker)


def _hunks(body: str) -> list[tuple[str, str]]:
    hunks = []
    for hunk in body.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        hunks.append((old, "".join(line[1:] for line in lines if line[0] in " +")))
    return hunks


def apply(section: Section, tree: Path) -> None:
    """Copy the packages to ``tree`` and write the section's files and edits there."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    for path, text in section.files.items():
        assert not (tree / path).exists(), f"{path} exists already"
        (tree / path).write_text(text)
    for path, hunks in section.edits.items():
        text = (tree / path).read_text()
        for old, new in hunks:
            assert text.count(old) == 1, f"{path}: expected this text once, found it {text.count(old)} times:\n{old}"
            text = text.replace(old, new)
        (tree / path).write_text(text)


@pytest.fixture
def extend(tmp_path: Path) -> Callable[..., Extended]:
    """``extend(heading, source, sql)``: apply the section, run its pipeline on a new store, ask one question."""

    def run(heading: str, source: dict[str, Any], sql: str) -> Extended:
        section, tree = sections()[heading], tmp_path / "tree"
        apply(section, tree)
        (tmp_path / "source.json").write_text(json.dumps(source))
        (tmp_path / "pipeline.yaml").write_text(section.pipeline)
        pipeline = str(tmp_path / "pipeline.yaml") if section.pipeline else "ground_truth"
        arguments = [str(tmp_path / "source.json"), pipeline, str(tmp_path / "store"), sql]
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        command = [
            sys.executable,
            "-W",
            "error::UserWarning",
            str(Path(__file__).parent / "run_pipeline.py"),
            *arguments,
        ]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        printed = json.loads(done.stdout)
        assert printed["code"] == str(tree / "stages"), "the run must use the copy of the tree"
        return Extended(tree, Store(str(tmp_path / "store")), printed["rows"])

    return run
