"""Which nodes are computed in one pass: those that do the same costly work and differ in what they take from it."""

from __future__ import annotations

from collections.abc import Iterable

from stages.plan.pipeline import Node, Pipeline

__all__ = ["passes"]


def passes(pipeline: Pipeline, names: Iterable[str]) -> list[tuple[str, ...]]:
    """The named nodes in their order, each pass at the place of its first node; most passes have a single node.

    Nodes share a pass if they are of one stage, read the same nodes, and differ only in the stage's
    ``late_settings``. So a later node of a pass may move forward: its input is that of the first.
    """
    found: list[list[Node]] = []
    for name in names:
        node = pipeline[name]
        mates = next((nodes for nodes in found if _can_share(nodes[0], node)), None)
        if mates is None:
            found.append([node])
        else:
            mates.append(node)
    return [tuple(node.name for node in nodes) for nodes in found]


def _can_share(one: Node, other: Node) -> bool:
    late = one.stage.late_settings
    return (
        bool(late)
        and one.stage is other.stage
        and one.inputs == other.inputs
        # All other settings, also those that change no result: the batches have to be the same.
        and one.settings.model_dump(exclude=set(late)) == other.settings.model_dump(exclude=set(late))
        and _early_weights(one) == _early_weights(other)
    )


def _early_weights(node: Node) -> dict[str, str]:
    return {key: digest for key, digest in node.identity.weights.items() if key not in node.stage.late_settings}
