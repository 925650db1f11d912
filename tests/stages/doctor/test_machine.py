from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.doctor import machine
from stages.doctor.finding import Finding
from stages.doctor.machine import gpu_finding, machine_findings, memory_limit

ROOT = Path(__file__).parents[3]


def named(cgroups: Path) -> dict[str, Finding]:
    return {finding.checked: finding for finding in machine_findings(cgroups)}


def limited(*limits: tuple[str, int]) -> dict[str, dict[str, str]]:
    """The findings of a process with these limits, such as ``("RLIMIT_NOFILE", 64)``."""
    code = f"""
import json, resource
from stages.doctor.machine import machine_findings
for name, value in {list(limits)!r}:
    resource.setrlimit(getattr(resource, name), (value, value))
print(json.dumps([finding.to_dict() for finding in machine_findings()]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {values["checked"]: values for values in json.loads(done.stdout)}


def test_without_control_groups_the_machine_counts(tmp_path: Path) -> None:
    """Cores and memory are those of the machine; nothing that is not limited is a warning."""
    found = named(tmp_path)
    assert memory_limit(tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert found["cores"].verdict == "ok" and str(len(os.sched_getaffinity(0))) in found["cores"].found


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_the_memory_of_a_container_counts(tmp_path: Path, name: str) -> None:
    """Of both versions of control groups; below 2 GB there is a warning. ``max`` is no limit."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{1 << 30}\n")
    assert memory_limit(tmp_path) == 1 << 30
    found = named(tmp_path)["memory"]
    assert found.verdict == "warning" and found.found.startswith("1.07 GB") and "raise the limit" in found.fix
    path.write_text("max\n")
    assert memory_limit(tmp_path) > 1 << 30


def test_the_cores_of_a_container_count(tmp_path: Path) -> None:
    """Half a core is less than any machine has."""
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    found = named(tmp_path)["cores"]
    assert found.verdict == "warning" and "gives 0.5" in found.found
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert named(tmp_path)["cores"].verdict == "ok"


def test_too_small_an_address_space_fails() -> None:
    """The libraries are loaded under the limit, and what they say is told."""
    found = limited(("RLIMIT_AS", 600 << 20))["address space (ulimit -v)"]
    assert found["verdict"] == "fails" and "the libraries cannot be loaded" in found["found"]
    assert "ulimit -v unlimited" in found["fix"]


def test_few_open_files_and_small_files_are_warnings() -> None:
    """Each names the limit, and the command that lifts it."""
    found = limited(("RLIMIT_NOFILE", 64), ("RLIMIT_FSIZE", 1 << 30))
    assert found["open files (ulimit -n)"]["verdict"] == found["size of a file (ulimit -f)"]["verdict"] == "warning"
    assert found["open files (ulimit -n)"]["fix"].startswith("Raise it: ulimit -n")
    assert found["size of a file (ulimit -f)"]["found"] == "1.07 GB"


def test_a_full_folder_of_temporary_files_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is gone since Python chose it is named, with the variable that names another."""
    monkeypatch.setattr(machine.tempfile, "tempdir", str(tmp_path / "gone"))
    found = named(tmp_path)["folder of temporary files"]
    assert found.verdict == "fails" and "gone" in found.found and "TMPDIR" in found.fix


def test_a_machine_without_a_gpu_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a driver it is no fault; with one, torch should see the GPU."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.setattr(machine, "DRIVER", tmp_path / "version")
    assert (gpu_finding().verdict, gpu_finding().found) == ("ok", "none: networks run on the processor")
    text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version:\n"
    (tmp_path / "version").write_text(text)
    assert gpu_finding().verdict == "warning" and "driver 550.54.15, but" in gpu_finding().found


@pytest.mark.gpu
def test_a_gpu_is_named_with_its_memory_and_driver() -> None:
    """After a product on it."""
    import torch

    found = gpu_finding()
    assert found.verdict == "ok" and torch.cuda.get_device_properties(0).name in found.found
    assert "driver" in found.found and "unknown" not in found.found
