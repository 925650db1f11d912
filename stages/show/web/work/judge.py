"""What a person says on a page: one POST per judgement, written as ``pd judge`` writes it."""

from __future__ import annotations

import re

from starlette.datastructures import MultiDict
from starlette.responses import RedirectResponse, Response

from pdstore import Store
from pdstore.errors import UsageError
from pdstore.judgements import Subject, add_judgement
from schemas.judgements import ROW_NUMBERS
from stages.show.judging import cluster_subject, last_judgement, person, subjects_where
from stages.show.web.page import Visit

__all__ = ["judge", "show_judge"]

MAX_IMAGES = 10_000
_INSIDE = re.compile(r"/(?![/\\])[^\x00-\x20\x7f\\]*")


def show_judge(visit: Visit) -> Response:
    """``POST /judge``: write the judgement of the form, then go back to the page that it names, if it does."""
    judge(visit.snapshot.project.store, visit.form)
    # The next page shows it: whoever judges waits for the views.
    visit.viewer.snapshots.refresh()
    back = str(visit.form.get("back", ""))
    if not back:
        return Response(status_code=204)
    return RedirectResponse(back if _INSIDE.fullmatch(back) else "/", status_code=303)


def judge(store: Store, form: MultiDict) -> int:
    """Write what a form says; the number of the judgement.

    Fields: ``kind`` and ``node``, by default that of the images; ``class`` and ``cluster``, or ``images`` (numbers with
    commas), or ``image``, ``object`` and ``row``; ``value``; ``into`` for merge; ``undoes`` for undo, by default the
    person's last judgement.

    Raises:
        UsageError: a field is missing or wrong, or the judgement makes no sense.
    """
    kind, who = _text(form, "kind"), person()
    if kind == "undo":
        number = _number(form, "undoes") if form.get("undoes") else last_judgement(store, who)
        return add_judgement(store.files, who, "undo", undoes=number).number
    value, into = str(form.get("value", "")).strip(), _number(form, "into") if form.get("into") else -1
    subjects = _subjects(store, form)
    if into >= 0:
        cluster_subject(store, _text(form, "node"), _text(form, "class"), into)
    return add_judgement(store.files, who, kind, subjects, value=value, into_cluster=into).number


def _subjects(store: Store, form: MultiDict) -> tuple[Subject, ...]:
    node = str(form.get("node", "")) or _images_node(store)
    if form.get("cluster"):
        return (cluster_subject(store, node, _text(form, "class"), _number(form, "cluster")),)
    if form.get("images"):
        words = str(form["images"]).split(",")
        if len(words) > MAX_IMAGES or not all(word.isascii() and word.isdecimal() for word in words):
            raise UsageError(f"expected at most {MAX_IMAGES} numbers of images", "images")
        return subjects_where(store, node, f"m.image_id IN ({', '.join(words)})")
    where = f"m.image_id = {_number(form, 'image')}"
    if form.get("object"):
        where += f" AND m.object_id = {_number(form, 'object')}"
    if form.get("row"):
        table = next((layer.table.name for layer in store.layers(node)), "")
        where += f" AND m.{ROW_NUMBERS.get(table, 'row_id')} = {_number(form, 'row')}"
    return subjects_where(store, node, where)


def _images_node(store: Store) -> str:
    nodes = [name for name in store.current() if any(layer.table.name == "images" for layer in store.layers(name))]
    if not nodes:
        raise UsageError("no image has been ingested yet", "images", "Run: pd run ingest")
    return nodes[0]


def _text(form: MultiDict, name: str) -> str:
    text = str(form.get(name, "")).strip()
    if not text:
        raise UsageError("a field of the form is empty", name, "Fill it in")
    return text


def _number(form: MultiDict, name: str) -> int:
    text = _text(form, name)
    if not (text.isascii() and text.isdecimal() and len(text) < 13):
        raise UsageError(f"expected a number, found {text[:40]!r}", name)
    return int(text)
