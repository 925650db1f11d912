"""What the units of a node read: the layers of its inputs, which of their units are committed, and their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        self._contents = {} if seen is None else {layer.node: seen[layer.node].content for layer in inputs}
        self.committed = {m.node: frozenset(m.units() if seen is None else self._contents[m.node]) for m in inputs}
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
        return self._differs(manifest.unit, manifest.inputs)

    def stale_units(self, recorded: Mapping[int, Mapping[str, str]]) -> list[int]:
        """The committed units whose input has changed since they were computed.

        Args:
            recorded: unit -> input role -> digest of the content that it was computed from, as its manifest says.
        """
        for layer in (member for members in self.layers.values() for member in members):
            if layer.node not in self._contents:
                # Reads all manifests together; content_of below would read them one by one.
                layer.manifests(self.committed[layer.node])
        return [unit for unit, read in recorded.items() if self._differs(unit, read)]

    def _differs(self, unit: int, read: Mapping[str, str]) -> bool:
        content = self.content_of(unit)
        return content is not None and content != dict(read)

    def _digest(self, layer: Layer, unit: int) -> str | None:
        committed = self.committed[layer.node]
        if layer.node not in self.whole:
            return self._content(layer, unit) if unit in committed else None
        if not committed:
            return None
        if layer.node not in self._digests:
            contents = self._contents.get(layer.node)
            if contents is None:
                contents = {number: manifest.content for number, manifest in layer.manifests(committed).items()}
            self._digests[layer.node] = inputs_digest(contents)
        return self._digests[layer.node]

    def _content(self, layer: Layer, unit: int) -> str:
        contents = self._contents.get(layer.node)
        return layer.manifest(unit).content if contents is None else contents[unit]
