from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, GroundingDinoForObjectDetection, Sam2Model

from pdstore import masks
from pdstore.errors import InputMissing
from schemas.stages import DeticSettings
from stages.detectors import ANY, grounding
from stages.detectors.grounding import MEAN, STD

BACKEND = "grounding-dino+sam2"


@pytest.fixture
def files(checkpoints) -> dict[str, Path]:
    return {"weights": checkpoints["dino"], "segmenter": checkpoints["sam2"]}


@pytest.fixture
def start(bench, files):
    """``start(**settings)``: both networks, a few layers deep."""

    def run(**settings) -> grounding.GroundedDetector:
        given = {name: str(path) for name, path in files.items()}
        return grounding.start(DeticSettings(backend=BACKEND, **given, **settings), bench.setup(files=files))

    return run


def test_the_objects_of_a_class_come_from_its_name(detect, files) -> None:
    """Each picture gets objects of its own class, in its own pixels, best first and no more than ``max_objects``."""
    unit, rows = detect(files, backend=BACKEND, max_objects=3)
    assert unit.faults == []
    for image_id, name, size in [(0, "cat", (48, 64)), (1, "dog", (70, 40))]:
        own = rows.take(rows["image_id"] == image_id)
        assert 1 <= len(own) <= 3 and set(own["category_name"]) == {name}
        assert own["score"].tolist() == sorted(own["score"].tolist(), reverse=True)
        stack = masks.decode(own.ragged("rle"), *size)
        assert stack.sum((1, 2)).tolist() == own["area"].tolist()


def normalised(pixels: np.ndarray, height: int, width: int) -> torch.Tensor:
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    resized = torch.nn.functional.interpolate(tensor, (height, width), mode="bilinear", antialias=True)
    return (resized / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def test_results_are_those_of_the_networks(start, files, photographs) -> None:
    """The best box for the prompt "cat." has the probability of its best token; SAM 2 draws the mask in that box."""
    found = start(max_objects=1, long_side=96).look(photographs[:1]).find({0: ("Cat",)})[0]
    finder = GroundingDinoForObjectDetection.from_pretrained(files["weights"]).eval()
    drawer = Sam2Model.from_pretrained(files["segmenter"]).eval()
    text = AutoTokenizer.from_pretrained(files["weights"])(["cat."], return_tensors="pt", return_token_type_ids=True)
    with torch.inference_mode():
        output = finder(pixel_values=normalised(photographs[0], 72, 96), **text)
        scores = output.logits.sigmoid().amax(-1)[0]
        x, y, width, height = output.pred_boxes[0, scores.argmax()].tolist()
        box = 64 * torch.tensor([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
        pixels = normalised(photographs[0], 64, 64)
        drawn = drawer(pixel_values=pixels, input_boxes=box[None, None], multimask_output=False).pred_masks[0]
    assert found.scores[0] == pytest.approx(scores.max().item(), abs=1e-4)
    expected = torch.nn.functional.interpolate(drawn, (48, 64), mode="bilinear")[0, 0] > 0
    assert (found.masks[0] == expected.numpy()).mean() > 0.99


def test_any_class_is_requested_as_object(start, photographs) -> None:
    """Without words the prompt is "object."."""
    seen = start().look(photographs[:1])
    found, named = seen.find({0: ANY})[0], seen.find({0: ("object",)})[0]
    assert np.array_equal(found.masks, named.masks) and np.array_equal(found.scores, named.scores)


def test_a_full_stop_in_a_name_does_not_split_it(start, photographs) -> None:
    """The name "St. Bernard" is a single phrase."""
    seen = start().look(photographs[:1])
    assert np.array_equal(seen.find({0: ("st. bernard",)})[0].scores, seen.find({0: ("st bernard",)})[0].scores)


def test_pictures_without_a_box_are_not_drawn(start, photographs) -> None:
    """If no box reaches the score, the candidates are empty and have the size of the picture."""
    found = start(min_score=1.0).look(photographs[1:]).find({0: ("cat",)})[0]
    assert found.masks.shape == (0, 70, 40) and found.scores.shape == (0,)


def test_people_above_the_threshold_are_kept(detect, files) -> None:
    """As on every backend, human-only gives persons, and no error row for an image without persons."""
    _, rows = detect(files, backend=BACKEND, mode="human-only")
    assert len(rows) and set(rows["category_name"]) == {"person"} and set(rows["category_id"].tolist()) == {-1}
    unit, rows = detect(files, backend=BACKEND, mode="human-only", min_score=1.0)
    assert len(rows) == 0 and unit.faults == []


def test_both_networks_are_needed(bench, files, tmp_path) -> None:
    """The error names the folder that is missing."""
    for key in files:
        given = {**files, key: tmp_path / "none"}
        settings = DeticSettings(backend=BACKEND, **{name: str(path) for name, path in given.items()})
        with pytest.raises(InputMissing, match=r"none: expected a folder with a checkpoint"):
            grounding.start(settings, bench.setup(files=given))


def test_the_precision_is_that_of_the_settings(start, photographs) -> None:
    """In bfloat16 the scores are nearly those in float32."""
    exact, rough = (start(max_objects=1, precision=p).look(photographs[:1]) for p in ("float32", "bfloat16"))
    one, other = (seen.find({0: ("cat",)})[0].scores for seen in (exact, rough))
    assert one[0] != other[0] and other[0] == pytest.approx(one[0], abs=0.05)
