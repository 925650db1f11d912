"""Recording a changed pipeline in its store, and saying what that leads to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from cli.output import say
from pdstore import Store
from pdstore.records.states import PipelineState, read_state, state_numbers
from stages.plan.project import Project
from stages.plan.states import older_layers

__all__ = ["record_changes", "recorded_states"]


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


def recorded_states(store: Store) -> Iterator[dict[str, Any]]:
    """One record per state of the pipeline, the first one first: its number, time, author, and what it changed."""
    before = None
    for number in state_numbers(store.files) or ([] if store.state() is None else [0]):
        state = read_state(store.files, number)
        created = datetime.fromtimestamp(state.created, UTC).isoformat(timespec="seconds") if state.created else None
        who = state.who or "an earlier release"
        yield {"state": number, "created": created, "who": who, "changes": list(_changes(before, state))}
        before = state


def _changes(before: PipelineState | None, state: PipelineState) -> Iterator[str]:
    if before is None:
        yield f"the pipeline as it was first recorded, {len(state.current)} nodes"
        return
    for node, layer in state.current.items():
        if layer != before.current.get(node):
            yield f"{node}: {before.current.get(node, 'new')} -> {layer}"
    for node in before.current.keys() - state.current.keys():
        yield f"{node}: no longer there"
    for node, layers in state.removed.items():
        if deleted := set(layers) - set(before.removed.get(node, ())):
            yield f"{node}: deleted {', '.join(sorted(deleted))}"
    old, new = _settings(before), _settings(state)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name} = {new.get(name, 'not set')}"


def _settings(state: PipelineState) -> Mapping[str, Any]:
    return {f"{node}.{key}": value for node, keys in (state.overrides or {}).items() for key, value in keys.items()}
