"""Changed settings: whether a node may be computed under them, and how the store adopts them."""

from __future__ import annotations

from collections.abc import Iterable

from pdstore.errors import StaleSettings
from stages.plan.changes import changes, summary
from stages.plan.file_settings import check_files
from stages.plan.project import Project
from stages.plan.states import newest_layer, older_layers

__all__ = ["adopt", "check_settings"]


def check_settings(project: Project, name: str, new_layer: bool) -> None:
    """Raises StaleSettings if the node has committed units under other settings, and none under these.

    Settings that were recorded on purpose (``pd config set``) are never refused. If only the settings of its inputs
    changed, the error names those inputs.

    Raises InputMissing instead if a file is not there, because then it is unknown whether anything has changed.
    """
    older = older_layers(project, name)
    if new_layer or not older or project.layer(name).units() or project.is_accepted(name):
        return
    check_files(project[source] for source in (name, *project.pipeline.upstream(name)))
    newest = newest_layer(older)
    changed = changes(project, newest.info.identity, name)
    setting = f"pd config set {' '.join(f'{node}.KEY=VALUE' for node in changed or [name])}"
    fix = (
        f"Choose one of three ways: (1) leave the settings as they were (to go back to them: {setting}); (2) write a "
        "second layer and keep the first for comparison in SQL: add --new-layer; (3) keep only the new one: "
        f"{setting}, then run again, then pd gc --layer {newest.fingerprint} --yes"
    )
    problem = f"no unit is committed under the current settings, but {len(newest.units())} are under others"
    raise StaleSettings(f"{problem}: {summary(changed)}", name, fix)


def adopt(project: Project, nodes: Iterable[str], new_layer: bool, *, dry_run: bool = False) -> None:
    """Record the changed settings of these nodes, so that the views show their layers once these are complete.

    Raises:
        StaleSettings: one of the nodes has committed units under other settings, and ``new_layer`` is not set.
    """
    current, wanted = project.store.current(), set(nodes)
    changed = [n.name for n in project.nodes.values() if n.name in wanted and n.fingerprint != current.get(n.name)]
    for name in changed:
        check_settings(project, name, new_layer)
    if changed and not dry_run:
        project.record()
