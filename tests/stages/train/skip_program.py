"""What torchrun starts in the tests: a training whose gradient overflows on one image, which a single rank sees.

Each rank prints its number, the steps that it skipped, and a digest of its weights and optimiser.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import torch

from stages.train.loop import Hooks, train
from stages.train.process_group import join
from tests.stages.train.squares import PLAIN, SETTINGS, Poisoned, poisonable

torch.set_num_threads(1)
group = join()
folder = Path(sys.argv[1])
counts: list[float] = []
network = train(
    Poisoned(),
    SETTINGS.model_copy(update={"augment": PLAIN, "batch_size": 2, "steps": 8}),
    poisonable(),
    folder,
    Hooks(on_step=lambda step, values: counts.append(values["skipped"])),
    group=group,
)
digest = hashlib.sha256(b"".join(value.numpy().tobytes() for value in network.state_dict().values())).hexdigest()
result = [counts, digest]
for rank, every in enumerate(group.gathered(result)):
    if group.is_first:
        print("RESULT", rank, json.dumps(every), flush=True)
group.leave()
