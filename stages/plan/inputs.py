"""What the units of a node read: the layers of its inputs, which of their units are committed, and their content."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pdstore import Layer
from pdstore.commit import Manifest, inputs_digest
from stages.plan.committed import Committed
from stages.plan.project import Project

__all__ = ["Inputs"]


class Inputs:
    """What the units of ``node`` read. Each layer is listed once, at construction.

    Args:
        seen: node -> what it had committed when it was read. The inputs of ``node`` are then neither listed nor read.

    Attributes:
        layers: input role -> the layers that the pipeline's settings lead to.
        committed: node -> the units of its layer that were committed at construction. A run reads exactly these and
            records them in its commits; what others commit in the meantime shows as newer.
        whole: the input nodes of which a unit needs all units.
    """

    def __init__(self, project: Project, node: str, seen: Mapping[str, Committed] | None = None) -> None:
        is_barrier = project[node].stage.is_barrier
        self.layers: Mapping[str, Sequence[Layer]] = {
            role: [project.layer(name) for name in names] for role, names in project[node].inputs.items()
        }
        self.whole = {name for name in project[node].upstream() if is_barrier or project[name].stage.is_barrier}
        inputs = [layer for members in self.layers.values() for layer in members]
        self._contents: dict[str, Mapping[int, str]] = {m.node: seen[m.node].content for m in inputs} if seen else {}
        self.committed = {m.node: frozenset(self._contents[m.node] if seen else m.units()) for m in inputs}
        self._seen = seen or {}
        self._digests: dict[str, str] = {}

    def content_of(self, unit: int) -> dict[str, str] | None:
        """Input role -> digest of the content that ``unit`` would read now; None if some of it is not committed."""
        content = {}
        for role, members in self.layers.items():
            digests = [self._digest(layer, unit) for layer in members]
            if None in digests:
                return None
            content[role] = ",".join(str(digest) for digest in digests)
        return content

    def is_stale(self, manifest: Manifest) -> bool:
        """True if the unit was computed from input that differs from the present input."""
        content = self.content_of(manifest.unit)
        return content is not None and content != dict(manifest.inputs)

    def stale_units(self, recorded: Committed) -> list[int]:
        """The committed units whose input has changed since they were computed, by rising number.

        Args:
            recorded: the units, and what they were computed from.
        """
        if not recorded.content:
            return []
        units = set(recorded.content)
        known = {role: recorded.inputs.get(role, {}) for role in self.layers}
        # A unit that read a role that the node no longer has was computed from something else.
        stale = {unit for role in recorded.inputs.keys() - known.keys() for unit in recorded.inputs[role]}
        for role, members in self.layers.items():
            contents = [self._content_of_all(member, units) for member in members]
            for content in contents:
                units &= content.keys()
            read = known[role]
            if len(contents) > 1:
                stale |= {unit for unit in units if read.get(unit) != ",".join(c[unit] for c in contents)}
            elif read != contents[0]:  # mostly they are equal, which is found out faster
                stale |= {unit for unit in units if read.get(unit) != contents[0][unit]}
        # Units of which some input is not committed are not stale: they cannot be computed again.
        return sorted(stale & units)

    def _content_of_all(self, layer: Layer, units: Collection[int]) -> Mapping[int, str]:
        """Unit -> the content of the layer that it would read now; without the units whose input is not committed."""
        if layer.node in self.whole:
            digest = self._digest(layer, 0)
            return {} if digest is None else dict.fromkeys(units, digest)
        return self._all(layer)

    def _digest(self, layer: Layer, unit: int) -> str | None:
        committed = self.committed[layer.node]
        if layer.node not in self.whole:
            return self._content(layer, unit) if unit in committed else None
        if not committed:
            return None
        if layer.node not in self._digests:
            seen = self._seen.get(layer.node)
            # The digest of what was seen is shared by all nodes that read the whole layer.
            self._digests[layer.node] = seen.digest if seen else inputs_digest(self._all(layer))
        return self._digests[layer.node]

    def _all(self, layer: Layer) -> Mapping[int, str]:
        """Unit -> digest of its content, of the units that were committed at construction."""
        if layer.node not in self._contents:
            contents = layer.commits().by_unit("content")
            committed = self.committed[layer.node]
            self._contents[layer.node] = {unit: content for unit, content in contents.items() if unit in committed}
        return self._contents[layer.node]

    def _content(self, layer: Layer, unit: int) -> str:
        # One manifest at a time, unless all were read: a worker needs those of its own units alone.
        return self._contents.get(layer.node, {}).get(unit) or layer.manifest(unit).content
