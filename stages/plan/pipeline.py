"""A pipeline: nodes in order, their settings, and the fingerprint of the layer that each node writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pdstore import Identity
from pdstore.errors import UsageError, nearest
from schemas.base import Settings
from schemas.pipeline import NodeSpec, PipelineSpec
from stages.plan.digest import is_known, path_digest
from stages.plan.overrides import place
from stages.registry import STAGES
from stages.stage import MODEL, Role, Stage

__all__ = ["Node", "Pipeline", "RecordedFiles"]

RecordedFiles = Mapping[str, Mapping[str, tuple[str, str]]]
"""Node -> file setting -> (path, digest), as they were when the pipeline was recorded."""


@dataclass(frozen=True)
class Node:
    """A node whose settings are valid and whose inputs exist in the pipeline.

    Attributes:
        files: file setting -> local path, or a hub name.
        origin: setting -> where its value comes from: ``override`` or ``preset``; a default is not listed.
    """

    name: str
    stage: Stage
    settings: Settings
    inputs: Mapping[str, tuple[str, ...]]
    identity: Identity
    files: Mapping[str, Path] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return self.identity.fingerprint

    @property
    def is_truth(self) -> bool:
        """True if people drew all of its rows, and not only corrected those of another node."""
        return self.stage.is_truth and set(self.inputs) <= {"images"}

    def upstream(self) -> list[str]:
        return [name for names in self.inputs.values() for name in names]


class Pipeline:
    """Nodes, each after its inputs.

    Args:
        spec: the pipeline as it is written.
        overrides: node -> setting -> value, replacing those of ``spec``; ``a.b`` reaches into nested settings.
        root: the image folder; ``{images}`` in a file setting stands for it.
        recorded: the digests of files when the pipeline was recorded, for those that cannot be read now.

    Raises:
        UsageError: a stage, node, role or setting is unknown, a type is wrong, a table does not fit its input, or
            nodes form a cycle.
    """

    def __init__(
        self,
        spec: PipelineSpec,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        root: str = "",
        recorded: RecordedFiles | None = None,
    ) -> None:
        self.spec, self.overrides, self.root, self._recorded = spec, dict(overrides or {}), root, recorded or {}
        for name in self.overrides:
            if name not in spec.nodes:
                raise UsageError(f"the pipeline has no node {name!r}", "override", nearest(name, spec.nodes))
        self.nodes: dict[str, Node] = {}
        for name in _ordered(spec.nodes):
            self.nodes[name] = self._resolve(name, spec.nodes[name])

    def __getitem__(self, name: str) -> Node:
        try:
            return self.nodes[name]
        except KeyError:
            raise UsageError(f"the pipeline has no node {name!r}", "", nearest(name, self.nodes)) from None

    def current(self) -> dict[str, str]:
        """Node -> fingerprint."""
        return {name: node.fingerprint for name, node in self.nodes.items()}

    def files(self) -> dict[str, dict[str, tuple[str, str]]]:
        """The files whose digests are known: what to record, so that one that is away later changes no layer."""
        return {
            node.name: {
                key: (str(path), node.identity.weights[key])
                for key, path in node.files.items()
                if is_known(node.identity.weights[key])
            }
            for node in self.nodes.values()
            if node.files
        }

    def upstream(self, name: str) -> list[str]:
        """The nodes that ``name`` reads, directly or indirectly, in order."""
        reached = {name}
        for node in reversed(self.nodes.values()):
            if node.name in reached:
                reached.update(node.upstream())
        return [node for node in self.nodes if node in reached - {name}]

    def downstream(self, name: str) -> list[str]:
        """The nodes that read ``name``, directly or indirectly, in order."""
        reached = {name}
        for node in self.nodes.values():
            if reached & set(node.upstream()):
                reached.add(node.name)
        return [node for node in self.nodes if node in reached - {name}]

    def _resolve(self, name: str, spec: NodeSpec) -> Node:
        stage = _stage(spec.stage or name, name)
        values, override = dict(spec.settings), self.overrides.get(name, {})
        for path, value in override.items():
            place(values, path.split("."), value)
        settings = stage.settings.parse(values, name, f"See them all with: pd config show {name}")
        inputs = self._inputs(name, stage, spec.inputs)
        files = {key: Path(path.replace("{images}", self.root)) for key, path in settings.files().items()}
        checkpoints = settings.checkpoints()
        identity = Identity(
            stage.name,
            stage.version,
            settings.identity(),
            {k: path_digest(p, k in checkpoints, self._last_digest(name, k, p)) for k, p in files.items()},
            {role: ",".join(self.nodes[n].fingerprint for n in names) for role, names in inputs.items()},
        )
        origin = {key: "preset" for key in spec.settings} | {key.split(".")[0]: "override" for key in override}
        return Node(name, stage, settings, inputs, identity, files, origin)

    def _last_digest(self, node: str, key: str, path: Path) -> str:
        former, digest = self._recorded.get(node, {}).get(key, ("", ""))
        return digest if former == str(path) else ""

    def _inputs(self, name: str, stage: Stage, given: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for role in given:
            if role not in stage.inputs:
                raise UsageError(f"stage {stage.name} has no input {role!r}", name, nearest(role, stage.inputs))
        for role, declared in stage.inputs.items():
            if role not in given and not declared.is_optional:
                fix = f"Add 'inputs: {{{role}: NODE}}'; the node must write {' or '.join(declared.tables)}"
                raise UsageError(f"the input {role!r} is missing", name, fix)
            if len(given.get(role, ())) > 1 and not declared.is_list:
                where, fix = f"{name}, input {role}", "Keep one of them"
                raise UsageError(f"expected one node, found {len(given[role])}: {', '.join(given[role])}", where, fix)
            for source in given.get(role, ()):
                self._check_fits(name, role, declared, source)
        return {role: given[role] for role in stage.inputs if given.get(role)}

    def _check_fits(self, name: str, role: str, declared: Role, source: str) -> None:
        stage = self.nodes[source].stage
        written = MODEL if stage.writes_model else stage.output.name
        if written not in declared.tables:
            expected = f"a node that writes {' or '.join(declared.tables)}"
            fix = f"Name {expected}"
            raise UsageError(f"expected {expected}, found {source} ({written})", f"{name}, input {role}", fix)


def _stage(name: str, node: str) -> Stage:
    if name not in STAGES:
        raise UsageError(f"there is no stage {name!r}", f"node {node}", nearest(name, STAGES))
    return STAGES[name]


def _ordered(nodes: Mapping[str, NodeSpec]) -> list[str]:
    done: list[str] = []
    waiting = dict(nodes)
    while waiting:
        ready = []
        for name, spec in waiting.items():
            sources = [source for names in spec.inputs.values() for source in names]
            for source in sources:
                if source not in nodes:
                    raise UsageError(f"the pipeline has no node {source!r}", f"{name}.inputs", nearest(source, nodes))
            if all(source in done for source in sources):
                ready.append(name)
        if not ready:
            problem = f"these nodes read each other in a cycle: {', '.join(waiting)}"
            raise UsageError(problem, "pipeline", "Fix their inputs")
        done += ready
        waiting = {name: spec for name, spec in waiting.items() if name not in ready}
    # Nodes that are ready at the same time keep the order of the file.
    return done
