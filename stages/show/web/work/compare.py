"""The page that compares two layers: of two nodes, or an old and a new one of the same node."""

from __future__ import annotations

from starlette.responses import Response

from stages.plan.states import older_layers
from stages.show.overlays import drawable
from stages.show.web.page import Visit
from stages.show.web.snapshots import Snapshot
from stages.show.web.work.differences import Differences, read_differences

__all__ = ["choices", "show_compare"]

COUNT = 24


def choices(snapshot: Snapshot) -> list[tuple[str, str]]:
    """(what to choose, how it is called) of every layer with masks: ``crf`` or, of an older layer, ``crf@ab12…``."""
    found = []
    for name in drawable(snapshot.project):
        if snapshot.layer(name).units():
            found.append((name, name))
        for layer in older_layers(snapshot.project, name):
            if layer.fingerprint != snapshot.shown.get(name):
                found.append((f"{name}@{layer.fingerprint}", f"{name}, layer {layer.fingerprint[:8]}"))
    return found


def show_compare(visit: Visit) -> Response:
    """``/compare?before=grouping&after=crf``."""
    known = choices(visit.snapshot)
    texts = [visit.query.get(name, "") for name in ("before", "after")]
    shown: Differences | None = None
    sides = [text.partition("@")[::2] for text in texts]
    if all(texts):
        before, after = (visit.snapshot.layer(node, layer) for node, layer in sides)
        shown = read_differences(before, after, COUNT)
    return visit.html("compare.html", choices=known, texts=texts, sides=sides, shown=shown, side=320)
