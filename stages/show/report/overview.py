"""What the store holds, and how far its pipeline has got."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pdstore import Catalog
from schemas.pipeline import SourceSpec
from stages.plan.project import Project
from stages.plan.states import NodeState, states

__all__ = ["Overview", "read_overview"]

_COUNTS = "SELECT split, count(*) AS images FROM images GROUP BY ALL ORDER BY ALL"


@dataclass(frozen=True)
class Overview:
    """The store at a glance.

    Attributes:
        source: where its images come from.
        splits: name of a split -> number of images that could be read.
        newest: when the newest unit was committed, in UTC; empty if no unit was. The page shows no other time, so two
            reports of the same content are the same.
        is_older: the layers that SQL shows are not those that this program would write: it has been updated since.
    """

    store: str
    source: str
    splits: dict[str, int]
    classes: int
    nodes: tuple[NodeState, ...]
    newest: str
    is_older: bool

    @property
    def images(self) -> int:
        return sum(self.splits.values())

    @property
    def done(self) -> int:
        return sum(state.word == "done" for state in self.nodes)

    @property
    def earlier(self) -> list[str]:
        """The nodes of which the page shows an earlier layer, because the new one is not complete."""
        return [state.node for state in self.nodes if state.is_behind]


def read_overview(project: Project, catalog: Catalog) -> Overview:
    splits = {row["split"]: row["images"] for row in catalog.query(_COUNTS).to_pylist()}
    classes = catalog.query("SELECT count(*) AS n FROM classes").to_pylist()[0]["n"]
    newest = catalog.query("SELECT max(created) AS at FROM commits").to_pylist()[0]["at"]
    when = f"{datetime.fromtimestamp(newest, UTC):%Y-%m-%d %H:%M} UTC" if newest is not None else ""
    is_older = project.store.current() != project.pipeline.current()
    return Overview(project.store.url, _source(project.source), splits, classes, tuple(states(project)), when, is_older)


def _source(source: SourceSpec) -> str:
    if source.kind == "demo":
        what = "" if source.drawing == "shapes" else f" ({source.drawing})"
        return f"drawn images of the demo{what}, seed {source.seed}"
    return f"{source.dataset} in {source.root}" if source.kind == "dataset" else source.root
