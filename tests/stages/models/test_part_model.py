"""What the outputs of a network mean."""

from __future__ import annotations

import pytest
import torch

from pdstore.errors import UsageError
from schemas.training import NetworkSettings
from stages.models.network import build
from stages.models.part_model import PartModel, unnamed_classes
from stages.source.listing import ImageClass

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)
BIRDS = [ImageClass(0, "n02012849", "crane"), ImageClass(1, "n03126707", "crane"), ImageClass(2, "n02123045", "Cat")]


def model(num_classes: int, objects: list[ImageClass], **values: list[str] | list[tuple[str, str]]) -> PartModel:
    return PartModel(build(SMALL, num_classes, len(objects)).eval(), "here", objects, **values)


def test_the_kind_follows_from_the_head_and_the_names() -> None:
    """A class-specific head, named parts, a single class, and several classes of a plain head."""
    assert model(2, BIRDS).kind == "parts of a class"
    assert model(2, [], parts=[("cat", "head"), ("", "tail")]).kind == "named parts"
    assert model(1, []).kind == "proposals" and model(2, []).kind == "objects"


def test_labels_have_names() -> None:
    """Classes that share a name have their code behind it; classes that nobody named have numbers."""
    assert model(2, BIRDS).label_names()[1:5] == [
        "crane (n02012849): part 1", "crane (n03126707): part 0", "crane (n03126707): part 1", "Cat: part 0"
    ]  # fmt: skip
    assert model(2, [], parts=[("cat", "head"), ("", "tail")]).label_names() == ["cat: head", "tail"]
    assert model(2, []).label_names() == ["class 0", "class 1"] and model(1, []).label_names() == ["part"]
    assert model(2, unnamed_classes(1)).label_names() == ["class 0: part 0", "class 0: part 1"]


def test_a_class_is_found_by_name_or_code() -> None:
    """In any case; a name of several classes, and one of none, are errors that say which there are."""
    one = model(2, BIRDS)
    assert (one.slot("cat"), one.slot("N03126707"), one.slot("crane (n02012849)")) == (2, 1, 0)
    assert model(2, unnamed_classes(3)).slot("2") == 2
    with pytest.raises(UsageError, match=r"2 object classes .* 'crane'.*Give one of: crane \(n02012849\), crane"):
        one.slot("crane")
    with pytest.raises(UsageError, match="no object class 'cats'.*Did you mean 'Cat'"):
        one.slot("cats")


def test_some_classes_have_the_outputs_that_they_had() -> None:
    """In the order in which they are named; the model itself does not change."""
    one = model(2, BIRDS)
    few = one.of_classes(["cat", "n02012849", "cat"])
    assert few.object_names == ["Cat", "crane"] and len(one.object_names) == one.network.num_objects == 3
    pixels = torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        for mine, theirs in ((0, 2), (1, 0)):
            found, expected = (m.network(pixels, torch.tensor([n])) for m, n in ((few, mine), (one, theirs)))
            assert torch.equal(found.class_logits, expected.class_logits)
    with pytest.raises(UsageError, match="only a model with a class-specific head has object classes"):
        model(1, []).of_classes(["cat"])
