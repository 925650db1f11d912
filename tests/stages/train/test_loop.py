import json
import logging
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pdstore.errors import InputMissing, PdError, Preempted, StaleSettings
from schemas.training import AugmentSettings, NetworkSettings, TrainSettings
from stages.models.network import PartNetwork, build
from stages.train.checkpoint import BEST_NAME
from stages.train.log import read_log
from stages.train.loop import Hooks, train
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

    def read(self, rows: np.ndarray) -> list[Callable[[], Sample]]:
        return [partial(self._sample, int(row)) for row in rows]

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
            # Asked before a step, while that step's number has not been seen.
            Hooks(on_step=lambda step, values: seen.append(step), should_stop=lambda: len(seen) == stop_after - 1),
        )
    torch.manual_seed(99)
    done = train(Squares(), SETTINGS, build(SMALL, 1, seed=8), tmp_path, Hooks(lambda step, values: seen.append(step)))
    assert seen == [1, 2, 3, 4, 5, 6] == steps_of(tmp_path)
    assert same(whole, weights(done))


def test_a_killed_training_goes_on_from_its_last_checkpoint(whole: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """What came after the checkpoint is done again, and the log holds each step once."""

    def die(step: int, values: dict[str, float]) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Squares(), SETTINGS, build(SMALL, 1), tmp_path, Hooks(die))
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
        train(Squares(), SETTINGS, network, tmp_path, Hooks(poison))
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
    train(Squares(), settings, network, tmp_path, Hooks(lambda step, values: losses.append(values["loss"])))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert torch.equal(network.class_predictor.bias[2], unseen)


def test_held_out_images_are_looked_at_and_the_best_checkpoint_stays(tmp_path: Path) -> None:
    """The loss on them is logged, the best step's state is kept beside the newest, and nothing is learnt from them."""
    watched = SETTINGS.model_copy(update={"validate_every": 1, "validate_images": 4, "keep": 1, "lr": 0.05})
    done = train(Squares(), watched, build(SMALL, 1), tmp_path / "watched", held_out=Squares(5))
    plain = train(Squares(), watched.model_copy(update={"validate_every": 0}), build(SMALL, 1), tmp_path / "plain")
    assert same(weights(done), weights(plain))
    lines = list(read_log(tmp_path / "watched"))
    scores = [line["validation_loss"] for line in lines]
    assert len(scores) == 6 and all(np.isfinite(scores))
    assert all(0 <= line["validation_AR@10"] <= line["validation_AR@100"] <= 100 for line in lines)
    assert "validation_mIoU" not in lines[0], "a single class has no names to confuse"
    best = torch.load(tmp_path / "watched" / "checkpoints" / BEST_NAME, weights_only=True)
    assert best["best"] == min(scores) and best["step"] == scores.index(min(scores)) + 1
    assert sorted(p.name for p in (tmp_path / "watched" / "checkpoints").glob("step_*")) == ["step_00000006.pt"]


def test_evaluation_numbers_rise_while_it_learns(tmp_path: Path) -> None:
    """Recall and, with several classes, mIoU on held-out images say so when the squares are found."""
    settings = SETTINGS.model_copy(
        update={"steps": 80, "validate_every": 80, "lr": 3e-3, "ema_decay": 0.0, "checkpoint_every": 200}
    )
    train(Squares(), settings, build(SMALL, 2, num_objects=2), tmp_path, held_out=Squares(7))
    last = list(read_log(tmp_path))[-1]
    assert last["validation_AR@10"] > 70 and last["validation_mIoU"] > 50


def test_pieces_of_a_batch_teach_what_the_whole_does(tmp_path: Path) -> None:
    """Accumulated gradients are those of the batch, up to rounding and what batch norms see."""
    frozen = SETTINGS.model_copy(update={"freeze": ("pixel_level_module",)})
    one, two = [], []
    train(Squares(), frozen, build(SMALL, 1), tmp_path / "1", Hooks(lambda step, values: one.append(values["loss"])))
    pieces = frozen.model_copy(update={"accumulate": 2})
    train(Squares(), pieces, build(SMALL, 1), tmp_path / "2", Hooks(lambda step, values: two.append(values["loss"])))
    assert two == pytest.approx(one, abs=1e-4)


def test_pictures_show_labels_and_queries(tmp_path: Path) -> None:
    """Every two steps a sheet is written."""
    train(Squares(), SETTINGS.model_copy(update={"picture_every": 2}), build(SMALL, 1), tmp_path)
    found = sorted((tmp_path / "pictures").iterdir())
    assert [path.name for path in found] == [f"step_{n:08d}.png" for n in (2, 4, 6)]
    with Image.open(found[-1]) as picture:
        assert picture.width > 3 * 150 and len(picture.convert("RGB").getcolors(1 << 20) or ()) > 50


def test_threads_change_no_batch(tmp_path: Path, whole: dict[str, torch.Tensor]) -> None:
    """However many threads decode, the weights are the same to the bit."""
    done = train(Squares(), SETTINGS.model_copy(update={"loader_threads": 1}), build(SMALL, 1), tmp_path)
    assert same(whole, weights(done))


def test_rate_and_waiting_are_told(tmp_path: Path) -> None:
    """At each checkpoint a line with the loss, samples a second and the share of time that data took."""
    said: list[str] = []
    train(Squares(), SETTINGS, build(SMALL, 1), tmp_path, Hooks(note=said.append))
    assert len(said) == 3 and re.fullmatch(r"step 2: loss \S+, \S+ samples/s, \S+% waiting for data", said[0])
