"""`pd eval-file`: the golden numbers, other ways to write the files, and wrong files."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdstore.runlength import run_lengths
from tests.cli.conftest import Pd

GOLDEN = Path(__file__).parents[2] / "data" / "evaluation.json"
CONTENT: dict[str, Any] = json.loads(GOLDEN.read_text())
EXPECTED = {
    protocol: {k: v for k, v in CONTENT["expected"][f"{protocol}_protocol"].items() if isinstance(v, float)}
    for protocol in ("honest", "reference")
}
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def split(tmp_path: Path) -> Callable[[Change], tuple[Path, Path]]:
    """``split(change)``: the golden file, changed, as a file of predictions and one of ground truth."""

    def write(change: Change = lambda _: None) -> tuple[Path, Path]:
        content = copy.deepcopy(CONTENT)
        content["vote_images"] = content.pop("expected")["honest_protocol"]["vote_images"]
        change(content)
        paths = tmp_path / "predictions.json", tmp_path / "truth.json"
        paths[0].write_text(json.dumps(content.pop("predictions", None)))
        paths[1].write_text(json.dumps(content))
        return paths

    return write


def test_every_golden_number(pd: Pd) -> None:
    """The file that holds everything, given twice, has every number of both protocols to 1e-3."""
    result = pd("eval-file", GOLDEN, GOLDEN, "--protocol", "both", "--json")
    assert result.code == 0
    numbers = json.loads(result.out)
    assert set(numbers) == {"honest", "reference"}
    for protocol, expected in EXPECTED.items():
        assert {name: numbers[protocol][name] for name in expected} == pytest.approx(expected, abs=1e-3)
        assert numbers[protocol]["C-mIoU-oracle"] > expected["C-mIoU"]


def test_two_files_say_the_same_as_one(pd: Pd, split: Callable[..., tuple[Path, Path]]) -> None:
    """Predictions as a bare list, and ground truth with vote_images; run lengths need not be compressed."""

    def uncompress(content: dict[str, Any]) -> None:
        for record in content["predictions"]:
            rle = record["segmentation"]
            rle["counts"] = run_lengths(rle["counts"].encode()).tolist()

    numbers = json.loads(pd("eval-file", *split(uncompress), "--json").out)
    assert numbers == json.loads(pd("eval-file", GOLDEN, GOLDEN, "--json").out)


@pytest.mark.parametrize("protocol", ["honest", "reference"])
def test_one_protocol_as_a_table(pd: Pd, protocol: str) -> None:
    """A row a protocol, a column a metric."""
    header, _, row = pd("eval-file", GOLDEN, GOLDEN, "--protocol", protocol).out.splitlines()
    assert header.split() == ["protocol", *EXPECTED[protocol], "C-mIoU-oracle", "A-mIoU-oracle"]
    assert row.split()[0] == protocol
    assert float(row.split()[1]) == pytest.approx(EXPECTED[protocol]["C-mIoU"], abs=0.01)


def test_proposals_have_recall_alone(pd: Pd, split: Callable[..., tuple[Path, Path]]) -> None:
    """Without clusters there is AR, overlapping as with them, and with one label a pixel."""

    def strip(content: dict[str, Any]) -> None:
        for record in content["predictions"]:
            del record["cluster"]

    numbers = json.loads(pd("eval-file", *split(strip), "--json").out)
    for protocol, expected in EXPECTED.items():
        recall = {name: value for name, value in expected.items() if name.startswith("AR@")}
        assert set(numbers[protocol]) == {*recall, *(f"{name}-unique" for name in recall)}
        assert {name: numbers[protocol][name] for name in recall} == pytest.approx(recall, abs=1e-3)


def test_a_wrong_file_is_one_clear_error(pd: Pd, split: Callable[..., tuple[Path, Path]]) -> None:
    """The error is one line on stderr that names the file, the record, what is wrong and what to do."""

    def break_one(content: dict[str, Any]) -> None:
        content["predictions"][7]["image_id"] = 999

    result = pd("eval-file", *split(break_one))
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: ") and len(result.err.splitlines()) == 1
    for words in ("predictions.json, predictions[7]: expected the image_id of a listed image, found 999.", "Add the"):
        assert words in result.err


@pytest.mark.parametrize(("text", "word"), [("{", "line 1 column 2"), ("", "line 1 column 1"), ("\xff", "utf-8")])
def test_a_file_that_is_not_json(pd: Pd, tmp_path: Path, text: str, word: str) -> None:
    """The error names the file and the place."""
    path = tmp_path / "broken.json"
    path.write_bytes(text.encode("latin-1"))
    for words in ((path, GOLDEN), (GOLDEN, path)):
        result = pd("eval-file", *words)
        assert result.code == 1 and f"{path}: the file is not valid JSON" in result.err and word in result.err


def test_a_file_that_is_not_there(pd: Pd) -> None:
    """A wrong path is a wrong argument."""
    result = pd("eval-file", "nowhere.json", GOLDEN)
    assert result.code == 2 and "nowhere.json" in result.err
