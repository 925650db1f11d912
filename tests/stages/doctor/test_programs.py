from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from pdstore import Store
from schemas.pipeline import PipelineSpec
from stages.doctor import programs
from stages.doctor.programs import program_findings, report_findings, required
from stages.plan.pipeline import Pipeline


def test_requirements_of_extras_are_left_out() -> None:
    """What the program itself requires, with the least version."""
    lines = ["numpy>=2.1", "scikit-image >= 0.25", 's3fs>=2025.3; extra == "s3"', "regex; extra == 'detic'"]
    assert required(lines) == {"numpy": "2.1", "scikit-image": "0.25"}
    assert required(metadata.requires("pdstore") or ())["torch"] == "2.13"


def test_the_packages_of_this_machine_are_there() -> None:
    """Python and the large packages are named with their versions; all can be imported."""
    found = {finding.checked: finding for finding in program_findings()}
    assert {f.verdict for f in found.values()} == {"ok"}
    assert found["Python"].found.startswith(".".join(map(str, sys.version_info[:3])))
    assert found["torch"].found == metadata.version("torch")


def install(folder: Path, name: str, version: str, code: str) -> None:
    """A package as pip leaves it."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_packages_that_are_missing_old_or_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is named with what is wrong and the command that installs it."""
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "oldpack", "1.9.4", "")
    install(tmp_path, "brokenpack", "3.0", "raise ImportError('libGL.so.1: cannot open shared object file')")
    needed = ["oldpack>=1.10", "brokenpack>=3.0", "absentpack>=2"]
    monkeypatch.setattr(programs.metadata, "requires", lambda name: needed)
    found = {f.checked: f for f in program_findings() if f.verdict != "ok"}
    assert {f.verdict for f in found.values()} == {"fails"}
    assert found["oldpack"].found == "1.9.4, older than 1.10"
    assert "libGL.so.1" in found["brokenpack"].found
    assert found["absentpack"].found == "not installed"
    assert found["absentpack"].fix == "Install it: pip install 'absentpack>=2'"


def test_a_node_that_reports_without_the_package(
    classical: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra that brings it is named; a node that reports nowhere is not listed."""
    train = {"inputs": {"images": "ingest", "objects": "detic"}, "settings": {"tensorboard": True}}
    detic = {"inputs": {"images": "ingest"}, "settings": {"backend": "saliency"}}
    nodes = {"ingest": {}, "detic": detic, "segmenter-train": train}
    pipeline = Pipeline(PipelineSpec.parse({"nodes": nodes}, "pipeline"))
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    [found] = report_findings(pipeline.nodes)
    assert (found.checked, found.verdict) == ("reports of segmenter-train", "fails")
    assert "pip install 'pdstore[tensorboard]'" in found.fix
