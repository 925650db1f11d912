"""A training on two machines of a real Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Pd
from tests.cli.launchers.slurm.conftest import done, logs, wait_for

PIPELINE = """
block_size: 2
nodes:
  ingest: {}
  truth-objects: {stage: annotated-objects, inputs: {images: ingest}, settings: {file: "{images}/truth.json"}}
  segmenter-train:
    inputs: {images: ingest, objects: truth-objects}
    settings:
      network: {embedding_size: 8, hidden_sizes: [8, 8, 16, 16], pixel_dim: 32, hidden_dim: 32, num_queries: 8}
      augment: {size_px: 96}
      steps: 4
      batch_size: 2
      num_points: 64
      warmup_steps: 1
      threads: 1
      loader_threads: 1
      checkpoint_every: 2
"""


@pytest.mark.slow
def test_two_machines_train_one_network(pd: Pd, small: Path, cluster: Path, tmp_path: Path) -> None:
    """`pd run --nodes 2` starts one rank on each machine, which meet at the first; other nodes are arrays as ever."""
    (tmp_path / "train.yaml").write_text(PIPELINE)
    assert pd("config", "apply", tmp_path / "train.yaml").code == 0
    assert pd("run", "ingest", "truth-objects").code == 0
    result = pd("run", "--launcher", "slurm", "--jobs", "2", "--workers", "1", "--nodes", "2")
    assert result.code == 0, result.err + logs()
    wait_for(lambda: done(pd, "segmenter-train") == [0], "the network is committed")
    assert "pd: ended with exit code 0" in logs() and "4/4 steps" in logs()
    assert "--workers 1 --nodes 2" in Path("pd-segmenter-train.sbatch").read_text()
