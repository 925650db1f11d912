"""Which node performs a requested evaluation: one that the pipeline has, or one that is added to it.

A data set NAME is a node of stage ``annotated-parts`` called ``NAME-parts``; its true objects, if it has any, are in
``NAME-objects``. In a store made by ``pd init --dataset NAME``, the node ``truth-parts`` goes by that NAME, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pdstore.errors import UsageError, nearest
from schemas.pipeline import NodeSpec
from stages.plan.pipeline import Node, Pipeline
from stages.registry import STAGES
from stages.stage import Stage

__all__ = ["Evaluations", "dataset_name", "is_truth_of_parts", "metric_place", "named_truth", "scored_nodes"]

_SUFFIX, _TRUTH = "-parts", "truth"
_FIRST = ("samples", "C-mIoU", "A-mIoU")
"""The metrics that a reader looks at first."""
_EVAL = STAGES["eval"]
_LOSSES = STAGES["losses"]
_PROXIES = STAGES["proxies"]
_RESULTS = ("predictions", "labels", "parts")
"""Tables of the masks for which a ledger of losses can be made, last first."""


@dataclass(frozen=True)
class Evaluations:
    """The evaluations of a pipeline under a protocol, on a data set; an empty name leaves the choice to the pipeline.

    Attributes:
        source: the data set that the store was made from: another name for the node ``truth-parts``.
    """

    pipeline: Pipeline
    protocol: str = ""
    dataset: str = ""
    source: str = ""

    def all(self) -> dict[str, NodeSpec]:
        """Name -> specification of the pipeline's evaluation nodes.

        Raises:
            UsageError: there are none.
        """
        nodes = [n for n in self._nodes() if not self.dataset or n.inputs["truth"] == (self._truth(),)]
        if not nodes:
            fix = "Name a node that writes masks: pd eval NODE; or add a node of stage eval to the pipeline's file"
            raise UsageError("the pipeline has no evaluation node", "pd eval", fix)
        return dict(self._under_protocol(node) for node in nodes)

    def of(self, name: str) -> tuple[str, NodeSpec]:
        """The evaluation ``name``, or the evaluation of the node ``name`` if that writes masks.

        Raises:
            UsageError: ``name`` is neither, or the pipeline has no ground truth for it.
        """
        node = self.pipeline[name]
        if node.stage is _EVAL:
            self._check_dataset(node)
            return self._under_protocol(node)
        role = next((r for r in ("predicted", "segments") if node.stage.output.name in _EVAL.inputs[r].tables), "")
        if not role or node.is_truth:
            problem = f"{name!r} (stage {node.stage.name}) is neither an evaluation nor a node that finds masks"
            raise UsageError(problem, "pd eval", "See: pd stage list")
        truth = self._truth()
        existing = [n for n in self._nodes() if n.inputs["truth"] == (truth,) and name in scored_nodes(n)]
        if existing:
            return self._under_protocol(next(filter(self._covers, existing), existing[0]))
        return self._new(name, role, truth)

    def ledgers(self, names: Sequence[str] = ()) -> dict[str, NodeSpec]:
        """Name -> specification of the ledgers of losses: the named ones, or all.

        Args:
            names: nodes of stage ``losses``, or nodes that find parts, whose ledger is the pipeline's or a new one.
                Without names and without a ledger in the pipeline, one of its last result is made.

        Raises:
            UsageError: a node finds no parts, there is no ground truth, or it is not clear which result is the last.
        """
        existing = [node for node in self.pipeline.nodes.values() if node.stage is _LOSSES]
        if not names and existing and not self.dataset:
            names = [node.name for node in existing]
        return dict(self._ledger(name) for name in names or (self._last_result("--losses"),))

    def proxies(self, names: Sequence[str] = ()) -> dict[str, NodeSpec]:
        """Name -> specification of the proxies for losses: the named ones, or all.

        Args:
            names: nodes of stage ``proxies``, or nodes that find parts: what led to these is measured by a node of the
                pipeline, or by a new one. Without names and without such a node, what led to the last result is.

        Raises:
            UsageError: a node finds no parts, neither a grouping nor a ranking led to it, or it is not clear which
                result is the last.
        """
        existing = [node.name for node in self.pipeline.nodes.values() if node.stage is _PROXIES]
        return dict(self._measured(name) for name in names or existing or (self._last_result("--proxies"),))

    def _last_result(self, option: str) -> str:
        found = [node for node in self.pipeline.nodes.values() if not node.is_truth]
        by_table = ([node.name for node in found if node.stage.output.name == table] for table in _RESULTS)
        results = next(filter(None, by_table), [])
        earlier = {source for name in results for source in self.pipeline.upstream(name)}
        results = [name for name in results if name not in earlier]
        if len(results) == 1:
            return results[0]
        problem = f"the pipeline has several results: {', '.join(results)}" if results else "no node finds parts"
        fix = f"Name the node whose {option.lstrip('-')} are wanted: pd eval NODE {option}"
        raise UsageError(problem, f"pd eval {option}", fix)

    def _ledger(self, name: str) -> tuple[str, NodeSpec]:
        node, spec = self.pipeline[name], self.pipeline.spec.nodes
        if node.stage is _LOSSES:
            return name, spec[name]
        if node.stage.output.name not in _RESULTS or node.is_truth:
            problem = f"{name!r} (stage {node.stage.name}) is neither a ledger of losses nor a node that finds parts"
            raise UsageError(problem, "pd eval --losses", "See: pd stage list")
        truth = self._truth()
        inputs = {"images": self.pipeline[truth].inputs["images"], "truth": (truth,), **self._steps_to(node)}
        if existing := self._existing(_LOSSES, inputs):
            return existing, spec[existing]
        new = f"losses-{name}" + (f"-{dataset_name(truth)}" if len(self._datasets()) > 1 else "")
        if new in spec:
            fix = f"Give that node another name, or add a ledger of {name} to the pipeline's file yourself"
            raise UsageError(f"the pipeline has a node {new} that is no ledger of {name}", "pd eval --losses", fix)
        return new, NodeSpec(stage=_LOSSES.name, inputs=inputs)

    def _measured(self, name: str) -> tuple[str, NodeSpec]:
        node, spec = self.pipeline[name], self.pipeline.spec.nodes
        if node.stage is _PROXIES:
            return name, spec[name]
        if node.stage.output.name not in _RESULTS or node.is_truth:
            problem = f"{name!r} (stage {node.stage.name}) neither measures proxies nor finds parts"
            raise UsageError(problem, "pd eval --proxies", "See: pd stage list")
        steps, settings = self._steps_to(node), {}
        groupings = [self.pipeline[n] for n in steps.get("segments", ()) if self.pipeline[n].stage.name == "grouping"]
        inputs: dict[str, tuple[str, ...]] = {}
        for grouping in groupings[:1]:
            inputs |= {
                role: grouping.inputs[role] for role in ("images", "objects", "model") if role in grouping.inputs
            }
            inputs["segments"] = (grouping.name,)
            settings = grouping.settings.model_dump(mode="json", include={"weights"}, exclude_defaults=True)
        for labels in (self.pipeline[n] for n in steps.get("labels", ()) if "clusters" in self.pipeline[n].inputs):
            ranking = self.pipeline[labels.inputs["clusters"][0]]
            inputs |= {"images": labels.inputs["images"], "candidates": ranking.inputs["candidates"]}
            inputs["clusters"] = (ranking.name,)
        if not inputs:
            fix = "Name a node that was made from a node of stage grouping or ranking"
            raise UsageError(f"neither a grouping nor a ranking led to {name}", "pd eval --proxies", fix)
        if existing := self._existing(_PROXIES, inputs):
            return existing, spec[existing]
        if f"proxies-{name}" in spec:
            problem = f"the pipeline has a node proxies-{name} that does not measure what led to {name}"
            raise UsageError(problem, "pd eval --proxies", "Give that node another name")
        return f"proxies-{name}", NodeSpec(stage=_PROXIES.name, inputs=inputs, settings=settings)

    def _existing(self, stage: Stage, inputs: Mapping[str, tuple[str, ...]]) -> str:
        """The node of this stage that has these inputs; empty if there is none."""
        found = (node.name for node in self.pipeline.nodes.values() if node.stage is stage and node.inputs == inputs)
        return next(found, "")

    def _steps_to(self, last: Node) -> dict[str, tuple[str, ...]]:
        """Role -> the nodes that led to a result: its objects, their segments in order, the labels, and the result."""
        before = [self.pipeline[name] for name in self.pipeline.upstream(last.name)] + [last]
        found = {t: [n for n in before if n.stage.output.name == t and not n.is_truth] for t in (*_RESULTS, "objects")}
        steps: dict[str, tuple[str, ...]] = {}
        labels = found["labels"][-1:]
        if last.stage.output.name == "predictions":
            steps["predicted"] = (last.name,)
        if labels:
            steps["labels"] = (labels[0].name,)
        # The labels' objects are those of the result; a pipeline may also have others, such as people.
        owner = next((n for n in (*labels, *reversed(found["parts"])) if "objects" in n.inputs), None)
        objects = owner.inputs["objects"] if owner else ()
        of_objects = [n.name for n in found["parts"] if set(objects) & {*self.pipeline.upstream(n.name)} or not objects]
        if of_objects:
            chain = {*self.pipeline.upstream(of_objects[-1]), of_objects[-1]}
            steps["segments"] = tuple(name for name in of_objects if name in chain)
        return steps | ({"objects": objects} if objects else {})

    def _nodes(self) -> list[Node]:
        return [node for node in self.pipeline.nodes.values() if node.stage is _EVAL]

    def _covers(self, node: Node) -> bool:
        return not self.protocol or getattr(node.settings, "protocol", "") in (self.protocol, "both")

    def _under_protocol(self, node: Node) -> tuple[str, NodeSpec]:
        """The node itself if it covers the protocol; otherwise an additional node that differs only in the protocol."""
        name = node.name if self._covers(node) else f"{node.name}-{self.protocol}"
        if name in self.pipeline.nodes:
            return name, self.pipeline.spec.nodes[name]
        settings = node.settings.model_dump(mode="json", exclude_unset=True)
        self._check_objects(node.inputs.get("truth_objects", ()))
        spec = NodeSpec(stage=_EVAL.name, inputs=dict(node.inputs), settings=settings | {"protocol": self.protocol})
        return name, spec

    def _new(self, node: str, role: str, truth: str) -> tuple[str, NodeSpec]:
        name = f"eval-{node}" + (f"-{dataset_name(truth)}" if len(self._datasets()) > 1 else "")
        if name in self.pipeline.nodes:
            fix = f"Give that node another name, or add an evaluation of {node} to the pipeline's file yourself"
            raise UsageError(f"the pipeline has a node {name} that is no evaluation of {node}", "pd eval", fix)
        objects = self._objects(truth)
        self._check_objects(objects)
        inputs = {"images": self.pipeline[truth].inputs["images"], "truth": (truth,), role: (node,)}
        if objects:
            inputs["truth_objects"] = objects
        settings = {"protocol": self.protocol} if self.protocol else {}
        return name, NodeSpec(stage=_EVAL.name, inputs=inputs, settings=settings)

    def _datasets(self) -> dict[str, str]:
        """Name of a data set -> the node that holds its parts."""
        nodes = self.pipeline.nodes.values()
        return {dataset_name(n.name): n.name for n in nodes if is_truth_of_parts(n)}

    def _truth(self) -> str:
        known = self._datasets()
        if not known:
            fix = "Add a node of stage annotated-parts to the pipeline's file"
            raise UsageError("the pipeline has no ground-truth parts", "pd eval", fix)
        if not self.dataset and len(known) > 1:
            problem = f"the pipeline has several data sets: {', '.join(sorted(known))}"
            raise UsageError(problem, "pd eval", "Choose one: --dataset NAME")
        if not self.dataset:
            return next(iter(known.values()))
        return named_truth(self.dataset, known, self.source)

    def _objects(self, truth: str) -> tuple[str, ...]:
        name = f"{dataset_name(truth)}-objects"
        drawn = [n.name for n in self.pipeline.nodes.values() if n.is_truth and n.stage.output.name == "objects"]
        return (name,) if name in drawn else tuple(drawn) if len(drawn) == 1 else ()

    def _check_dataset(self, node: Node) -> None:
        if self.dataset and node.inputs["truth"] != (self._truth(),):
            fix = f"Name the node that it evaluates: pd eval {scored_nodes(node)[0]} --dataset {self.dataset}"
            problem = f"this node evaluates against {node.inputs['truth'][0]}, not against {self._truth()}"
            raise UsageError(problem, node.name, fix)

    def _check_objects(self, objects: tuple[str, ...]) -> None:
        if not objects and self.protocol in ("reference", "both"):
            fix = "Add a node of stage annotated-objects to the pipeline's file, or use --protocol honest"
            problem = "the pipeline has no true object masks, which the published protocol needs"
            raise UsageError(problem, "pd eval", fix)


def dataset_name(truth: str) -> str:
    """The name of the data set whose parts are in the node ``truth``."""
    return truth.removesuffix(_SUFFIX)


def named_truth(name: str, known: Mapping[str, str], source: str) -> str:
    """The node that holds the parts of the data set ``name``.

    Args:
        known: name of a data set -> the node that holds its parts.
        source: the data set that the store was made from: another name for the node ``truth-parts``.

    Raises:
        UsageError: there is no such data set.
    """
    names = {**known, **({source: known[_TRUTH]} if source and _TRUTH in known else {})}
    if name not in names:
        fix = nearest(name, names) if names else "The pipeline has no ground truth: leave --dataset out"
        raise UsageError(f"the pipeline has no data set {name!r}", "--dataset", fix)
    return names[name]


def metric_place(metric: str) -> tuple[int, bool, bool, int, str]:
    """A key that sorts metrics for a reader: segmentation before recall, recall by rising number of proposals."""
    limit = int("".join(filter(str.isdigit, metric)) or 0)
    first = _FIRST.index(metric) if metric in _FIRST else len(_FIRST)
    return first, metric.startswith("AR"), "-unique" in metric, limit, metric


def is_truth_of_parts(node: Node) -> bool:
    """True if people drew the parts that the node writes."""
    return node.is_truth and node.stage.output.name == "parts"


def scored_nodes(node: Node) -> list[str]:
    """The nodes whose masks an evaluation scores."""
    return [name for role in ("predicted", "segments") for name in node.inputs.get(role, ())]
