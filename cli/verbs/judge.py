"""``pd judge``: reject and tag rows, name and merge clusters, and take it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

from cli.output import print_json, say
from cli.session import open_store
from pdstore import Store
from pdstore.judgements import Judgement, Subject, add_judgement
from stages.show.judging import cluster_subject, last_judgement, person, subjects_where

__all__ = ["command"]


@click.group("judge")
def command() -> None:
    """Say what is wrong or right with images, masks and clusters. Nothing is deleted: undo takes it back.

    NODE is a node of the pipeline: ingest for images, detic for objects, labels, crf and others for their rows. What
    people said is the table judgements; labels_kept, cluster_names and other views apply it (docs/judgements.md).

    \b
    Examples:
      pd judge reject labels --where "m.score < 0.1"
      pd judge reject ingest --where "m.key = 'cat/7.jpg'" --because "a drawing"
      pd judge tag crf good --where "m.image_id = 12 AND m.part_id = 0"
      pd judge name ranking car 1 wheel
      pd judge merge ranking car 2 --into 1
      pd judge undo
    """


def _shared(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
    return click.option("--who", metavar="NAME", help="Your name. [env: PD_WHO; default: your login]")(function)


_WHERE = click.option("--where", required=True, metavar="SQL", help="Condition over the node's table m and images i.")
_CLUSTER = click.argument("cluster", type=click.IntRange(0))
_CLASS = click.argument("class_name", metavar="CLASS")


@command.command("reject")
@click.argument("node")
@_WHERE
@click.option("--because", default="", metavar="TEXT", help="The reason.")
@_shared
def reject(node: str, where: str, because: str, who: str | None, as_json: bool) -> None:
    """Reject the images, objects or rows of NODE that meet a condition."""
    store = open_store()
    _add(store, who, as_json, "reject", subjects_where(store, node, where), value=because)


@command.command("reject-cluster")
@click.argument("node")
@_CLASS
@_CLUSTER
@click.option("--because", default="", metavar="TEXT", help="The reason.")
@_shared
def reject_cluster(node: str, class_name: str, cluster: int, because: str, who: str | None, as_json: bool) -> None:
    """Reject a cluster of CLASS, and so every label that has it."""
    store = open_store()
    _add(store, who, as_json, "reject", [cluster_subject(store, node, class_name, cluster)], value=because)


@command.command("tag")
@click.argument("node")
@click.argument("tag")
@_WHERE
@_shared
def tag(node: str, tag: str, where: str, who: str | None, as_json: bool) -> None:
    """Tag the images, objects or rows of NODE that meet a condition."""
    store = open_store()
    _add(store, who, as_json, "tag", subjects_where(store, node, where), value=tag)


@command.command("name")
@click.argument("node")
@_CLASS
@_CLUSTER
@click.argument("name")
@_shared
def name(node: str, class_name: str, cluster: int, name: str, who: str | None, as_json: bool) -> None:
    """Name a cluster of CLASS, which is a class's name, external id or number."""
    store = open_store()
    _add(store, who, as_json, "name", [cluster_subject(store, node, class_name, cluster)], value=name)


@command.command("merge")
@click.argument("node")
@_CLASS
@_CLUSTER
@click.option("--into", type=click.IntRange(0), required=True, metavar="CLUSTER", help="What it becomes part of.")
@_shared
def merge(node: str, class_name: str, cluster: int, into: int, who: str | None, as_json: bool) -> None:
    """Merge a cluster of CLASS into another one."""
    store = open_store()
    cluster_subject(store, node, class_name, into)
    _add(store, who, as_json, "merge", [cluster_subject(store, node, class_name, cluster)], into_cluster=into)


@command.command("undo")
@click.argument("number", type=click.IntRange(0), required=False)
@_shared
def undo(number: int | None, who: str | None, as_json: bool) -> None:
    """Take back a judgement: that with this NUMBER, or your last one."""
    store = open_store()
    chosen = last_judgement(store, who or person()) if number is None else number
    _add(store, who, as_json, "undo", undoes=chosen)


def _add(
    store: Store, who: str | None, as_json: bool, kind: str, subjects: Iterable[Subject] = (), **said: Any
) -> Judgement:
    made = add_judgement(store.files, who or person(), kind, subjects, **said)
    if as_json:
        print_json({"number": made.number, "kind": kind, "who": made.who, "subjects": len(made.subjects)})
    elif kind == "undo":
        say(f"Judgement {made.undoes} no longer holds.")
    else:
        count = f"{len(made.subjects)} {made.subjects[0].kind}{'s' * (len(made.subjects) != 1)}"
        say(f"{kind}: {count}. To take it back: pd judge undo {made.number}")
    return made
