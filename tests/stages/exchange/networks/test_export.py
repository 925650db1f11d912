"""Models of a store as folders for other programs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pdstore import Store
from pdstore.errors import StorageFailure, UsageError
from stages.exchange.networks import export
from stages.exchange.networks.export import export_model
from stages.exchange.networks.trained_model import model_in_folder, model_of_node
from stages.plan.project import Project


def test_a_node_is_exported_with_its_card(finished: Store, tmp_path: Path) -> None:
    """The folder has the weights of the node, and the card beside them; some classes may be chosen."""
    project = Project.open(finished)
    own = model_of_node(project, "distill-train")
    text = export_model(project, "distill-train", tmp_path / "all")
    assert text.startswith("parts of a class, ") and "# distill-train" in (tmp_path / "all" / "README.md").read_text()
    weights = model_in_folder(tmp_path / "all").network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in own.network.state_dict().items())
    name = own.object_names[-1]
    export_model(project, "distill", tmp_path / "one", classes=[name])
    assert model_in_folder(tmp_path / "one").object_names == [name]


def test_a_node_is_exported_as_onnx(finished: Store, tmp_path: Path) -> None:
    """The folder has the file and the card, and nothing else."""
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    text = export_model(Project.open(finished), "proposals", tmp_path / "out", "onnx")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"model.onnx", "README.md"}
    assert text.startswith("proposals, logits differ from the network's by at most ")


def test_nothing_is_overwritten_and_no_half_is_left(
    finished: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with files is refused; if writing fails, there is no folder; an empty one may be there."""
    project = Project.open(finished)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    with pytest.raises(UsageError, match="found files in it"):
        export_model(project, "proposals", tmp_path / "full")
    with pytest.raises(UsageError, match="found a file"):
        export_model(project, "proposals", tmp_path / "full" / "mine")
    with pytest.raises(UsageError, match="mkdir -p"):
        export_model(project, "proposals", tmp_path / "no" / "such")

    def half(files: dict[str, bytes], folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_bytes(files["config.json"])
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(export, "write_files", half)
        with pytest.raises(StorageFailure, match="No space left"):
            export_model(project, "proposals", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    (tmp_path / "out").mkdir()
    export_model(project, "proposals", tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").exists() and len(list(tmp_path.iterdir())) == 2
