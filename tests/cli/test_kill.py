"""A demo that is killed with SIGKILL at random moments and continued ends like an undisturbed one."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pdstore import Store
from tests.compare_stores import contents

KILLS = 10
WHOLE: list[str] = []
SMALL = ["--images", "72"]
SMALL += ["segmenter.steps=12", "proposal-train.steps=60", "distill-train.steps=12", "segmenter.checkpoint_every=3"]
# Networks of so few steps are confident of nothing: accept everything they predict. After fewer than about 60 steps the
# proposals are too few to rank, and the demo ends at its labels.
SMALL += ["proposals.min_score=0", "candidates.min_score=0", "candidates.min_inside=0", "candidates.min_object_ratio=0"]
SMALL += ["labels.min_segment_score=0", "labels.min_inside=0", "labels.crf=null", "distill-train.min_score=0"]
SMALL += ["proposal-train.checkpoint_every=5", "distill-train.checkpoint_every=3"]


def pd(*words: str) -> subprocess.Popen[bytes]:
    # As many as the demo's trainings set: nodes that run after one in the same process keep its threads, a process that
    # continues has its own, and results are equal to the byte only with equal threads.
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-m", "cli", *words], stdout=quiet, stderr=quiet, env=environment)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("words", "shares"),
    # A run of the small demo is mostly start-up, which every kill repeats.
    [pytest.param(SMALL, (0.05, 0.15), id="small"), pytest.param(WHOLE, (0.03, 0.13), id="whole")],
)
def test_a_demo_that_is_killed_ten_times_ends_like_one_that_is_not(
    tmp_path: Path, words: list[str], shares: tuple[float, float]
) -> None:
    """All tables and all final weights are equal, to the byte."""
    started = time.monotonic()
    assert pd("demo", "--store", str(tmp_path / "calm"), *words).wait() == 0
    seconds = time.monotonic() - started
    chance = random.Random(0)
    command, kills = ["demo", "--store", str(tmp_path / "killed"), *words], 0
    while kills < KILLS:
        process = pd(*command)
        try:
            process.wait(chance.uniform(*shares) * seconds)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        if (tmp_path / "killed" / "store.json").exists():
            command = ["--store", str(tmp_path / "killed"), "run"]
    assert pd("--store", str(tmp_path / "killed"), "run").wait() == 0
    assert kills == KILLS
    killed, calm = (contents(Store(str(tmp_path / name))) for name in ("killed", "calm"))
    assert killed == calm and all(calm.values())
