"""``pd eval``: score the masks of a node against ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from cli.execution import adopt_changed, execute, interruptible
from cli.losses import print_losses
from cli.options import Request, shared_options
from cli.output import print_json, print_table
from cli.proxies import print_proxies
from cli.session import open_project, split_words
from pdstore import Store
from pdstore.errors import UsageError
from schemas.catalog import catalog_of
from schemas.pipeline import NodeSpec
from schemas.stages import LossesSettings
from stages.kernels.protocol import HONEST, PROTOCOLS
from stages.plan.evaluations import Evaluations, metric_place
from stages.plan.project import Project

__all__ = ["command"]

_NUMBERS = """
SELECT node, evaluated, protocol, metric, class_name, part_name, value FROM metrics
WHERE node IN ({nodes}) ORDER BY ALL
"""
_UNIQUE = "-unique"
Number = dict[str, Any]


@click.command("eval")
@click.argument("words", nargs=-1, metavar="[NODE]… [NODE.KEY=VALUE]…")
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    help="reference: as published; honest: without help from the ground truth of the scored images.",
)
@click.option(
    "--dataset",
    default="",
    metavar="NAME",
    help="The ground truth: nodes NAME-parts and NAME-objects, or the data set that the store was made from.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the numbers of each class and part.")
@click.option("--losses", is_flag=True, help="Print which step costs how many points: the ledger of losses.")
@click.option("--proxies", is_flag=True, help="Print what can be measured without ground truth in place of the losses.")
@shared_options
def command(words: tuple[str, ...], protocol: str | None, dataset: str, as_json: bool, **values: Any) -> None:
    """Run the evaluations that are missing, and print their results, in percent.

    NODE is an evaluation of the pipeline, or any node that finds masks. For such a node the evaluation that reads it
    is run, or a new one, eval-NODE, which is recorded in the pipeline. To evaluate under another protocol, a separate
    node is added, such as eval-NODE-both. Without NODE, all evaluations of the pipeline are run. The results are rows
    of the table metrics.

    With --losses, the ground truth takes the place of the steps, of one less each time: which costs how many points?
    With --proxies, which needs no ground truth, a sample is grouped again: what then changes is not right. NODE is
    then a node of stage losses or proxies, or one that finds parts. The results are rows of the table of that name.

    \b
    Examples:
      pd eval
      pd eval eval-distill --json
      pd eval proposals --protocol both
      pd eval distill --dataset part_imagenet_val --protocol reference
      pd eval --losses
      pd eval --proxies
    """
    losses, proxies = values.pop("losses"), values.pop("proxies")
    names, overrides = split_words(words)
    request = Request.parse(values, wait=True)
    project = open_project()
    project = project.extended({}, [o for o in overrides if o.partition(".")[0] in project.nodes])
    evaluations = Evaluations(project.pipeline, protocol or "", dataset, project.source.dataset_name)
    if losses or proxies:
        if proxies:
            _check_alone(losses, protocol, dataset)
        step_by_step = _proxies if proxies else _ledgers
        step_by_step(project, evaluations, names, request, overrides, as_json)
        return
    named = [(name, *evaluations.of(name)) for name in names]
    chosen = {node: spec for _, node, spec in named} or evaluations.all()
    # An evaluation named directly is printed in full; one found through a node is printed only for that node.
    wanted = {(node, name) for name, node, _ in named if project[name].stage.name != "eval"}
    whole = {node for name, node, _ in named if (node, name) not in wanted} if names else set(chosen)
    project = _run(project, chosen, request, overrides)
    if request.options.dry_run:
        return
    numbers = [
        n
        for n in _read(project.store, chosen)
        if protocol in (None, "both", n["protocol"]) and (n["node"] in whole or (n["node"], n["evaluated"]) in wanted)
    ]
    if as_json:
        print_json({"nodes": {node: [_without_node(n) for n in numbers if n["node"] == node] for node in chosen}})
    else:
        _print(numbers)


def _run(project: Project, chosen: Mapping[str, NodeSpec], request: Request, overrides: Sequence[str]) -> Project:
    """Run evaluations; those that the pipeline does not have are added to it."""
    project = project.extended(chosen, overrides)
    adopt_changed(project, list(chosen), request, overrides)
    with interruptible() as stop:
        for name in chosen:
            execute(project, [name], request, overrides, stop)
    return project


def _ledgers(
    project: Project,
    evaluations: Evaluations,
    names: Sequence[str],
    request: Request,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Run the ledgers of losses that are missing, and print them. Raises UsageError for another protocol."""
    if evaluations.protocol not in ("", HONEST.name):
        problem = f"--losses is by the honest protocol alone, and --protocol is {evaluations.protocol}"
        raise UsageError(problem, "pd eval", "Leave --protocol out")
    chosen = evaluations.ledgers(names)
    project = _run(project, chosen, request, overrides)
    if not request.options.dry_run:
        settings = {node: project[node].settings for node in chosen}
        limits = {node: s.ar_limit for node, s in settings.items() if isinstance(s, LossesSettings)}
        print_losses(project.store, limits, as_json=as_json)


def _check_alone(*others: object) -> None:
    """Raises UsageError if another option than --proxies was given that says what is evaluated."""
    if any(others):
        problem = "--proxies needs no ground truth, so it stands alone"
        raise UsageError(problem, "pd eval", "Leave --losses, --protocol and --dataset out")


def _proxies(
    project: Project,
    evaluations: Evaluations,
    names: Sequence[str],
    request: Request,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Measure the proxies that are missing, and print them."""
    chosen = evaluations.proxies(names)
    project = _run(project, chosen, request, overrides)
    if not request.options.dry_run:
        print_proxies(project.store, list(chosen), as_json=as_json)


def _read(store: Store, nodes: Iterable[str]) -> list[Number]:
    listed = ", ".join(f"'{name}'" for name in nodes)
    catalog = catalog_of(store)
    rows: list[Number] = catalog.query(_NUMBERS.format(nodes=listed)).to_pylist()
    return rows


def _without_node(number: Number) -> Number:
    return {name: value for name, value in number.items() if name != "node"}


def _print(numbers: list[Number]) -> None:
    """One column per metric; one row per evaluated node, and another for its segments with one label per pixel."""
    rows: dict[tuple[str, str, str], dict[str, float]] = {}
    for n in numbers:
        if not n["class_name"]:
            is_unique = n["metric"].endswith(_UNIQUE)
            evaluated = f"{n['evaluated']}, one label per pixel" if is_unique else n["evaluated"]
            row = rows.setdefault((n["node"], evaluated, n["protocol"]), {})
            row[n["metric"].removesuffix(_UNIQUE)] = n["value"]
    metrics = sorted({metric for row in rows.values() for metric in row}, key=metric_place)
    print_table(
        ("node", "evaluated", "protocol", *metrics), [(*k, *(v.get(m) for m in metrics)) for k, v in rows.items()]
    )
