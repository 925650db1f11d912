"""A training on several ranks on this machine: torchrun's agent starts them and stops all of them when one dies."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Sequence

from pdstore.errors import PdError, Preempted

__all__ = ["run_ranks"]

STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
GRACE_S = 120
"""Seconds that a rank has to finish its step and write a checkpoint after it was told to stop."""
OUT_OF_MEMORY = "If memory ran out, use fewer ranks or a smaller batch. Run the same command again to continue"


def run_ranks(command: Sequence[str], count: int, *, on_gpus: bool) -> int:
    """Run the command in ``count`` processes, each with its rank in the environment, and wait for all of them.

    Args:
        on_gpus: whether each rank gets a GPU; otherwise no rank sees any.

    Returns:
        The exit code of the rank that failed first; 0 if no rank failed.

    Raises:
        Preempted: a signal stopped the training; the ranks have written a checkpoint.
        PdError: a rank was killed.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    if not on_gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // count))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        local_addr="localhost",
        signals_to_handle=",".join(number.name for number in STOPPING),
        shutdown_timeout=GRACE_S,
    )
    python, *words = command
    previous = {number: signal.getsignal(number) for number in STOPPING}
    try:
        elastic_launch(config, python)(*words)
    except SignalException as error:
        raise Preempted(f"stopped by {signal.Signals(error.sigval).name}", "ranks") from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            raise PdError(f"rank {rank} killed by {failure.signal_name()}", "ranks", OUT_OF_MEMORY) from None
        return int(failure.exitcode)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 0
