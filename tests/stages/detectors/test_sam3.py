from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pdstore import masks
from pdstore.errors import CorruptData, InputMissing
from schemas.stages import DeticSettings
from stages.detectors import ANY, sam3
from stages.plan.project import Project


@pytest.fixture
def start(bench, checkpoints):
    """``start(**settings)``: a SAM 3 a few layers deep."""

    def run(folder: Path = checkpoints["sam3"], **settings) -> sam3.Sam3Detector:
        given = DeticSettings(backend="sam3", weights=str(folder), **settings)
        return sam3.start(given, bench.setup(files={"weights": folder}))

    return run


def test_the_objects_of_a_class_come_from_its_name(detect, checkpoints) -> None:
    """Each picture gets objects of its own class, in its own pixels, best first and no more than ``max_objects``."""
    unit, rows = detect({"weights": checkpoints["sam3"]}, backend="sam3", max_objects=3)
    assert unit.faults == []
    for image_id, name, size in [(0, "cat", (48, 64)), (1, "dog", (70, 40))]:
        own = rows.take(rows["image_id"] == image_id)
        assert 1 <= len(own) <= 3 and set(own["category_name"]) == {name}
        assert own["score"].tolist() == sorted(own["score"].tolist(), reverse=True)
        stack = masks.decode(own.ragged("rle"), *size)
        assert stack.sum((1, 2)).tolist() == own["area"].tolist()


def test_results_are_those_of_the_network(start, photographs) -> None:
    """Score = instance × presence probability; the mask is that of the network at the size of the picture."""
    detector = start(max_objects=1)
    found = detector.look(photographs[:1]).find({0: ("cat",)})[0]
    network, text = detector.network, detector.tokens(["cat"])
    pixels = torch.from_numpy(photographs[0]).permute(2, 0, 1)[None].float()
    square = torch.nn.functional.interpolate(pixels, (112, 112), mode="bilinear", antialias=True)
    with torch.inference_mode():
        output = network(pixel_values=square / 127.5 - 1, **text)
    scores = output.pred_logits.sigmoid() * output.presence_logits.sigmoid()
    assert found.scores[0] == pytest.approx(scores.max().item(), abs=1e-5)
    logits = output.pred_masks[:, scores.argmax()][None]
    expected = torch.nn.functional.interpolate(logits, (48, 64), mode="bilinear")[0, 0] > 0
    assert (found.masks[0] == expected.numpy()).mean() > 0.999


def test_the_precision_is_that_of_the_settings(start, photographs) -> None:
    """In bfloat16 the scores are nearly those in float32."""
    exact, rough = (start(max_objects=1, precision=p).look(photographs[:1]) for p in ("float32", "bfloat16"))
    one, other = (seen.find({0: ("cat",)})[0].scores for seen in (exact, rough))
    assert one[0] != other[0] and other[0] == pytest.approx(one[0], abs=0.05)


def test_several_words_are_one_request(start, photographs) -> None:
    """The instances of all words for people are pooled; an instance that two words find is kept once."""
    seen = start(max_objects=50).look(photographs[:1])
    words = ("man", "woman")
    alone = [seen.find({0: (word,)})[0] for word in words]
    pooled = seen.find({0: words})[0]
    assert pooled.scores[0] == pytest.approx(max(one.scores[0] for one in alone), abs=1e-5)
    assert len(pooled.scores) <= sum(len(one.scores) for one in alone)
    twice = seen.find({0: ("man", "man")})[0]
    assert len(twice.scores) == len(alone[0].scores)


def test_any_class_is_requested_as_object(start, photographs) -> None:
    """Without words the concept is "object"."""
    seen = start().look(photographs[:1])
    found, named = seen.find({0: ANY})[0], seen.find({0: ("object",)})[0]
    assert np.array_equal(found.masks, named.masks) and np.array_equal(found.scores, named.scores)


def test_pictures_have_separate_requests(start, photographs) -> None:
    """The request for one picture of a batch does not change the result of another."""
    detector = start(batch_size=3)
    together = detector.look(photographs).find({0: ("cat",), 1: ("dog", "cat", "bird")})
    alone = detector.look(photographs[1:]).find({0: ("dog", "cat", "bird")})
    assert np.allclose(together[1].scores, alone[0].scores, atol=1e-5)
    assert (together[1].masks == alone[0].masks).mean() > 0.999


def test_without_a_score_above_the_floor_there_is_no_candidate(start, photographs) -> None:
    """If no instance reaches the score, the candidates are empty and have the size of the picture."""
    found = start(min_score=1.0).look(photographs[1:]).find({0: ("cat",)})[0]
    assert found.masks.shape == (0, 70, 40) and found.scores.shape == (0,)


def test_people_above_the_threshold_are_kept(detect, checkpoints) -> None:
    """As on every backend, human-only gives persons, and no error row for an image without persons."""
    files = {"weights": checkpoints["sam3"]}
    _, rows = detect(files, backend="sam3", mode="human-only")
    assert len(rows) and set(rows["category_name"]) == {"person"} and set(rows["category_id"].tolist()) == {-1}
    unit, rows = detect(files, backend="sam3", mode="human-only", min_score=1.0)
    assert len(rows) == 0 and unit.faults == []


def test_a_node_runs_on_a_checkpoint(classical, run_all, checkpoints, tmp_path: Path) -> None:
    """The content of the weights, not their location, is part of the layer's fingerprint."""
    shutil.copytree(checkpoints["sam3"], tmp_path / "moved")
    stores = [classical("detic.backend=sam3", f"detic.weights={f}") for f in (checkpoints["sam3"], tmp_path / "moved")]
    run_all(stores[0], ["ingest", "detic"])
    found = stores[0].layer("detic", stores[0].current()["detic"])
    assert sum(len(found.read(unit)) for unit in found.units()) >= 12
    stored = [Project.open(store)["detic"].fingerprint for store in stores]
    assert stored == [found.fingerprint] * 2


def test_weights_are_needed(bench) -> None:
    """A missing folder is named."""
    with pytest.raises(InputMissing, match="no/such/folder"):
        sam3.start(DeticSettings(backend="sam3"), bench.setup(files={"weights": Path("no/such/folder")}))


def test_weights_of_another_network_are_refused(start, checkpoints, tmp_path: Path) -> None:
    """transformers would fill in random weights; here the missing ones are listed in an error."""
    shutil.copytree(checkpoints["sam3"], tmp_path / "mixed")
    shutil.copy(checkpoints["sam2"] / "model.safetensors", tmp_path / "mixed")
    with pytest.raises(CorruptData, match="not a complete checkpoint of Sam3Model: no weights for"):
        start(tmp_path / "mixed")
    shutil.copytree(checkpoints["sam3"], tmp_path / "wordless", ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(CorruptData, match="the folder has no tokenizer"):
        start(tmp_path / "wordless")
