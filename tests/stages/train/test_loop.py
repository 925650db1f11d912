from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pdstore.errors import InputMissing, PdError, Preempted
from stages.models.network import PartNetwork, build
from stages.train.checkpoint import BEST_NAME
from stages.train.log import read_log
from stages.train.loop import Hooks, train
from tests.stages.train.squares import PLAIN, POISON_IDS, SETTINGS, SMALL, Poisoned, Squares, poisonable


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
    """Bit for bit: a training that is stopped between checkpoints writes one, and the same call continues there."""
    steps: list[int] = []
    with pytest.raises(Preempted, match=rf"{tmp_path}: stopped at step {stop_after} of 6.*to continue"):
        train(
            Squares(),
            SETTINGS,
            build(SMALL, 1),
            tmp_path,
            # Called before a step, while the number of that step has not been reported yet.
            Hooks(on_step=lambda step, values: steps.append(step), should_stop=lambda: len(steps) == stop_after - 1),
        )
    torch.manual_seed(99)
    done = train(Squares(), SETTINGS, build(SMALL, 1, seed=8), tmp_path, Hooks(lambda step, values: steps.append(step)))
    assert steps == [1, 2, 3, 4, 5, 6] == steps_of(tmp_path)
    assert same(whole, weights(done))


def test_a_killed_training_continues_from_its_last_checkpoint(whole: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """The steps after the checkpoint are done again, and the log has each step once."""

    def die(step: int, values: dict[str, float]) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Squares(), SETTINGS, build(SMALL, 1), tmp_path, Hooks(die))
    done = train(Squares(), SETTINGS, build(SMALL, 1), tmp_path)
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert same(whole, weights(done))


