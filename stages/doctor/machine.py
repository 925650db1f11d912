"""Processor cores, memory, limits of the process and of its control group, and the GPU."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stages.doctor.finding import Finding, gigabytes

__all__ = ["gpu_finding", "machine_findings", "memory_limit"]

GROUP = "machine"
CGROUPS = Path("/sys/fs/cgroup")
DRIVER = Path("/proc/driver/nvidia/version")
LEAST_MEMORY, LEAST_FILES, LEAST_TEMPORARY = 2 << 30, 256, 1 << 30
"""Below these there is a warning: bytes of memory, open files, bytes in the folder of temporary files."""
_LIBRARIES = "import duckdb, numba, pyarrow, torch, transformers; torch.zeros(1 << 20).sum()"


def machine_findings(cgroups: Path = CGROUPS) -> Iterator[Finding]:
    """What the machine gives to this process.

    Args:
        cgroups: where the system shows the limits of control groups, of version 2 or 1.
    """
    yield _cores(cgroups)
    yield _memory(cgroups)
    yield _address_space()
    yield _open_files()
    yield _file_size()
    yield _temporary()


def memory_limit(cgroups: Path = CGROUPS) -> int:
    """Bytes of memory that this process may use: those of the machine, or of its control group if that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = (_number(cgroups / name) for name in ("memory.max", "memory/memory.limit_in_bytes"))
    return min([total, *(limit for limit in limits if limit)])


def _number(path: Path) -> int:
    """The number in a file; 0 if there is none, or the word ``max``."""
    try:
        text = path.read_text().split()[0]
    except (OSError, IndexError):
        return 0
    return int(text) if text.isdecimal() else 0


def _cores(cgroups: Path) -> Finding:
    total = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    found = f"{usable}" if usable == total else f"{usable} of {total} (affinity)"
    try:
        quota, period = (cgroups / "cpu.max").read_text().split()
        share = float(quota) / float(period) if quota != "max" else float(usable)
    except (OSError, ValueError):
        share = float(usable)
    if share < usable:
        fix = f"Start at most {max(1, int(share))} workers, or raise the limit of the container"
        return Finding(GROUP, "cores", f"{found}, of which the control group gives {share:g}", "warning", fix)
    return Finding(GROUP, "cores", found)


def _memory(cgroups: Path) -> Finding:
    limit, available = memory_limit(cgroups), _available()
    found = f"{gigabytes(limit)}" + (f", {gigabytes(available)} of it free" if available else "")
    if min(limit, available or limit) < LEAST_MEMORY:
        fix = f"Free some, or raise the limit: a worker with a network should have {gigabytes(LEAST_MEMORY)}"
        return Finding(GROUP, "memory", found, "warning", fix)
    return Finding(GROUP, "memory", found)


def _available() -> int:
    """Bytes that are free or can be freed at once; 0 where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0)


def _address_space() -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    name = "address space (ulimit -v)"
    if limit == resource.RLIM_INFINITY:
        return Finding(GROUP, name, "not limited")
    # The limit holds for the process that tries it, too.
    done = subprocess.run([sys.executable, "-c", _LIBRARIES], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        found = f"{gigabytes(limit)}, in which the libraries cannot be loaded ({last})"
        return Finding(GROUP, name, found, "fails", "Raise it, or lift it: ulimit -v unlimited")
    found = f"{gigabytes(limit)}, in which the libraries can be loaded"
    return Finding(GROUP, name, found, "warning", "Limit the memory by a control group instead: ulimit -v unlimited")


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
        fix = f"Raise it: ulimit -n {min(4096, hard) if hard > 0 else 4096}"
        return Finding(GROUP, "open files (ulimit -n)", f"{soft}", "warning", fix)
    return Finding(GROUP, "open files (ulimit -n)", "not limited" if soft == resource.RLIM_INFINITY else f"{soft}")


def _file_size() -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit == resource.RLIM_INFINITY:
        return Finding(GROUP, "size of a file (ulimit -f)", "not limited")
    fix = "Lift it: ulimit -f unlimited. A checkpoint or an index may be larger"
    return Finding(GROUP, "size of a file (ulimit -f)", gigabytes(limit), "warning", fix)


def _temporary() -> Finding:
    name = "folder of temporary files"
    try:
        folder = tempfile.gettempdir()
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 16))
            file.flush()
    except OSError as error:
        return Finding(GROUP, name, f"cannot be written to: {error}", "fails", "Name another one in TMPDIR")
    free = shutil.disk_usage(folder).free
    if free < LEAST_TEMPORARY:
        found = f"{folder}, {gigabytes(free)} free"
        return Finding(GROUP, name, found, "warning", "Free some space, or name another folder in TMPDIR")
    return Finding(GROUP, name, f"{folder}, {gigabytes(free)} free")


def gpu_finding() -> Finding:
    """The GPUs that torch sees, after a small product on the first of them; or that there is none."""
    try:
        import torch
    except ImportError:
        return Finding(GROUP, "GPU", "not known: torch cannot be imported", "warning", "See the packages above")
    driver = _driver()
    if not torch.cuda.is_available():
        if driver and torch.version.cuda is None:
            found = f"driver {driver}, but this torch ({torch.__version__}) is built for processors alone"
            return Finding(GROUP, "GPU", found, "warning", "Install the torch that is built for CUDA: see pytorch.org")
        if driver:
            found = f"driver {driver}, but torch {torch.__version__} sees no GPU"
            fix = "Look at nvidia-smi and CUDA_VISIBLE_DEVICES; the driver has to be recent enough for this CUDA"
            return Finding(GROUP, "GPU", found, "warning", fix)
        return Finding(GROUP, "GPU", "none: networks run on the processor")
    count = torch.cuda.device_count()
    properties = torch.cuda.get_device_properties(0)
    found = f"{count} x {properties.name}, {gigabytes(properties.total_memory)}, driver {driver or 'unknown'}"
    try:
        square = torch.ones(64, 64, device="cuda")
        free = torch.cuda.mem_get_info(0)[0]
        (square @ square).sum().item()
    except RuntimeError as error:
        problem = str(error).strip().splitlines()[0]
        fix = "Look at nvidia-smi: another process may hold the GPU"
        return Finding(GROUP, "GPU", f"{found}, but it does not compute: {problem}", "fails", fix)
    return Finding(GROUP, "GPU", f"{found}, {gigabytes(free)} free, CUDA {torch.version.cuda}")


def _driver() -> str:
    """The version of NVIDIA's driver; empty if there is none."""
    try:
        words = DRIVER.read_text().splitlines()[0].split()
    except (OSError, IndexError):
        return ""
    return next((word for word in words if word[0].isdigit() and "." in word), words[-1])
