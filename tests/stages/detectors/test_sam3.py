from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pdstore import masks
from pdstore.errors import CorruptData, InputMissing, UsageError
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
    """Both pictures get objects of their own class, in their own pixels, best first and no more than asked for."""
    unit, rows = detect({"weights": checkpoints["sam3"]}, backend="sam3", max_objects=3)
    assert unit.faults == []
    for image_id, name, size in [(0, "cat", (48, 64)), (1, "dog", (70, 40))]:
        own = rows.take(rows["image_id"] == image_id)
        assert 1 <= len(own) <= 3 and set(own["category_name"]) == {name}
        assert own["score"].tolist() == sorted(own["score"].tolist(), reverse=True)
        stack = masks.decode(own.ragged("rle"), *size)
        assert stack.sum((1, 2)).tolist() == own["area"].tolist()


def test_an_answer_is_what_the_network_says(start, photographs) -> None:
    """Score = instance × presence probability; the mask is the network's, brought to the picture's size."""
    detector = start(max_objects=1)
    found = detector.look(photographs[:1]).find({0: ("cat",)})[0]
    network, text = detector.network, detector.tokens(["cat"])
    pixels = torch.from_numpy(photographs[0]).permute(2, 0, 1)[None].float()
    square = torch.nn.functional.interpolate(pixels, (112, 112), mode="bilinear", antialias=True)
    with torch.inference_mode():
        said = network(pixel_values=square / 127.5 - 1, **text)
    scores = said.pred_logits.sigmoid() * said.presence_logits.sigmoid()
    assert found.scores[0] == pytest.approx(scores.max().item(), abs=1e-5)
    logits = said.pred_masks[:, scores.argmax()][None]
    expected = torch.nn.functional.interpolate(logits, (48, 64), mode="bilinear")[0, 0] > 0
    assert (found.masks[0] == expected.numpy()).mean() > 0.999


def test_several_words_are_one_question(start, photographs) -> None:
    """People are pooled over the words for them; an instance that two words find is kept once."""
    seen = start(max_objects=50).look(photographs[:1])
    words = ("man", "woman")
    alone = [seen.find({0: (word,)})[0] for word in words]
    pooled = seen.find({0: words})[0]
    assert pooled.scores[0] == pytest.approx(max(one.scores[0] for one in alone), abs=1e-5)
    assert len(pooled.scores) <= sum(len(one.scores) for one in alone)
    twice = seen.find({0: ("man", "man")})[0]
    assert len(twice.scores) == len(alone[0].scores)


def test_any_class_is_asked_for_as_object(start, photographs) -> None:
    """Without words the concept is "object"."""
    seen = start().look(photographs[:1])
    found, named = seen.find({0: ANY})[0], seen.find({0: ("object",)})[0]
    assert np.array_equal(found.masks, named.masks) and np.array_equal(found.scores, named.scores)


def test_pictures_are_asked_apart(start, photographs) -> None:
    """What is asked of one picture of a batch changes nothing in another's answer."""
    detector = start(batch_size=3)
    together = detector.look(photographs).find({0: ("cat",), 1: ("dog", "cat", "bird")})
    alone = detector.look(photographs[1:]).find({0: ("dog", "cat", "bird")})
    assert np.allclose(together[1].scores, alone[0].scores, atol=1e-5)
    assert (together[1].masks == alone[0].masks).mean() > 0.999


def test_nothing_above_the_score_is_no_candidate(start, photographs) -> None:
    """A score that no instance reaches leaves empty candidates of the picture's size."""
    found = start(min_score=1.0).look(photographs[1:]).find({0: ("cat",)})[0]
    assert found.masks.shape == (0, 70, 40) and found.scores.shape == (0,)


def test_people_above_the_threshold_are_kept(detect, checkpoints) -> None:
    """human-only works as on every backend: persons, and no error row where there is none."""
    files = {"weights": checkpoints["sam3"]}
    _, rows = detect(files, backend="sam3", mode="human-only")
    assert len(rows) and set(rows["category_name"]) == {"person"} and set(rows["category_id"].tolist()) == {-1}
    unit, rows = detect(files, backend="sam3", mode="human-only", min_score=1.0)
    assert len(rows) == 0 and unit.faults == []


def test_a_node_runs_on_a_checkpoint(classical, run_all, checkpoints, tmp_path: Path) -> None:
    """The weights' content, not where they lie, is part of the layer's fingerprint."""
    shutil.copytree(checkpoints["sam3"], tmp_path / "moved")
    stores = [classical("detic.backend=sam3", f"detic.weights={f}") for f in (checkpoints["sam3"], tmp_path / "moved")]
    run_all(stores[0], ["ingest", "detic"])
    found = stores[0].layer("detic", stores[0].current()["detic"])
    assert sum(len(found.read(unit)) for unit in found.units()) >= 12
    stored = [Project.open(store)["detic"].fingerprint for store in stores]
    assert stored == [found.fingerprint] * 2


def test_weights_are_needed(bench) -> None:
    """An empty setting and a folder that is not there are told apart, and named."""
    with pytest.raises(UsageError, match=r"detic\.weights: backend sam3 needs weights, but none are.*facebook/sam3"):
        sam3.start(DeticSettings(backend="sam3"), bench.setup())
    with pytest.raises(InputMissing, match="no/such/folder"):
        sam3.start(DeticSettings(backend="sam3"), bench.setup(files={"weights": Path("no/such/folder")}))


def test_weights_of_another_network_are_refused(start, checkpoints, tmp_path: Path) -> None:
    """transformers would fill in random weights; here the missing ones are listed."""
    shutil.copytree(checkpoints["sam3"], tmp_path / "mixed")
    shutil.copy(checkpoints["sam2"] / "model.safetensors", tmp_path / "mixed")
    with pytest.raises(CorruptData, match="not a complete checkpoint of Sam3Model: no weights for"):
        start(tmp_path / "mixed")
    shutil.copytree(checkpoints["sam3"], tmp_path / "wordless", ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(CorruptData, match="the folder has no tokenizer"):
        start(tmp_path / "wordless")
