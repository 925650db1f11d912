"""Further rounds of a pipeline: the final model proposes parts, which are clustered, labelled and learnt once more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pdstore.errors import UsageError
from schemas.pipeline import NodeSpec, PipelineSpec, merged_values

__all__ = ["with_rounds"]

_PROPOSALS, _LABELS, _TRAINING, _PREDICT, _LOSSES = "proposals", "labels", "distill-train", "predict", "losses"
_REPEATED = frozenset({_PROPOSALS, "candidates", "ranking", _LABELS, _TRAINING, _PREDICT, "eval", _LOSSES})
"""The stages of a round."""
_NUMBERED = re.compile(r"(.+)-([2-9])")

Nodes = Mapping[str, NodeSpec]


def with_rounds(spec: PipelineSpec) -> PipelineSpec:
    """The pipeline with the nodes of all of its ``rounds`` written out, and ``rounds`` 1.

    Round n has a node ``NAME-n`` for each node of the first round from its proposals on: candidates, ranking, labels,
    the training of the final model, and whatever predicts, evaluates or adds up losses after them. Their settings are
    those of the first round, and they read each other. The proposals are those of the final model of the round before,
    and its weights are what the training starts from. If the first round has no proposals, as when it labels other
    segments, a further one has, with default settings. A node ``NAME-n`` that is in the pipeline already takes
    precedence: its inputs and settings change those of the new node.

    Raises:
        UsageError: the pipeline has not exactly one final model, or its labels do not come from a ranking.
    """
    if spec.rounds == 1:
        return spec
    first = _Round.of(spec.nodes)
    nodes, model = dict(spec.nodes), first.training
    for number in range(2, spec.rounds + 1):
        for name, node in first.repeated(model, number).items():
            nodes[name] = _changed(node, spec.nodes[name]) if name in spec.nodes else node
        model = f"{first.training}-{number}"
    return spec.model_copy(update={"nodes": nodes, "rounds": 1})


@dataclass(frozen=True)
class _Round:
    """The first round.

    Attributes:
        nodes: those that a further round repeats, by name.
        segments: the node whose segments are labelled.
        proposals: the node of the proposals; one that does not exist if other segments are labelled.
        training: the node of the final model.
    """

    nodes: Nodes
    segments: str
    proposals: str
    training: str

    @classmethod
    def of(cls, nodes: Nodes) -> _Round:
        own = {name: node for name, node in nodes.items() if not _is_of_later_round(name, nodes)}
        trainings = [name for name, node in own.items() if _stage(name, node) == _TRAINING]
        if len(trainings) != 1:
            problem = f"rounds needs one node of stage {_TRAINING}, found {', '.join(trainings) or 'none'}"
            raise UsageError(problem, "pipeline.rounds", "Leave rounds out, and write the nodes of each round yourself")
        labels = _read_by(own, trainings[0], "labels", _LABELS)
        candidates = _read_by(own, _read_by(own, labels, "clusters", "ranking"), "candidates", "candidates")
        segments = _input(own, labels, "segments")
        is_proposed = segments in own and _stage(segments, own[segments]) == _PROPOSALS
        start = [segments, candidates] if is_proposed else [candidates]
        reached = _with_readers(own, start)
        repeated = {name: own[name] for name in reached if _stage(name, own[name]) in _REPEATED}
        return cls(repeated, segments, segments if is_proposed else _PROPOSALS, trainings[0])

    def repeated(self, model: str, number: int) -> dict[str, NodeSpec]:
        """Name -> node of round ``number``, whose proposals and training read ``model``."""
        nodes = {f"{name}-{number}": self._again(name, node, model, number) for name, node in self.nodes.items()}
        if self.proposals in self.nodes:
            return nodes
        seen = (node.settings for name, node in self.nodes.items() if _stage(name, node) == _PREDICT)
        sides = [settings["long_side"] for settings in seen if "long_side" in settings]
        inputs = {"images": self.nodes[self.training].inputs["images"], "model": (model,)}
        settings = {"long_side": sides[0]} if sides else {}
        return {f"{self.proposals}-{number}": NodeSpec(stage=_PROPOSALS, inputs=inputs, settings=settings), **nodes}

    def _again(self, name: str, node: NodeSpec, model: str, number: int) -> NodeSpec:
        stage = _stage(name, node)
        inputs = {r: tuple(f"{n}-{number}" if n in self.nodes else n for n in of) for r, of in node.inputs.items()}
        if stage != _LOSSES and inputs.get("segments") == (self.segments,):
            inputs["segments"] = (f"{self.proposals}-{number}",)
        if stage in (_PROPOSALS, _TRAINING):
            inputs["model"] = (model,)
        return node.model_copy(update={"stage": stage, "inputs": inputs})


def _stage(name: str, node: NodeSpec) -> str:
    return node.stage or name


def _is_of_later_round(name: str, nodes: Nodes) -> bool:
    """True for ``ranking-2``, which changes a node that is made of ``ranking``."""
    found = _NUMBERED.fullmatch(name)
    base = found[1] if found else ""
    return base == _PROPOSALS or (base in nodes and _stage(base, nodes[base]) in _REPEATED)


def _input(nodes: Nodes, name: str, role: str) -> str:
    return next(iter(nodes[name].inputs.get(role, ())), "")


def _read_by(nodes: Nodes, name: str, role: str, stage: str) -> str:
    """The node of ``stage`` that ``name`` reads in a role."""
    source = _input(nodes, name, role)
    if source in nodes and _stage(source, nodes[source]) == stage:
        return source
    problem = f"rounds needs a node of stage {stage} as the input {role} of {name}, found {source or 'none'}"
    raise UsageError(problem, "pipeline.rounds", "Leave rounds out, and write the nodes of each round yourself")


def _with_readers(nodes: Nodes, start: Iterable[str]) -> list[str]:
    """``start`` and all nodes that read one of it, directly or indirectly, in the order of ``nodes``."""
    reached, before = set(start), set[str]()
    while reached != before:
        before = set(reached)
        reached |= {n for n, node in nodes.items() if before & {s for of in node.inputs.values() for s in of}}
    return [name for name in nodes if name in reached]


def _changed(node: NodeSpec, given: NodeSpec) -> NodeSpec:
    return NodeSpec(
        stage=given.stage or node.stage,
        inputs={**node.inputs, **given.inputs},
        settings=merged_values(node.settings, given.settings),
        optional=given.optional if "optional" in given.model_fields_set else node.optional,
    )
