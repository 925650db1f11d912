"""One of the processes that stream together: continues from a state, takes some batches, and says what came.

Arguments: the store, the rank, the number of ranks, a file for their meeting, the state as JSON, the number of batches.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch.distributed as dist

from stages.loading.stream import Loader, Stream
from tests.stages.loading.made import ABOVE


def main(url: str, rank: str, ranks: str, meeting: str, state: str, count: str) -> None:
    """Prints, in the first process, the state and the image ids of each global batch, as JSON."""
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=int(rank), world_size=int(ranks))
    stream = Stream(url, ABOVE, batch_size=6, seed=3, window=2, collate=image_ids)
    loader = Loader(stream, num_workers=1, multiprocessing_context="fork")
    loader.load_state_dict(json.loads(state))
    own: list[list[int]] = []
    while len(own) < int(count):
        for ids in loader:
            own.append(ids)
            if len(own) == int(count):
                break
    shares: list[Any] = [None] * int(ranks)
    dist.all_gather_object(shares, own)
    if rank == "0":
        batches = [[image_id for share in batch for image_id in share] for batch in zip(*shares, strict=True)]
        print(json.dumps({"state": loader.state_dict(), "batches": batches}))
    dist.destroy_process_group()


def image_ids(samples: list[dict[str, Any]]) -> list[int]:
    return [sample["image_id"] for sample in samples]


if __name__ == "__main__":
    main(*sys.argv[1:])
