"""Versions of Python and of the packages, and the packages that nodes of a pipeline need beside those."""

from __future__ import annotations

import importlib
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

from pdstore.errors import UsageError
from schemas.tracking import TrackedSettings
from stages.doctor.finding import Finding
from stages.plan.pipeline import Node
from stages.track.tracker import check_packages

__all__ = ["program_findings", "report_findings", "required"]

GROUP = "programs"
OURS = "pdstore"
SHOWN = ("numpy", "pyarrow", "duckdb", "zarr", "torch", "transformers")
"""Packages that have a line of their own; the others share one."""
MODULES = {
    "google-crc32c": "google_crc32c",
    "opencv-python-headless": "cv2",
    "Pillow": "PIL",
    "PyYAML": "yaml",
    "pydensecrf2": "pydensecrf.densecrf",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}
"""Package -> the module that it is imported as, if that is another name."""
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)>=(?P<version>[\d.]+)$")


def required(lines: Sequence[str]) -> dict[str, str]:
    """Package -> least version, from requirements such as ``numpy>=2.1``; those of extras are left out."""
    found = (_REQUIREMENT.match(line.replace(" ", "")) for line in lines)
    return {match["name"]: match["version"] for match in found if match}


def program_findings() -> list[Finding]:
    """Python, this program, and each package that it requires: imported here, and compared with the least version.

    Cost: a few seconds, for the imports.
    """
    python = Finding(GROUP, "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    try:
        needed = required(metadata.requires(OURS) or ())
    except metadata.PackageNotFoundError:
        fix = f"Install it: pip install {OURS}"
        return [python, Finding(GROUP, OURS, "not installed: the program runs from a folder", "warning", fix)]
    found = [_package(name, least) for name, least in needed.items()]
    sound = [f for f in found if f.verdict == "ok" and f.checked not in SHOWN]
    rest = Finding(GROUP, "other packages", f"{len(sound)} are there, and recent enough")
    ours = Finding(GROUP, OURS, metadata.version(OURS))
    return [python, ours, *(f for f in found if f not in sound), *([rest] if sound else [])]


def _package(name: str, least: str) -> Finding:
    fix = f"Install it: pip install '{name}>={least}'"
    try:
        version = metadata.version(name)
        importlib.import_module(MODULES.get(name, name.replace("-", "_")))
    except metadata.PackageNotFoundError:
        return Finding(GROUP, name, "not installed", "fails", fix)
    except (ImportError, OSError) as error:
        # OSError: a library that the package brings cannot be loaded.
        return Finding(GROUP, name, f"cannot be imported: {error}", "fails", f"{fix}, or what it asks for")
    if _numbers(version) < _numbers(least):
        return Finding(GROUP, name, f"{version}, older than {least}", "fails", fix)
    return Finding(GROUP, name, version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])


def report_findings(nodes: Mapping[str, Node]) -> Iterator[Finding]:
    """The packages of the services that nodes are set to report to."""
    for name, node in nodes.items():
        if isinstance(node.settings, TrackedSettings):
            try:
                check_packages(node.settings, name)
            except UsageError as error:
                yield Finding(GROUP, f"reports of {name}", error.problem, "fails", error.fix)
