from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pdstore import Store
from pdstore.errors import InputMissing, UsageError
from stages.exchange.imports import ImportRequest
from stages.exchange.original_import import add, tree_kind
from stages.plan.project import Project
from tests.stages.datasets.original import labels_file, objects_file, parts_file, write

STACK = np.ones((1, 6, 8), bool)


def test_a_tree_is_found_with_its_kind(tmp_path: Path) -> None:
    """The folder itself, or one that holds it alone; a damaged first file does not hide what the others are."""
    write(tmp_path / "a", "n1", "0.JPEG", objects_file(STACK, ["cat"], [1.0]))
    assert tree_kind(tmp_path / "a") == (tmp_path / "a", "objects")
    write(tmp_path / "b/tree", "n1", "0.JPEG", parts_file(STACK)).write_bytes(b"")
    write(tmp_path / "b/tree", "n2", "1.JPEG", parts_file(STACK))
    (tmp_path / "b/export.json").write_text("{}")
    assert tree_kind(tmp_path / "b") == (tmp_path / "b/tree", "parts")
    write(tmp_path / "c", "n1", "0.JPEG", labels_file(STACK, [1], [0.5]))
    write(tmp_path / "c", "n2", "0.JPEG", labels_file(STACK, [1], [0.5]))
    assert tree_kind(tmp_path / "c") == (tmp_path / "c", "labels")


def test_a_folder_without_pseudo_labels_is_refused(tmp_path: Path) -> None:
    """The error says what was found, and where such a tree is."""
    with pytest.raises(InputMissing, match="no such folder"):
        tree_kind(tmp_path / "nothing")
    with pytest.raises(UsageError, match="found no folder in it has a file"):
        tree_kind(tmp_path)
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1/0.JPEG").write_bytes(b"a picture")
    with pytest.raises(UsageError, match=r"n1/0\.JPEG.*part_masks_with_class"):
        tree_kind(tmp_path)


def test_the_node_is_named_after_its_stage_and_reads_the_images(grouped: Store, tmp_path: Path) -> None:
    """It is a node like any other, with its own name if one is given; a name that is taken is refused."""
    write(tmp_path / "tree", "n1", "0.JPEG", parts_file(STACK))
    project = add(Project.open(grouped), ImportRequest(tmp_path / "tree"))
    assert project["original-parts"].stage.name == "original-parts"
    assert project["original-parts"].settings.model_dump()["folder"] == str(tmp_path / "tree")
    assert project.pipeline.spec.nodes["original-parts"].inputs["images"] == ("ingest",)
    project = add(project, ImportRequest(tmp_path / "tree", "theirs"))
    assert {"original-parts", "theirs"} <= project.nodes.keys()
    with pytest.raises(UsageError, match="already has a node 'grouping'"):
        add(project, ImportRequest(tmp_path / "tree", "grouping"))
    with pytest.raises(UsageError, match="not a correction of a node"):
        add(project, ImportRequest(tmp_path / "tree", of="grouping"))
