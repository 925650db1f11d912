from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from pdstore.errors import InputMissing
from schemas.pipeline import PipelineSpec
from stages.plan.file_settings import check_files, missing_files
from stages.plan.pipeline import Node, Pipeline


def nodes(**settings: dict[str, Any]) -> list[Node]:
    """Nodes of stage weights (by setting ``file`` alone) or annotated-parts."""
    described: dict[str, Any] = {"ingest": {}}
    for name, values in settings.items():
        is_network = name.startswith("net")
        described[name] = {"stage": "weights" if is_network else "annotated-parts", "settings": values}
        described[name] |= {} if is_network else {"inputs": {"images": "ingest"}}
    return list(Pipeline(PipelineSpec.parse({"nodes": described}, "pipeline")).nodes.values())


def test_all_files_that_are_away_are_in_one_error(tmp_path: Path) -> None:
    """Each path once, with every setting that names it; files that are there are not listed."""
    here, away, other = tmp_path / "here.json", str(tmp_path / "away.json"), str(tmp_path / "other.pth")
    here.write_text("{}")
    listed = nodes(a={"file": [str(here), away]}, b={"file": away}, net={"file": other})
    with pytest.raises(InputMissing) as caught:
        check_files(listed)
    text = str(caught.value)
    assert text.startswith("2 files that the settings name are not there:")
    assert f"{away}: no such file (is the disk mounted?), named by a.file.1 and b.file\n" in text
    assert f"{other}: no such file or folder (is the disk mounted?), named by net.file\n" in text
    assert str(here) not in text and caught.value.exit_code == 1
    check_files(nodes(a={"file": str(here)}))


def test_one_file_is_one_sentence(tmp_path: Path) -> None:
    """It begins with the path and ends with the setting to change. A relative path is said to be one."""
    path = tmp_path / "away.json"
    expected = f"{path}: no such file (is the disk mounted?), named by a.file. Bring it back, or set another path: "
    with pytest.raises(InputMissing, match=re.escape(expected + "pd config set a.file=PATH")):
        check_files(nodes(a={"file": str(path)}))
    assert missing_files(nodes(a={"file": "away.json"}))[0].path == f"away.json (in {Path.cwd()})"


def test_a_path_of_the_wrong_kind_is_named(tmp_path: Path) -> None:
    """A folder for a file, an empty folder for a checkpoint, and a link to nothing; a hub name is none of these."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    problems = {
        missing.keys[0]: missing.problem
        for missing in missing_files(
            nodes(
                a={"file": str(tmp_path)},
                b={"file": str(tmp_path / "link")},
                net1={"file": str(tmp_path / "empty")},
                net2={"file": "some-org/some-name"},
            )
        )
    }
    assert problems == {
        "a.file": "this is a folder, not a file",
        "b.file": "no such file (is the disk mounted?)",
        "net1.file": "this folder is empty (is the disk mounted?)",
    }


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_not_there(tmp_path: Path) -> None:
    """It is found before anything is computed, not when the node opens it."""
    path = tmp_path / "a.json"
    path.write_text("{}")
    path.chmod(0)
    assert missing_files(nodes(a={"file": str(path)}))[0].problem == "this file cannot be read (no permission)"
