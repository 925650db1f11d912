"""``pd weights`` on the golden files."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from pathlib import Path

from stages.models.network_files import load_network
from tests.cli.conftest import Pd

DATA = Path(__file__).parents[2] / "data"
MASK2FORMER, DISTILLED = DATA / "mask2former_tiny.pkl", DATA / "part_distillation_tiny.pth"


def test_check_says_that_a_file_fits(pd: Pd) -> None:
    """The exit code is 0 and the contents are listed; without a preset the file must fit its own shapes."""
    for words in ((), ("--preset", "tiny")):
        result = pd("weights", "check", MASK2FORMER, *words)
        assert result.code == 0
        assert "fits: every tensor has a counterpart" in result.out and "detectron2" in result.out
    summary = json.loads(pd("weights", "check", DISTILLED, "--preset", "tiny", "--num-parts", 8, "--json").out)
    assert (summary["fits"], summary["object_classes"], summary["classes"], summary["faults"]) == (True, 5, 8, [])


def test_check_lists_all_that_does_not_fit(pd: Pd) -> None:
    """The exit code is 1; wrong settings are listed, then each tensor missing, left over or of another shape."""
    result = pd("weights", "check", MASK2FORMER, "--preset", "swin-l")
    assert result.code == 1
    lines = result.out.splitlines()
    assert "setting num_queries 200, not 10" in lines
    assert "missing: backbone.layers.2.blocks.17.norm1.weight" in lines
    assert len([line for line in lines if line.startswith("missing: ")]) > 300
    assert any(line.startswith("shape: sem_seg_head.predictor.query_feat.weight (200, 256) expected") for line in lines)
    result = pd("weights", "check", MASK2FORMER, "--preset", "tiny", "decoder_layers=2", "--json")
    faults = json.loads(result.out)["faults"]
    assert result.code == 1 and len([fault for fault in faults if fault.startswith("left over: ")]) == 18


def test_convert_writes_safetensors_and_prints_their_sha256(pd: Pd, tmp_path: Path) -> None:
    """The folder can be loaded as a network, and converting the same file again gives the same bytes."""
    first = pd("weights", "convert", MASK2FORMER, tmp_path / "first", "--preset", "tiny")
    assert first.code == 0
    digest = hashlib.sha256((tmp_path / "first" / "model.safetensors").read_bytes()).hexdigest()
    assert first.out.split() == [digest, str(tmp_path / "first" / "model.safetensors")]
    assert load_network(tmp_path / "first").num_classes == 7
    again = pd("weights", "convert", MASK2FORMER, tmp_path / "second", "--json")
    assert json.loads(again.out)["sha256"] == digest
    assert "fits" in pd("weights", "check", tmp_path / "first", "--preset", "tiny").out


def test_convert_overwrites_nothing_and_writes_nothing_of_a_misfit(pd: Pd, tmp_path: Path) -> None:
    """A folder that holds files is left alone, and a file that does not fit leaves no folder."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    assert pd("weights", "convert", MASK2FORMER, tmp_path / "full").code == 2
    result = pd("weights", "convert", MASK2FORMER, tmp_path / "new", "--preset", "swin-l")
    assert result.code == 2 and "setting embedding_size 192, not 16" in result.err and "more" in result.err
    assert not (tmp_path / "new").exists()


def test_a_weights_file_without_its_folder_is_refused(pd: Pd, tmp_path: Path) -> None:
    """model.safetensors is not a checkpoint without its config.json: the error names their folder."""
    assert pd("weights", "convert", MASK2FORMER, tmp_path / "network").code == 0
    result = pd("weights", "check", tmp_path / "network" / "model.safetensors")
    assert result.code == 2 and f"give the folder, with its config.json: {tmp_path / 'network'}." in result.err


class Hostile:
    """Creates a file when a careless reader unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return os.system, (f"touch {self.path}",)


def test_a_hostile_file_is_refused_in_one_line(pd: Pd, tmp_path: Path) -> None:
    """The exit code is 1, and the code in the pickle was not run."""
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"model": {"w": Hostile(tmp_path / "owned")}}))
    result = pd("weights", "check", tmp_path / "a.pkl")
    assert result.code == 1 and "asks for posix.system; none of it was run" in result.err
    assert len(result.err.splitlines()) == 1 and not (tmp_path / "owned").exists()


def test_wrong_words_are_usage_errors(pd: Pd) -> None:
    """Unknown presets and settings, and words that are not settings, are refused with exit code 2."""
    assert pd("weights", "check", MASK2FORMER, "--preset", "huge").code == 2
    result = pd("weights", "check", MASK2FORMER, "num_querys=3")
    assert result.code == 2 and "num_queries" in result.err and "config show" not in result.err
    result = pd("weights", "check", MASK2FORMER, "tiny")
    assert result.code == 2 and "expected KEY=VALUE, found 'tiny'" in result.err
    result = pd("weights", "check", MASK2FORMER, "num_queries=[1")
    assert result.code == 2 and len(result.err.splitlines()) == 1
    assert result.err.startswith("error: num_queries=[1: the value '[1' is not valid YAML (expected ',' or ']'")


def test_export_writes_a_folder_for_other_programs(pd: Pd, store: Path, tmp_path: Path) -> None:
    """With a model card; its path goes to stdout. Nothing is overwritten, and a node without a network is refused."""
    words = ("--stage", "weights", f"official.file={DISTILLED}", "official.num_parts=8")
    assert pd("node", "add", "official", *words).code == 0 and pd("run", "official").code == 0
    result = pd("weights", "export", "official", tmp_path / "out", "--class", "class 2", "--class", "class 0")
    assert result.code == 0 and result.out == f"{tmp_path / 'out'}\n" and "16 labels" in result.err
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["id2label"]["8"] == "class 0: part 0" and (tmp_path / "out" / "README.md").exists()
    assert "fits" in pd("weights", "check", tmp_path / "out").out
    again = pd("weights", "export", "official", tmp_path / "out")
    assert again.code == 2 and "found files in it" in again.err
    result = pd("weights", "export", "ingest", tmp_path / "no")
    assert result.code == 2 and "found one of stage ingest" in result.err and not (tmp_path / "no").exists()
