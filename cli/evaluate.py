"""``pd eval``: the evaluations of the pipeline, and their numbers."""

from __future__ import annotations

from typing import Any

import click

from cli.execution import adopt, execute, interruptible
from cli.options import Request, shared_options
from cli.output import print_json, print_table
from cli.session import open_pipeline, split_words
from pdstore import Catalog, Store
from pdstore.errors import UsageError
from schemas.tables import TABLES
from stages.pipeline import Pipeline

__all__ = ["command"]

_NUMBERS = """
SELECT node, evaluated, protocol, metric, class_name, part_name, value FROM metrics
WHERE node IN ({nodes}) ORDER BY ALL
"""


@click.command("eval")
@click.argument("words", nargs=-1, metavar="[NODE]… [NODE.KEY=VALUE]…")
@click.option("--json", "as_json", is_flag=True, help="For programs: also the numbers of each class and part.")
@shared_options
def command(words: tuple[str, ...], as_json: bool, **values: Any) -> None:
    """Run the evaluation nodes that are missing, and print what they measured.

    \b
    Examples:
      pd eval
      pd eval eval-distill --json
    """
    names, overrides = split_words(words)
    request = Request.parse(values, wait=True)
    store, pipeline = open_pipeline(overrides)
    chosen = _chosen(pipeline, names)
    adopt(store, pipeline, chosen, request, overrides)
    with interruptible() as stop:
        for name in chosen:
            execute(store, pipeline, name, request, overrides, stop)
    if request.options.dry_run:
        return
    numbers = _read(store, chosen)
    if as_json:
        print_json({"nodes": {name: [n for n in numbers if n.pop("node", name) == name] for name in chosen}})
    else:
        _print(numbers)


def _chosen(pipeline: Pipeline, names: list[str]) -> list[str]:
    found = [name for name, node in pipeline.nodes.items() if node.stage.name == "eval"]
    if not found:
        fix = "Add one with 'stage: eval' and the inputs images, truth and predicted to the pipeline's file"
        raise UsageError("an evaluation node", "none in the pipeline", "pd eval", fix)
    for name in names:
        if pipeline[name].name not in found:
            raise UsageError("an evaluation node", repr(name), "pd eval", f"They are: {', '.join(found)}")
    return [name for name in found if name in names or not names]


def _read(store: Store, nodes: list[str]) -> list[dict[str, Any]]:
    listed = ", ".join(f"'{name}'" for name in nodes)
    catalog = Catalog(store, TABLES.values(), store.current())
    rows: list[dict[str, Any]] = catalog.query(_NUMBERS.format(nodes=listed)).to_pylist()
    return rows


def _print(numbers: list[dict[str, Any]]) -> None:
    """A row a node that was evaluated, a column a metric of the whole."""
    whole = [n for n in numbers if not n["class_name"]]
    metrics = list(dict.fromkeys(n["metric"] for n in whole))
    rows: dict[tuple[str, str, str], dict[str, float]] = {}
    for n in whole:
        rows.setdefault((n["node"], n["evaluated"], n["protocol"]), {})[n["metric"]] = n["value"]
    print_table(
        ("node", "evaluated", "protocol", *metrics), [(*k, *(v.get(m) for m in metrics)) for k, v in rows.items()]
    )
