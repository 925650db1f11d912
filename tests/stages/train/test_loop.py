import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from pdstore.errors import InputMissing, PdError, Preempted, StaleSettings
from schemas.training import AugmentSettings, NetworkSettings, TrainSettings
from stages.models.tiny import PartNetwork, build
from stages.train.loop import train
from stages.train.samples import Sample

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)
SETTINGS = TrainSettings(
    steps=6,
    batch_size=3,
    lr=1e-3,
    clip=1.0,
    schedule="cosine",
    ema_decay=0.5,
    num_points=64,
    backbone_lr_ratio=1.0,
    threads=1,
    checkpoint_every=2,
    keep=2,
    augment=AugmentSettings(size_px=64, scale_min=0.8, scale_max=1.2, colour=0.2),
)


class Squares:
    """Images of a bright square on a dark ground; the third has no mask."""

    def __init__(self, count: int = 7, bad: int | None = None) -> None:
        self.count, self.bad = count, bad
        self.block_of_row = np.arange(count) // 3

    def __len__(self) -> int:
        return self.count

    def read(self, rows: np.ndarray) -> list[Sample]:
        return [self._sample(int(row)) for row in rows]

    def _sample(self, row: int) -> Sample:
        rng = np.random.default_rng(row)
        y, x = rng.integers(8, 32, 2)
        mask = np.zeros((1, 64, 64), bool)
        mask[0, y : y + 24, x : x + 24] = True
        image = np.where(mask[0][..., None], np.uint8(220), np.uint8(30)) * np.ones(3, np.uint8)
        number = 0 if row == 2 else 1
        return Sample(100 + row, image, mask[:number], np.zeros(number, np.int64), row % 2)


def weights(network: PartNetwork) -> dict[str, torch.Tensor]:
    return dict(network.state_dict())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def steps_of(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of an uninterrupted training."""
    return weights(train(Squares(), SETTINGS, build(SMALL, 1), tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_a_stopped_training_ends_with_the_weights_of_an_uninterrupted_one(
    whole: dict[str, torch.Tensor], tmp_path: Path, stop_after: int
) -> None:
    """Bit for bit: stopped between checkpoints, it writes one, and the same call goes on from there."""
    seen: list[int] = []
    with pytest.raises(Preempted):
        train(
            Squares(),
            SETTINGS,
            build(SMALL, 1),
            tmp_path,
            on_step=lambda step, values: seen.append(step),
            should_stop=lambda: len(seen) == stop_after,
        )
    torch.manual_seed(99)
    done = train(Squares(), SETTINGS, build(SMALL, 1, seed=8), tmp_path, on_step=lambda step, values: seen.append(step))
    assert seen == [1, 2, 3, 4, 5, 6] == steps_of(tmp_path)
    assert same(whole, weights(done))


def test_a_killed_training_goes_on_from_its_last_checkpoint(whole: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """What came after the checkpoint is done again, and the log holds each step once."""

    def die(step: int, values: dict[str, float]) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Squares(), SETTINGS, build(SMALL, 1), tmp_path, on_step=die)
    done = train(Squares(), SETTINGS, build(SMALL, 1), tmp_path)
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert same(whole, weights(done))


def test_a_damaged_checkpoint_is_passed_over(
    whole: dict[str, torch.Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The one before it is used, with a warning, and the end is the same; only ``keep`` files stay."""
    train(Squares(), SETTINGS, build(SMALL, 1), tmp_path)
    files = sorted((tmp_path / "checkpoints").iterdir())
    assert [file.name for file in files] == ["step_00000004.pt", "step_00000006.pt"]
    files[-1].write_bytes(files[-1].read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        done = train(Squares(), SETTINGS, build(SMALL, 1), tmp_path)
    assert "step_00000006.pt cannot be read" in caplog.text
    assert same(whole, weights(done))


def test_other_settings_do_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    """The difference is named; settings that change no result may differ."""
    train(Squares(), SETTINGS, build(SMALL, 1), tmp_path)
    with pytest.raises(StaleSettings, match=r"lr: 0.001 -> 0.01"):
        train(Squares(), SETTINGS.model_copy(update={"lr": 0.01}), build(SMALL, 1), tmp_path)
    train(Squares(), SETTINGS.model_copy(update={"checkpoint_every": 5}), build(SMALL, 1), tmp_path)


def test_a_loss_that_is_not_finite_stops_with_step_images_and_checkpoint(tmp_path: Path) -> None:
    """Nothing is saved after it."""
    network = build(SMALL, 1)

    def poison(step: int, values: dict[str, float]) -> None:
        if step == 3:
            torch.nn.init.constant_(network.class_predictor.weight, float("nan"))

    with pytest.raises(PdError) as error:
        train(Squares(), SETTINGS, network, tmp_path, on_step=poison)
    text = str(error.value)
    assert "step 4" in text and "images [10" in text and "step_00000002.pt" in text
    assert not (tmp_path / "checkpoints" / "step_00000004.pt").exists()


def test_no_samples_is_an_error_that_says_so(tmp_path: Path) -> None:
    """An empty selection is refused before anything is built."""
    with pytest.raises(InputMissing, match="samples to train on"):
        train(Squares(0), SETTINGS, build(SMALL, 1), tmp_path)


def test_training_lowers_the_loss_with_a_class_specific_head_too(tmp_path: Path) -> None:
    """Forty steps on squares; rows of object classes that never come do not move."""
    settings = SETTINGS.model_copy(update={"steps": 40, "checkpoint_every": 100, "ema_decay": 0.0, "lr": 3e-3})
    network = build(SMALL, 2, num_objects=3)
    unseen = network.class_predictor.bias[2].clone()
    losses: list[float] = []
    train(Squares(), settings, network, tmp_path, on_step=lambda step, values: losses.append(values["loss"]))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert torch.equal(network.class_predictor.bias[2], unseen)
