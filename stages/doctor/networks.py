"""The files that nodes name and the networks that they load: each is loaded as a run would load it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pdstore.errors import PdError
from stages.doctor.finding import Finding
from stages.models.sources import is_fetched, is_hub_name
from stages.plan.file_settings import missing_files
from stages.plan.pipeline import Node
from stages.plan.project import Project
from stages.run.preflight import prepare
from stages.unit import Control

__all__ = ["network_findings"]

GROUP = "networks"


def network_findings(project: Project, control: Control | None = None) -> Iterator[Finding]:
    """One per node that names files or runs a network.

    A network that is not trained yet, or that lies on a hub and was not fetched, is not loaded: it says so.
    Cost: the time and memory of loading each network, one after the other.
    """
    control = control or Control()
    for name, node in project.nodes.items():
        if not (node.files or (node.stage.uses_network and not node.stage.is_training)):
            continue
        yield _finding(project, name, node, control)


def _finding(project: Project, name: str, node: Node, control: Control) -> Finding:
    missing = missing_files([node])
    if missing:
        fix = f"Bring it back, or set another path: pd config set {missing[0].keys[0]}=PATH"
        return Finding(GROUP, name, "; ".join(map(str, missing)), "fails", fix)
    lacking = [text for text in map(str, node.files.values()) if is_hub_name(text) and not is_fetched(text)]
    if lacking:
        fix = "It is fetched at the first run; on machines without a network, fetch it before, or give a folder"
        return Finding(GROUP, name, f"{', '.join(lacking)} is not in the hub's cache here", "warning", fix)
    if not (node.stage.uses_network or node.stage.writes_model):
        return Finding(GROUP, name, "its files are there")
    waits = [
        source
        for sources in node.inputs.values()
        for source in sources
        if project[source].stage.writes_model and not project.layer(source).units()
    ]
    if waits:
        return Finding(GROUP, name, f"its network is not there before {' and '.join(waits)} has run")
    control.note(f"Loading {name} …")
    started = time.perf_counter()
    try:
        _load(project, name, node)
    except (PdError, ImportError, OSError, RuntimeError, ValueError, KeyError) as error:
        # What the libraries raise for weights that are of another network, or damaged.
        fix = error.fix if isinstance(error, PdError) else "Check the file: pd weights check FILE"
        problem = error.problem if isinstance(error, PdError) else f"{type(error).__name__}: {error}"
        return Finding(GROUP, name, f"cannot be loaded: {problem.strip()}", "fails", fix)
    return Finding(GROUP, name, f"loaded in {time.perf_counter() - started:.1f} s")


def _load(project: Project, name: str, node: Node) -> None:
    """Load what the node loads before its first image. The images are not touched."""
    if node.stage.writes_model and not node.stage.is_training:
        # A node of published weights reads them with its only unit.
        from schemas.stages import WeightsSettings
        from stages.models.checkpoints import read_checkpoint

        assert isinstance(node.settings, WeightsSettings)
        read_checkpoint(str(node.files["file"]), node.settings.network, node.settings.num_parts).network()
    else:
        prepare(project, name)
