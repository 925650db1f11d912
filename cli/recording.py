"""Recording a changed pipeline in its store, and saying what that leads to."""

from __future__ import annotations

from cli.output import say
from stages.plan.project import Project
from stages.plan.states import older_layers

__all__ = ["record_changes"]


def record_changes(project: Project) -> None:
    """Record the pipeline, which is the consent to compute what it leads to, and print a line per changed node."""
    before = project.store.current()
    project.record(is_consent=True)
    for name in before.keys() - project.nodes.keys():
        say(f"{name}: no longer in the pipeline; its layers are kept")
    changed = [node for node in project.nodes.values() if node.fingerprint != before.get(node.name)]
    if not changed:
        say("Recorded. No result changes.")
    for node in changed:
        units, older = project.layer(node.name).units(), older_layers(project, node.name)
        todo = f"not computed yet; {len(older)} older layers are kept"
        state = f"{len(units)} units are already committed" if units else todo
        say(f"{node.name}: {before.get(node.name, 'none')} -> {node.fingerprint}, {state}")
    if any(project.shown(node.name).fingerprint != node.fingerprint for node in changed):
        say("The views show the layers from before until the new ones are complete. To compute them: pd run")
