"""What the nodes of a project have committed at one moment: each layer is listed once, and read from its index."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pdstore import Layer
from pdstore.commit import inputs_digest
from stages.plan.project import Project

__all__ = ["Committed", "read_committed"]


@dataclass(frozen=True)
class Committed:
    """The committed units of one layer.

    Attributes:
        content: unit -> digest of its content.
        inputs: input role -> unit -> digest of the content that it was computed from.
        errors: number of rows of ``errors``. seconds: time spent on the units.
    """

    content: Mapping[int, str]
    inputs: Mapping[str, Mapping[int, str]]
    errors: int
    seconds: float

    @cached_property
    def digest(self) -> str:
        """One digest of all units, for the nodes that read the whole layer."""
        return inputs_digest(self.content)

    @classmethod
    def of(cls, layer: Layer) -> Committed:
        """What is committed now. Cost: that of :meth:`pdstore.Layer.commits`."""
        commits = layer.commits()
        return cls(
            commits.by_unit("content"),
            commits.inputs(),
            sum(commits.column("errors")),
            # Exact, so that the sum is the same however the units are indexed.
            math.fsum(commits.column("seconds")),
        )


def read_committed(project: Project, names: Iterable[str]) -> dict[str, Committed]:
    """Node -> what its layer under the pipeline's settings has committed now, for these nodes and all their inputs.

    A node is read before its inputs, so that what its units were computed from is seen as well, or what has replaced
    it since. The other way round, a unit that is committed in the meantime would look stale.
    """
    wanted = {node for name in names for node in (name, *project[name].upstream())}
    return {name: Committed.of(project.layer(name)) for name in reversed(list(project.nodes)) if name in wanted}
