from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pdstore import Store
from schemas.catalog import catalog_of
from schemas.pipeline import SourceSpec
from stages.plan.project import Project
from stages.show.report.overview import Overview, read_overview


def overview_of(store: Store, *overrides: str) -> Overview:
    return read_overview(Project.open(store, overrides), catalog_of(store))


def test_a_finished_store(finished: Store) -> None:
    """Images by split, classes and nodes are counted, and the time is that of the newest commit."""
    overview = overview_of(finished)
    assert overview.source == "drawn images of the demo, seed 0" and overview.store == finished.url
    assert (overview.splits, overview.images, overview.classes) == ({"train": 24, "val": 12}, 36, 6)
    assert overview.done == len(overview.nodes) == len(Project.open(finished).nodes)
    newest = max(
        manifest.created
        for node, fingerprint in finished.current().items()
        for manifest in finished.layer(node, fingerprint).manifests().values()
    )
    assert overview.newest == f"{datetime.fromtimestamp(newest, UTC):%Y-%m-%d %H:%M} UTC"
    assert not overview.is_older


def test_an_empty_store(classical: Callable[..., Store], folder: Path) -> None:
    """Nothing has been read and nothing committed; the source is the image folder."""
    overview = overview_of(classical())
    assert (overview.splits, overview.images, overview.done, overview.newest) == ({}, 0, 0, "")
    assert overview.source == str(folder) and overview.classes == 2
    assert [state.word for state in overview.nodes] == ["not started"] * 7


def test_only_ingested_images_count(grouped: Store) -> None:
    """Nodes that have run are done, the others are not."""
    overview = overview_of(grouped)
    assert overview.images == 12 and overview.done == 3
    assert [state.node for state in overview.nodes if state.word == "done"] == ["ingest", "detic", "grouping"]


def test_layers_of_other_settings_make_a_store_older(grouped: Store) -> None:
    """If the pipeline would write other layers than those recorded, the overview says so."""
    assert overview_of(grouped, "grouping.k=3").is_older


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"kind": "dataset", "root": "/data/pim", "dataset": "part_imagenet"}, "part_imagenet in /data/pim"),
        ({"kind": "list", "root": "/data/photos", "list_file": "x.txt"}, "/data/photos"),
        (
            {"kind": "demo", "root": "x", "seed": 3, "drawing": "textures"},
            "drawn images of the demo (textures), seed 3",
        ),
    ],
)
def test_a_source_is_named(grouped: Store, source: dict[str, Any], words: str) -> None:
    """A data set has its name and its folder, a demo its seed; a folder or a list has the folder alone."""
    project = Project.open(grouped)
    project.__dict__["source"] = SourceSpec(**source)
    assert read_overview(project, catalog_of(grouped)).source == words
