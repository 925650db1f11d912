"""``pd node``: add a node to the pipeline of a store."""

from __future__ import annotations

from collections import defaultdict

import click

from cli.output import say
from cli.recording import record_changes
from cli.session import open_project, split_words
from pdstore.errors import UsageError
from stages.plan.editing import with_node
from stages.registry import STAGES

__all__ = ["command"]


@click.group("node")
def command() -> None:
    """Add a node to the store's pipeline.

    \b
    Example:
      pd node add crf-strong --stage crf --input images=ingest --input parts=grouping crf-strong.iterations=10
    """


@command.command("add")
@click.argument("name", metavar="NAME")
@click.argument("overrides", nargs=-1, metavar="[NODE.KEY=VALUE]…")
@click.option("--stage", metavar="STAGE", default="", help="What the node does. [default: the stage of its name]")
@click.option("--input", "inputs", multiple=True, metavar="ROLE=NODE", help="What it reads. May be repeated.")
def add(name: str, overrides: tuple[str, ...], stage: str, inputs: tuple[str, ...]) -> None:
    """Add a node to the pipeline. It is checked as a whole before anything is recorded; nothing is computed.

    For the stages, with what each reads, see `pd stage list` outside a store. For bigger changes: pd config edit.

    \b
    Examples:
      pd node add crf-strong --stage crf --input images=ingest --input parts=grouping crf-strong.iterations=10
      pd node add eval-labels --stage eval --input images=ingest --input truth=truth-parts --input predicted=labels
    """
    words, _ = split_words(overrides)
    if words:
        fix = f"For example: --input parts=grouping, or {name}.seed=1"
        raise UsageError(f"expected node.key=value, found {words[0]!r}", "pd node add", fix)
    project = with_node(open_project(), name, stage, _inputs(name, stage, inputs), overrides)
    record_changes(project)
    say(f"To compute it: pd run --until {name}")


def _inputs(name: str, stage: str, words: tuple[str, ...]) -> dict[str, list[str]]:
    """``role=node`` or ``role=node,node``, also with a role that comes again -> role -> nodes."""
    found: dict[str, list[str]] = defaultdict(list)
    for word in words:
        role, equals, nodes = word.partition("=")
        if not (role and equals and nodes):
            declared = STAGES.get(stage or name)
            roles = f" It reads: {', '.join(declared.inputs)}" if declared else ""
            raise UsageError(f"expected role=node, found {word!r}", "--input", f"For example: images=ingest.{roles}")
        found[role] += nodes.split(",")
    return dict(found)
