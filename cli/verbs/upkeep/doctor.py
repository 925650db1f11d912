"""``pd doctor``: check what a run needs of this machine, the storage and the pipeline, before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.output import print_json, print_table, say
from cli.session import has_store, open_store
from pdstore.errors import PdError

if TYPE_CHECKING:
    from pdstore import Store
    from stages.doctor.finding import Finding

__all__ = ["command"]


@click.command("doctor")
@click.option("--rehearse", is_flag=True, help="Compute 32 images with every node, too; nothing of it is kept.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(rehearse: bool, as_json: bool) -> None:
    """Check versions, memory, limits, GPU, storage, images and networks, and say what will not work.

    Without a store, only the machine is checked. With one, its storage is tried out in a temporary folder inside the
    store, which is removed again; 8 images are read; and each network whose weights are there is loaded.

    With --rehearse, every node that can be computes 32 images: with the hours that it takes for what this store lacks,
    and the most memory. Nothing is committed.

    The exit code is 1 if something will not work. A warning is no failure.

    \b
    Examples:
      pd doctor
      pd --store parts doctor --rehearse
      pd --store s3://bucket/parts doctor --json
    """
    # Imported here: the checks load what most verbs do without.
    from cli.execution import interruptible
    from stages.doctor.examination import examine
    from stages.doctor.finding import Finding, conclusion
    from stages.unit import Control

    store, unopened = _store()
    with interruptible() as stop:
        findings = examine(store, is_rehearsed=rehearse, control=Control(should_stop=stop, note=say))
    if unopened is not None:
        findings.append(Finding("storage", "store", f"{unopened.where}: {unopened.problem}", "fails", unopened.fix))
    failed = [finding for finding in findings if finding.verdict == "fails"]
    if as_json:
        counted = {v: sum(f.verdict == v for f in findings) for v in ("ok", "warning", "fails")}
        print_json({"findings": [finding.to_dict() for finding in findings], "counts": counted})
    else:
        print_table(("", "checked", "found", "", "what to do"), _rows(findings))
    if failed:
        raise PdError(conclusion(findings))
    say(conclusion(findings))


def _store() -> tuple[Store | None, PdError | None]:
    """The store, and why it cannot be opened; neither where none is named."""
    if not has_store():
        return None, None
    try:
        return open_store(), None
    except PdError as error:
        return None, error


def _rows(findings: list[Finding]) -> list[tuple[str, ...]]:
    """Each group is named once, in its first line."""
    groups = ["", *(finding.group for finding in findings)]
    return [
        (f.group if f.group != before else "", f.checked, f.found, f.verdict, f.fix)
        for before, f in zip(groups, findings, strict=False)
    ]
