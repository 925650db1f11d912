from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stages.models.network import Queries, build
from stages.train.log import read_log
from stages.train.loop import train
from stages.train.loss import PartLoss
from stages.train.process_group import ALONE
from stages.train.samples import collate
from stages.train.validation import draw_batch, validate
from tests.stages.train.squares import PLAIN, SETTINGS, SMALL, Squares

WATCHED = SETTINGS.model_copy(update={"validate_images": 5})


class Bright(nn.Module):
    """A network that says of each image: query 0 is the bright pixels, of class ``label``, and query 1 is nothing."""

    def __init__(self, label: int, num_classes: int = 2) -> None:
        super().__init__()
        self.label, self.num_classes, self.num_objects = label, num_classes, 2
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, images: torch.Tensor, object_class: torch.Tensor) -> Queries:
        masks = torch.where(images.float().mean(1) > 100, 20.0, -20.0)
        class_logits = torch.full((len(images), 2, self.num_classes + 1), -20.0)
        class_logits[:, 0, self.label] = class_logits[:, 1, -1] = 20.0
        return Queries(class_logits, torch.stack([masks, torch.full_like(masks, -20.0)], 1), masks[..., :1])


def scores(network: nn.Module, count: int = 5) -> dict[str, float]:
    loss = PartLoss(network.num_classes, WATCHED)
    return validate(network, loss, Squares(count), WATCHED, ALONE)  # type: ignore[arg-type]  # Bright is not trained


def test_a_network_that_finds_every_mask_has_full_recall() -> None:
    """AR@n is 100 percent; so is the mIoU if classes are right, and it is 0 if they are wrong."""
    right, wrong = scores(Bright(0)), scores(Bright(1))
    for values in (right, wrong):
        assert values["validation_AR@10"] == values["validation_AR@100"] == pytest.approx(100)
    # Of the three images of object class 0, one has no mask: its square is a wrong prediction, so the IoU is 2/3.
    assert right["validation_mIoU"] == pytest.approx(100 * (2 / 3 + 1) / 2) and wrong["validation_mIoU"] == 0
    assert right["validation_loss"] < wrong["validation_loss"]


def test_a_single_class_has_no_miou() -> None:
    """With one class there is nothing to confuse."""
    assert set(scores(Bright(0, num_classes=1))) == {"validation_loss", "validation_AR@10", "validation_AR@100"}


def test_only_the_first_images_are_scored() -> None:
    """Images after ``validate_images`` change nothing, and the values are the same every time."""
    assert scores(Bright(0), 5) == scores(Bright(0), 5) == scores(Bright(0), 7)


class Watched(Bright):
    """The same, noting how many images are in the network at once, and in which precision it computes."""

    def __init__(self) -> None:
        super().__init__(0)
        self.sizes: list[int] = []
        self.types: set[torch.dtype] = set()

    def forward(self, images: torch.Tensor, object_class: torch.Tensor) -> Queries:
        self.sizes.append(len(images))
        self.types.add((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)
        return super().forward(images, object_class)


def test_validation_is_in_the_pieces_and_the_precision_of_training() -> None:
    """What fits into memory in a step fits in a validation; smaller pieces and lower precision find the same here."""
    settings = WATCHED.model_copy(update={"batch_size": 4, "accumulate": 2})
    network, loss = Watched(), PartLoss(2, settings)
    values = validate(network, loss, Squares(5), settings, ALONE, "bfloat16")  # type: ignore[arg-type]
    assert network.sizes == [2, 2, 1] and network.types == {torch.bfloat16}
    assert values["validation_AR@10"] == pytest.approx(100)


def test_the_network_is_left_in_its_mode() -> None:
    """Modules that train go on training, frozen ones stay in evaluation mode, and weights and statistics stay."""
    network = build(SMALL, 1).train()
    network.model.pixel_level_module.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    scores(network)
    assert network.training and not network.model.pixel_level_module.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_evaluation_numbers_rise_while_it_learns(tmp_path: Path) -> None:
    """Recall and mIoU on held-out images are high once the network finds the squares."""
    settings = SETTINGS.model_copy(
        update={"steps": 80, "validate_every": 80, "lr": 3e-3, "ema_decay": 0.0, "checkpoint_every": 200}
    )
    train(Squares(), settings, build(SMALL, 2, num_objects=2), tmp_path, held_out=Squares(7))
    last = list(read_log(tmp_path))[-1]
    assert last["validation_AR@10"] > 70 and last["validation_mIoU"] > 50


def test_a_sheet_shows_at_most_six_images() -> None:
    """Each image is a row; a network that predicts something draws another picture than one that does not."""
    batches = {count: collate(Squares().read(np.arange(count)), PLAIN, 0, 0) for count in (2, 6, 7)}
    network = Bright(0)
    sheets = {n: draw_batch(batch, network(batch.images, batch.object_class)) for n, batch in batches.items()}
    assert sheets[2].height < sheets[6].height == sheets[7].height and sheets[2].width == sheets[6].width
    queries = network(batches[2].images, batches[2].object_class)
    silent = Queries(torch.full_like(queries.class_logits, 0.0), queries.mask_logits, queries.features)
    assert draw_batch(batches[2], silent).tobytes() != sheets[2].tobytes()
