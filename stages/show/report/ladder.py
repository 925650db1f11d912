"""Stage by stage: how good each stage of the method is, and whether it is better than the stage before.

Numbers are those of the honest protocol on held-out images. If the masks of a stage have no clusters, its mIoU is that
of the labels that were made from them, if there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from stages.plan.pipeline import Pipeline
from stages.show.report.scores import HONEST, DatasetScores

__all__ = ["TITLES", "Rung", "ancestors", "in_sentence", "ladder", "recall_metric"]

TITLES: Mapping[str, str] = {
    "detic": "Whole object as one part",
    "grouping": "Pixel grouping",
    "crf": "CRF",
    "proposals": "Proposal model",
    "labels": "Labels",
    "predict": "Final model",
}
"""Stage -> what its masks are called, in the order of the method."""

_RECALL = "AR@20"
_EQUAL = 0.005
"""A difference in percent that counts as none, because two decimals are shown."""


@dataclass(frozen=True)
class Rung:
    """One stage.

    Attributes:
        miou: percent; None if the stage has no mIoU.
        miou_node: the node whose labels the mIoU was computed from.
        recall: percent; None if the stage has no recall.
        verdict: in words, how the stage compares with the last stage before it that has the same number.
        is_better: True if all its numbers are better, False if none is, None if some are; None for the first stage.
    """

    node: str
    title: str
    miou: float | None
    miou_node: str
    recall: float | None
    verdict: str = ""
    is_better: bool | None = None


def ancestors(pipeline: Pipeline, name: str) -> list[str]:
    """All nodes that a node depends on, in the pipeline's order."""
    reached, waiting = set(), [name]
    while waiting:
        for source in pipeline[waiting.pop()].upstream():
            if source not in reached:
                reached.add(source)
                waiting.append(source)
    return [node for node in pipeline.nodes if node in reached]


def recall_metric(scores: DatasetScores) -> str:
    """AR@20, which allows a few times as many proposals as an object has parts; otherwise the largest n measured."""
    names = {key[2] for key in scores.values if key[2].startswith("AR@") and "-" not in key[2]}
    return _RECALL if _RECALL in names or not names else max(names, key=lambda name: int(name.removeprefix("AR@")))


def ladder(scores: DatasetScores, pipeline: Pipeline) -> list[Rung]:
    """The scored stages that led to the last model; if there are several models, to the one with the most stages."""
    rungs: list[Rung] = []
    for end in scores.evaluated:
        if _is_control(end, scores, pipeline):
            continue
        chain = [name for name in (*ancestors(pipeline, end), end) if pipeline[name].stage.name in TITLES]
        every = [_rung(name, chain, scores, pipeline) for name in chain]
        scored = [rung for rung in every if rung.miou is not None or rung.recall is not None]
        rungs = scored if len(scored) >= len(rungs) else rungs
    return _compared(rungs, recall_metric(scores))


def _is_control(name: str, scores: DatasetScores, pipeline: Pipeline) -> bool:
    """True for labels that exist only to give an mIoU to the segments that they were made from."""
    node = pipeline[name]
    segments = node.inputs["segments"][0] if node.stage.name == "labels" else ""
    return segments in scores.evaluated and pipeline[segments].stage.name != "proposals"


def _rung(name: str, chain: list[str], scores: DatasetScores, pipeline: Pipeline) -> Rung:
    labelled = [
        node.name
        for node in pipeline.nodes.values()
        if node.stage.name == "labels" and node.inputs["segments"] == (name,) and node.name not in chain
    ]
    mious = {node: scores.value(node, HONEST, "C-mIoU") for node in (name, *labelled)}
    miou_node = next((node for node, value in mious.items() if value is not None), "")
    recall = scores.value(name, HONEST, recall_metric(scores))
    return Rung(name, TITLES[pipeline[name].stage.name], mious.get(miou_node), miou_node, recall)


def _compared(rungs: list[Rung], recall: str) -> list[Rung]:
    """The rungs with their verdicts."""
    compared = []
    for number, rung in enumerate(rungs):
        changes: dict[str, list[tuple[str, float]]] = {}
        for metric, key in (("mIoU", "miou"), (recall, "recall")):
            before = [r for r in rungs[:number] if getattr(r, key) is not None]
            if before and getattr(rung, key) is not None:
                change = getattr(rung, key) - getattr(before[-1], key)
                changes.setdefault(before[-1].title, []).append((metric, change))
        every = [change for listed in changes.values() for _, change in listed]
        better = None if not every or min(every) <= _EQUAL < max(every) else min(every) > _EQUAL
        verdict = " ".join(_sentence(title, listed) for title, listed in changes.items()) or "The starting point."
        compared.append(replace(rung, verdict=verdict, is_better=better))
    return compared


def in_sentence(title: str) -> str:
    """A title as it is written inside a sentence."""
    return title if title.isupper() else title[:1].lower() + title[1:]


def _sentence(before: str, changes: list[tuple[str, float]]) -> str:
    """``Better than CRF: mIoU +2.10, AR@20 +0.40.``"""
    name = in_sentence(before)
    up = [f"{metric} {_signed(change)}" for metric, change in changes if change > _EQUAL]
    down = [f"{metric} {_signed(change)}" for metric, change in changes if change <= _EQUAL]
    if not down:
        return f"Better than {name}: {', '.join(up)}."
    if not up:
        return f"Not better than {name}: {', '.join(down)}."
    return f"Better than {name} in {', '.join(up)}; not in {', '.join(down)}."


def _signed(change: float) -> str:
    return f"{change:+.2f}".replace("-", "−") if abs(change) > _EQUAL else "±0.00"
