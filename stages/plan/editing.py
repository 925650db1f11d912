"""A store's pipeline as a YAML file for a person to edit, and the pipeline that such a file or a new node leads to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import yaml

from pdstore.errors import UsageError
from schemas.pipeline import NodeSpec, PipelineSpec
from stages.plan.overrides import merge_overrides, place
from stages.plan.pipeline import Pipeline
from stages.plan.project import Project
from stages.plan.unit_sizes import with_unit_sizes

__all__ = ["edited", "pipeline_text", "with_node", "with_reader"]


def pipeline_text(project: Project) -> str:
    """The pipeline as YAML, with overrides merged into the nodes' settings. Reading it gives the same fingerprints."""
    pipeline, info = project.pipeline, project.store.info
    nodes = {name: _node(spec, pipeline.overrides.get(name, {})) for name, spec in pipeline.spec.nodes.items()}
    values = {"description": pipeline.spec.description, "block_size": info.block_size, "seed": info.seed}
    return yaml.safe_dump(values | {"nodes": nodes}, sort_keys=False, allow_unicode=True, width=120)


def edited(project: Project, spec: PipelineSpec) -> Project:
    """The store with ``spec`` in place of its pipeline and of all overrides. Nothing is recorded.

    Raises:
        UsageError: ``spec`` is no valid pipeline, or changes what is fixed when a store is made.
    """
    info = project.store.info
    for key, fixed in (("block_size", info.block_size), ("seed", info.seed)):
        given = getattr(spec, key)
        if key in spec.model_fields_set and given != fixed and (key, given) != ("block_size", 0):
            problem = f"{key} is fixed when a store is made: it is {fixed} here, and the file has {given}"
            raise UsageError(problem, f"pipeline.{key}", f"Write {fixed}, or leave {key} out")
    return with_unit_sizes(replace(project, pipeline=Pipeline(spec, {}, project.pipeline.root)), project)


def with_node(
    project: Project, name: str, stage: str, inputs: Mapping[str, Iterable[str]], overrides: Iterable[str]
) -> Project:
    """The store's pipeline with a further node. Nothing is recorded.

    Args:
        stage: the node's stage; the stage named like the node if empty.
        inputs: role -> the nodes to read.
        overrides: settings ``node.key=value``, of the new node or of others.

    Raises:
        UsageError: there is such a node, or the pipeline would not be valid.
    """
    if name in project.nodes:
        fix = f"Choose another name, or change its settings: pd config set {name}.KEY=VALUE"
        raise UsageError(f"the pipeline already has a node {name!r}", "pd node add", fix)
    merged = merge_overrides(overrides)
    settings: dict[str, Any] = {}
    for path, value in merged.pop(name, {}).items():
        place(settings, path.split("."), value)
    values = project.pipeline.spec.model_dump(mode="json", exclude_unset=True)
    node = {"stage": stage, "inputs": {role: list(nodes) for role, nodes in inputs.items()}, "settings": settings}
    spec = PipelineSpec.parse(values | {"nodes": {**values["nodes"], name: node}}, "pipeline")
    given = project.pipeline.overrides
    every = {n: {**given.get(n, {}), **merged.get(n, {})} for n in {**given, **merged}}
    return with_unit_sizes(replace(project, pipeline=Pipeline(spec, every, project.pipeline.root)), project)


def with_reader(project: Project, reader: str, old: str, new: str) -> Project:
    """The store's pipeline, in which the node ``reader`` reads ``new`` wherever it read ``old``. Nothing is recorded.

    Raises:
        UsageError: ``reader`` does not read ``old``, or cannot read ``new``.
    """
    if old not in project[reader].upstream():
        readers = [node.name for node in project.nodes.values() if old in node.upstream() and node.name != new]
        fix = f"These do: {', '.join(readers)}" if readers else "No node does"
        raise UsageError(f"the node does not read {old}", reader, fix)
    values = project.pipeline.spec.model_dump(mode="json", exclude_unset=True)
    inputs = values["nodes"][reader]["inputs"]
    for role, nodes in inputs.items():
        inputs[role] = [new if node == old else node for node in nodes]
    spec = PipelineSpec.parse(values, "pipeline")
    return replace(project, pipeline=Pipeline(spec, project.pipeline.overrides, project.pipeline.root))


def _node(spec: NodeSpec, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a node as a person writes them: a single input as a word, and nothing that is empty."""
    values = spec.model_dump(mode="json")
    settings = values["settings"]
    for path, value in overrides.items():
        place(settings, path.split("."), value)
    inputs = {role: nodes[0] if len(nodes) == 1 else nodes for role, nodes in values["inputs"].items()}
    written = {"stage": values["stage"], "inputs": inputs, "settings": settings, "optional": values["optional"]}
    return {key: value for key, value in written.items() if value}
