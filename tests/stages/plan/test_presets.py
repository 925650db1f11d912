from __future__ import annotations

from pathlib import Path

import pytest

from pdstore.errors import UsageError
from stages.plan.pipeline import Pipeline
from stages.plan.presets import preset_names, read_preset


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_resolves(name: str) -> None:
    """Each preset that comes with the program is a valid pipeline, and says what it is for."""
    preset = read_preset(name)
    assert preset.description
    assert list(Pipeline(preset, root="images").nodes)


def test_a_pipeline_file_of_the_user(tmp_path: Path) -> None:
    """A path is read as YAML; the error for an unknown preset names the nearest one, that for broken YAML the place."""
    path = tmp_path / "mine.yaml"
    path.write_text("nodes:\n  ingest: {}\n")
    assert list(Pipeline(read_preset(str(path))).nodes) == ["ingest"]
    for text, message in (
        ("nodes: [", "not valid YAML.*line 1, column 9"),
        ("- 1", "a mapping with 'nodes'"),
        ("x: 1", "unknown setting"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_preset(str(path))
    with pytest.raises(UsageError, match="no preset 'dmo'. .*Did you mean 'demo'"):
        read_preset("dmo")
    with pytest.raises(UsageError, match="none.yaml: this YAML file does not exist"):
        read_preset(str(tmp_path / "none.yaml"))
