"""What changed between a layer and what its node would write now, listed for the nodes whose own settings changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pdstore import Identity, Store
from pdstore.errors import CorruptData, InputMissing
from pdstore.fingerprint import difference
from stages.plan.project import Project

__all__ = ["changes", "own_changes", "summary"]

_WEIGHTS = "weights "


def own_changes(node: str, old: Identity, new: Identity) -> list[str]:
    """What changed in a node itself, one change per line: ``grouping.k: 4 -> 3``."""
    lines = difference(replace(old, upstream=new.upstream), new)
    return [f"{node}.{_as_content(line)}" if line.startswith(_WEIGHTS) else f"{node}.{line}" for line in lines]


def changes(project: Project, old: Identity, name: str) -> dict[str, list[str]]:
    """Node -> its changes since node ``name`` wrote under ``old``: of that node and of all nodes that it reads.

    If an input's former layer is gone, only its fingerprint can be reported.
    """
    lines_by_node: dict[str, list[str]] = {}
    waiting, visited = [(old, project[name])], set()
    while waiting:
        former, now = waiting.pop(0)
        if former.fingerprint in visited:
            continue
        visited.add(former.fingerprint)
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
            lines_by_node[now.name] = lines
    return lines_by_node


def summary(changed: Mapping[str, Sequence[str]]) -> str:
    """The result of :func:`changes` as a single line."""
    return "; ".join(line for lines in changed.values() for line in lines) or "nothing but the layer's name"


def _sources(store: Store, names: Sequence[str], fingerprints: Sequence[str]) -> dict[str, Identity] | None:
    """Node -> the identity of its former layer; None if one of them is gone, or if other nodes were read."""
    if len(names) != len(fingerprints):
        return None
    try:
        return {n: store.layer(n, f).info.identity for n, f in zip(names, fingerprints, strict=True)}
    except (CorruptData, InputMissing):
        return None


def _as_content(line: str) -> str:
    """``weights file: 1a -> 2b`` as a reader knows it: the setting names the same file, whose content differs."""
    return line.removeprefix(_WEIGHTS).replace(":", " (content):", 1)
