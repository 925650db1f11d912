"""What changed between a layer and what its node would write now, told of the nodes whose own settings changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pdstore import Identity, Store
from pdstore.errors import InputMissing
from pdstore.fingerprint import difference
from stages.plan.project import Project

__all__ = ["changes", "own_changes", "summary"]


def own_changes(node: str, old: Identity, new: Identity) -> list[str]:
    """What changed of a node itself, a line each: ``grouping.k: 4 -> 3``."""
    lines = difference(replace(old, upstream=new.upstream), new)
    return [f"{node} {line}" if line.startswith("weights ") else f"{node}.{line}" for line in lines]


def changes(project: Project, old: Identity, name: str) -> dict[str, list[str]]:
    """Node -> what changed of it since node ``name`` wrote under ``old``: of the node itself and of all that it reads.

    Where an input's former layer is gone, only its fingerprint is left to tell.
    """
    found: dict[str, list[str]] = {}
    waiting, seen = [(old, project[name])], set()
    while waiting:
        former, now = waiting.pop(0)
        if former.fingerprint in seen:
            continue
        seen.add(former.fingerprint)
        lines = own_changes(now.name, former, now.identity)
        for role in sorted(former.upstream.keys() | now.inputs.keys()):
            before, after = former.upstream.get(role, ""), now.identity.upstream.get(role, "")
            if before == after:
                continue
            sources = _sources(project.store, now.inputs.get(role, ()), before.split(","))
            if sources is None:
                lines.append(f"{now.name} upstream {role}: {before or 'none'} -> {after or 'none'}")
            else:
                waiting += [(identity, project[source]) for source, identity in sources.items()]
        if lines:
            found[now.name] = lines
    return found


def summary(found: Mapping[str, Sequence[str]]) -> str:
    """All of :func:`changes` in a line."""
    return "; ".join(line for lines in found.values() for line in lines) or "nothing but the layer's name"


def _sources(store: Store, names: Sequence[str], fingerprints: Sequence[str]) -> dict[str, Identity] | None:
    """Node -> what its layer was; None if one of them is gone, or others were read."""
    if len(names) != len(fingerprints):
        return None
    try:
        return {n: store.layer(n, f).info.identity for n, f in zip(names, fingerprints, strict=True)}
    except InputMissing:
        return None
