"""What to try next: a query and a picture that have an answer in the store at hand."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from itertools import islice

from cli.session import store_argument
from pdstore import Layer
from stages.plan.project import Project

__all__ = ["next_step"]

_PER_CLASS = "SELECT class_name, count(*) AS masks FROM {} JOIN images USING (image_id) GROUP BY ALL ORDER BY ALL"
_PER_CLUSTER = _PER_CLASS.replace("class_name, ", "class_name, cluster, ")
_QUERIES: Mapping[str, str] = {
    "labels": _PER_CLUSTER,
    "predictions": _PER_CLUSTER,
    "proposals": _PER_CLASS,
    "parts": _PER_CLASS,
    "objects": _PER_CLASS,
    "images": "SELECT class_name, split, count(*) AS images FROM images GROUP BY ALL ORDER BY ALL",
}
"""Table -> what to ask it. The tables nearest to the end of the method come first."""

_MOST_READ = 20
"""At most so many units are read to find one that has rows."""


def next_step(project: Project) -> str:
    """One line with a query and a picture of the last table that has rows; if nothing has, with why not."""
    named = os.environ.get("PD_STORE") == project.store.url
    pd = shlex.join(["pd", *([] if named else store_argument(project.store))])
    for table, query in _QUERIES.items():
        layers = [project.shown(n.name) for n in project.nodes.values() if n.stage.output.name == table]
        for layer in layers:
            image_id = _first_image(layer, table)
            if image_id is not None:
                return f'Next: {pd} sql "{query.format(table)}", and a picture: {pd} show {image_id}'
    query = "SELECT reason, count(*) AS images FROM errors GROUP BY ALL"
    return f'No image is in the store yet. To see why: {pd} sql "{query}"'


def _first_image(layer: Layer, table: str) -> int | None:
    """An image of which the layer has a row. Read from a few units: SQL would index the whole store first."""
    for unit in islice(layer.units(), _MOST_READ):
        if layer.manifest(unit).rows.get(table):
            return int(layer.read(unit, ["image_id"])["image_id"][0])
    return None
