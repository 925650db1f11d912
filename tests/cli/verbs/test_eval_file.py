"""``pd eval-file``: the golden numbers, other ways to write the files, and files that are not valid."""

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
    """The file that holds everything, given twice, yields every number of both protocols to 1e-3."""
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
    """The table has one row per protocol and one column per metric."""
    header, _, row = pd("eval-file", GOLDEN, GOLDEN, "--protocol", protocol).out.splitlines()
    assert header.split() == ["protocol", *EXPECTED[protocol], "C-mIoU-oracle", "A-mIoU-oracle"]
    assert row.split()[0] == protocol
    assert float(row.split()[1]) == pytest.approx(EXPECTED[protocol]["C-mIoU"], abs=0.01)


def test_proposals_have_recall_alone(pd: Pd, split: Callable[..., tuple[Path, Path]]) -> None:
    """Without clusters there is only AR: for overlapping proposals, as with clusters, and with one label per pixel."""

    def strip(content: dict[str, Any]) -> None:
        for record in content["predictions"]:
            del record["cluster"]

    numbers = json.loads(pd("eval-file", *split(strip), "--json").out)
    for protocol, expected in EXPECTED.items():
        recall = {name: value for name, value in expected.items() if name.startswith("AR@")}
        assert set(numbers[protocol]) == {*recall, *(f"{name}-unique" for name in recall)}
        assert {name: numbers[protocol][name] for name in recall} == pytest.approx(recall, abs=1e-3)


def remove(key: str, *path: Any) -> Change:
    """A change that removes a key from the record at ``path``."""

    def change(content: Any) -> None:
        for step in path:
            content = content[step]
        del content[key]

    return change


def put(value: Any, *path: Any) -> Change:
    """A change that sets the value at ``path``."""

    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove("images"), ["truth.json: expected the key 'images'", "Add 'images'"]),
        (remove("ground_truth"), ["truth.json: expected the key 'ground_truth'"]),
        (remove("predictions"), ["predictions.json: expected a list of predictions, or", "found NoneType"]),
        (remove("height", "images", 2), ["truth.json, images[2]: expected the key 'height'"]),
        (remove("image_id", "predictions", 5), ["predictions.json, predictions[5]: expected the key 'image_id'"]),
        (remove("cluster", "predictions", 5), ["predictions.json, predictions[5]: expected the key 'cluster'"]),
        (remove("score", "predictions", 0), ["predictions.json, predictions[0]: expected the key 'score'"]),
        (put(999, "predictions", 7, "image_id"), ["predictions[7]: expected the image_id of a listed", "999"]),
        (put(999, "ground_truth", 3, "image_id"), ["truth.json, ground_truth[3]", "999", "leave this record out"]),
        (put(0, "images", 1, "id"), ["truth.json, images[1]: expected a unique id, found 0, which", "images[0]"]),
        (put([5, 5], "predictions", 0, "segmentation", "size"), ["segmentation: expected size [109, 79]", "[5, 5]"]),
        (put("QQ\x01", "predictions", 0, "segmentation", "counts"), ["segmentation: expected counts", "pycocotools"]),
        (put("0", "ground_truth", 0, "segmentation", "counts"), ["ground_truth[0], segmentation", "109 x 79 = 8611"]),
        (put([9000], "predictions", 0, "segmentation", "counts"), ["runs of 9000 pixels in all"]),
        (put(None, "images", 0, "object_mask"), ["images[0], object_mask: expected an object, found null"]),
        (put(11, "ground_truth", 0, "part_class"), ["ground_truth[0]: expected part_class in 0..10, found 11"]),
        (put(3, "images", 0, "object_class"), ["images[0]: expected object_class in 0..2, found 3"]),
        (put(-1, "predictions", 0, "cluster"), ["predictions[0]: expected cluster from 0 on, found -1"]),
        (put(float("nan"), "predictions", 0, "score"), ["predictions[0], score: expected a finite number, found NaN"]),
        (put(True, "predictions", 0, "cluster"), ["predictions[0], cluster: expected a whole number, found true"]),
        (put("7", "predictions", 0), ["predictions[0]: expected an object, found \"7\""]),
        (put([0, 77], "vote_images"), ["truth.json: expected ids of listed images in vote_images, found 77"]),
        (remove("vote_images"), ["truth.json: expected vote_images", "--protocol reference"]),
        (remove("object_mask", "images", 4), ["images[4]: the key 'object_mask' is missing", "--protocol honest"]),
        (put(0, "images", 4, "width"), ["images[4]: expected a height and a width of at least 1"]),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_clear_error(
    pd: Pd, split: Callable[..., tuple[Path, Path]], change: Change, words: list[str]
) -> None:
    """The error names the file, the record, what was expected and what was found, and what to do."""
    result = pd("eval-file", *split(change))
    assert result.code == 1 and result.out == ""
    assert result.err.startswith("error: ") and len(result.err.splitlines()) == 1
    for word in [*words, ". "]:
        assert word in result.err


@pytest.mark.parametrize(("text", "word"), [("{", "line 1 column 2"), ("", "line 1 column 1"), ("\xff", "utf-8")])
def test_a_file_that_is_not_json(pd: Pd, tmp_path: Path, text: str, word: str) -> None:
    """The error names the file and the place."""
    path = tmp_path / "broken.json"
    path.write_bytes(text.encode("latin-1"))
    for words in ((path, GOLDEN), (GOLDEN, path)):
        result = pd("eval-file", *words)
        assert result.code == 1 and f"{path}: the file is not valid JSON" in result.err and word in result.err


def test_a_file_that_is_not_there(pd: Pd) -> None:
    """A path that does not exist is a usage error."""
    result = pd("eval-file", "nowhere.json", GOLDEN)
    assert result.code == 2 and "nowhere.json" in result.err
