from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Pd, assert_error


def test_corrections_become_a_node(pd: Pd, store: Path, tmp_path: Path) -> None:
    """Objects leave, one image's are rejected, and the corrections are what the next stage reads."""
    assert pd("run", "ingest", "detic").code == 0
    file = tmp_path / "objects.json"
    assert pd("export", "coco", file, "--node", "detic").code == 0
    content = json.loads(file.read_text())
    rejected = content["images"][0]["id"]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != rejected]
    file.write_text(json.dumps(content))
    added = pd("import", "coco", file, "--as", "checked", "--of", "detic", "--for", "grouping")
    assert added.code == 0 and "To compute it: pd run --until checked" in added.err
    assert pd("run", "--until", "grouping").code == 0
    sql = "SELECT count(DISTINCT image_id) FROM {} WHERE node = '{}'"
    counts = [pd("sql", sql.format(*of), "--format", "csv").out.split()[-1] for of in
              (("objects", "detic"), ("objects", "checked"), ("parts", "grouping"))]  # fmt: skip
    assert counts == ["6", "5", "5"]


def test_wrong_requests_change_nothing(pd: Pd, store: Path, tmp_path: Path) -> None:
    """A missing file or name is one error, and the pipeline stays as it is."""
    before = (store / "pipeline.json").read_bytes()
    assert_error(pd("import", "coco", tmp_path / "no.json", "--as", "x"), 1, "there is no such file")
    assert_error(pd("import", "coco", tmp_path / "no.json"), 2, "--as NODE")
    assert_error(pd("import", "cvat", tmp_path / "no.json"), 2, "cvat", "coco")
    assert (store / "pipeline.json").read_bytes() == before