def test_a_damaged_checkpoint_is_skipped(
    whole: dict[str, torch.Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The checkpoint before it is used, with a warning, and the end is the same; only ``keep`` files are kept."""
    train(Squares(), SETTINGS, build(SMALL, 1), tmp_path)
    files = sorted((tmp_path / "checkpoints").glob("*.pt"))
    assert [file.name for file in files] == ["step_00000004.pt", "step_00000006.pt"]
    files[-1].write_bytes(files[-1].read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        done = train(Squares(), SETTINGS, build(SMALL, 1), tmp_path)
    assert "step_00000006.pt cannot be read" in caplog.text
    assert same(whole, weights(done))


def test_a_training_without_samples_is_refused(tmp_path: Path) -> None:
    """An empty source is refused before anything is written."""
    with pytest.raises(InputMissing, match="there are no samples to train on. Lower min_score"):
        train(Squares(0), SETTINGS, build(SMALL, 1), tmp_path)


def test_training_lowers_the_loss_with_a_class_specific_head_too(tmp_path: Path) -> None:
    """Forty steps on squares lower the loss; the rows of object classes that never appear do not change."""
    settings = SETTINGS.model_copy(update={"steps": 40, "checkpoint_every": 100, "ema_decay": 0.0, "lr": 3e-3})
    network = build(SMALL, 2, num_objects=3)
    unseen = network.class_predictor.bias[2].clone()
    losses: list[float] = []
    train(Squares(), settings, network, tmp_path, Hooks(lambda step, values: losses.append(values["loss"])))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert torch.equal(network.class_predictor.bias[2], unseen)


def test_held_out_images_are_scored_and_the_best_checkpoint_is_kept(tmp_path: Path) -> None:
    """The loss on them is logged, the best state is kept as well as the newest, and they do not change the weights."""
    watched = SETTINGS.model_copy(update={"validate_every": 1, "validate_images": 4, "keep": 1, "lr": 0.05})
    done = train(Squares(), watched, build(SMALL, 1), tmp_path / "watched", held_out=Squares(5))
    plain = train(Squares(), watched.model_copy(update={"validate_every": 0}), build(SMALL, 1), tmp_path / "plain")
    assert same(weights(done), weights(plain))
    lines = list(read_log(tmp_path / "watched"))
    scores = [line["validation_loss"] for line in lines]
    assert len(scores) == 6 and all(np.isfinite(scores))
    assert all(0 <= line["validation_AR@10"] <= line["validation_AR@100"] <= 100 for line in lines)
    assert "validation_mIoU" not in lines[0], "a single class cannot be confused with another"
    best = torch.load(tmp_path / "watched" / "checkpoints" / BEST_NAME, weights_only=True)
    assert best["best"] == min(scores) and best["step"] == scores.index(min(scores)) + 1
    assert sorted(p.name for p in (tmp_path / "watched" / "checkpoints").glob("step_*.pt")) == ["step_00000006.pt"]


def test_pictures_are_written_while_it_trains(whole: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """Every two steps, a sheet with labels and queries is written; the weights are those of a training without."""
    done = train(Squares(), SETTINGS.model_copy(update={"picture_every": 2}), build(SMALL, 1), tmp_path)
    assert same(whole, weights(done))
    paths = sorted((tmp_path / "pictures").iterdir())
    assert [path.name for path in paths] == [f"step_{n:08d}.png" for n in (2, 4, 6)]
    with Image.open(paths[-1]) as picture:
        assert picture.width > 3 * 150 and len(picture.convert("RGB").getcolors(1 << 20) or ()) > 50


def test_threads_do_not_change_the_weights(tmp_path: Path, whole: dict[str, torch.Tensor]) -> None:
    """However many threads decode, the weights are the same, bit for bit."""
    done = train(Squares(), SETTINGS.model_copy(update={"loader_threads": 1}), build(SMALL, 1), tmp_path)
    assert same(whole, weights(done))


def test_the_device_may_warp_the_samples(tmp_path: Path) -> None:
    """Colours differ by rounding, so losses are close to those with the host's samples; pictures can be written."""
    losses: dict[str, list[float]] = {"cpu": [], "device": []}
    for place, found in losses.items():
        settings = SETTINGS.model_copy(update={"augment_on": place, "steps": 3, "picture_every": 3, "accumulate": 2})
        hooks = Hooks(lambda step, values, found=found: found.append(values["loss"]))
        train(Squares(), settings, build(SMALL, 1), tmp_path / place, hooks)
        assert (tmp_path / place / "pictures").is_dir()
    assert losses["device"] == pytest.approx(losses["cpu"], rel=0.03) and losses["device"] != losses["cpu"]


def test_rate_and_waiting_are_reported(tmp_path: Path) -> None:
    """At each checkpoint, one line has the loss, the samples per second and the share of time spent on waiting."""
    lines: list[str] = []
    train(Squares(), SETTINGS, build(SMALL, 1), tmp_path, Hooks(note=lines.append))
    assert len(lines) == 3 and re.fullmatch(r"step 2: loss \S+, \S+ samples/s, \S+% waiting for data", lines[0])


POISONED = SETTINGS.model_copy(update={"augment": PLAIN, "steps": 8})


def test_a_gradient_that_is_not_finite_does_not_end_a_training(tmp_path: Path) -> None:
    """The step is skipped, counted and logged with its images; stopped and resumed, it ends with the same weights."""
    notes: list[str] = []
    done = train(Poisoned(), POISONED, poisonable(), tmp_path / "whole", Hooks(note=notes.append))
    assert all(value.isfinite().all() for value in weights(done).values())
    lines = list(read_log(tmp_path / "whole"))
    bad = [line["step"] for line in lines if "skipped_images" in line]
    assert bad and all(set(POISON_IDS) <= set(lines[step - 1]["skipped_images"]) for step in bad)
    assert [line["skipped"] for line in lines] == [sum(s <= step for s in bad) for step in range(1, 9)]
    said = [note for note in notes if "skipped" in note]
    why = "because its loss or gradient is not finite: images 10"
    assert [note.split(why)[0] for note in said] == [f"step {n} was skipped, " for n in bad]
    steps: list[int] = []
    with pytest.raises(Preempted):
        train(
            Poisoned(),
            POISONED,
            poisonable(),
            tmp_path / "parts",
            Hooks(on_step=lambda step, values: steps.append(step), should_stop=lambda: len(steps) == bad[0] - 1),
        )
    assert steps[-1] == bad[0], "it stops right after the skipped step"
    resumed = train(Poisoned(), POISONED, poisonable(seed=5), tmp_path / "parts")
    assert same(weights(done), weights(resumed))
    assert [line["skipped"] for line in read_log(tmp_path / "parts")] == [line["skipped"] for line in lines]


def test_the_count_in_a_row_survives_a_stop(tmp_path: Path) -> None:
    """Three skipped steps, a stop after the second: with max_skipped=2 the third still ends it, and 3 goes on."""
    settings = POISONED.model_copy(update={"steps": 3, "batch_size": 7, "max_skipped": 2})
    steps: list[int] = []
    with pytest.raises(Preempted):
        train(
            Poisoned(),
            settings,
            poisonable(),
            tmp_path,
            Hooks(on_step=lambda step, values: steps.append(step), should_stop=lambda: len(steps) == 1),
        )
    with pytest.raises(PdError, match=r"step 3 of .*on images \[[^]]*104[^]]*\], and more than 2 .*step_00000002\.pt"):
        train(Poisoned(), settings, poisonable(), tmp_path)
    before = weights(poisonable())
    done = train(Poisoned(), settings.model_copy(update={"max_skipped": 3}), poisonable(), tmp_path)
    assert same(before, weights(done)), "no step was taken"
