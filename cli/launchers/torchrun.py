"""A training on several ranks of one or more machines: torchrun's agent starts those of its machine.

When a rank dies, its agent stops the others of its machine. Ranks meet at an address that all machines are given.
"""

from __future__ import annotations

import os
import signal
import socket
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pdstore.errors import PdError, Preempted, UsageError

__all__ = ["ONE_MACHINE", "Machines", "run_ranks"]

STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
MEETING_S = 600
"""Seconds that a machine waits for the others."""
GRACE_S = 120
"""Seconds that a rank has to finish its step and write a checkpoint after it was told to stop."""
OUT_OF_MEMORY = "If memory ran out, use fewer ranks or a smaller batch. Run the same command again to continue"


@dataclass(frozen=True)
class Machines:
    """The machines that train together.

    Attributes:
        count: how many they are.
        rendezvous: ``host:port`` where they meet: an address of one of them, and a free port there. Empty if there is
            only this machine.
    """

    count: int = 1
    rendezvous: str = ""

    def settings(self) -> dict[str, Any]:
        """What torchrun's agent has to know of them.

        Raises:
            UsageError: the address is no ``host:port``, or its host is not known here.
        """
        shared = {"min_nodes": self.count, "max_nodes": self.count, "rdzv_backend": "c10d"}
        if self.count == 1:
            return shared | {"run_id": uuid.uuid4().hex, "rdzv_endpoint": "localhost:0", "local_addr": "localhost"}
        host, address = self._addresses()
        is_host = host == address and _is_free(address, self._port())
        return shared | {
            # The machines share nothing else yet: the address is what they all know.
            "run_id": self.rendezvous,
            "rdzv_endpoint": self.rendezvous,
            "local_addr": address,
            "rdzv_configs": {"is_host": is_host, "join_timeout": MEETING_S},
        }

    def _port(self) -> int:
        port = self.rendezvous.rpartition(":")[2]
        if not (port.isdecimal() and 0 < int(port) < 1 << 16):
            fix = "Name one of the machines and a free port there, such as --rendezvous gpu01:29500"
            raise UsageError(f"expected HOST:PORT, found {self.rendezvous!r}", "--rendezvous", fix)
        return int(port)

    def _addresses(self) -> tuple[str, str]:
        """The address where the machines meet, and that of this machine on the way there."""
        port = self._port()
        try:
            kind, _, _, _, place = socket.getaddrinfo(self.rendezvous.rpartition(":")[0], port, type=socket.SOCK_DGRAM)[
                0
            ]
            with closing(socket.socket(kind, socket.SOCK_DGRAM)) as probe:
                probe.connect(place)  # sends nothing
                return str(place[0]), str(probe.getsockname()[0])
        except OSError as error:
            fix = "Name one of the machines as the others know it"
            raise UsageError(f"its host cannot be reached from here: {error}", "--rendezvous", fix) from None


ONE_MACHINE = Machines()


def _is_free(address: str, port: int) -> bool:
    """True if no other process of this machine has opened the port: then this one does."""
    try:
        with closing(socket.create_server((address, port))):
            return True
    except OSError:
        return False


def run_ranks(command: Sequence[str], count: int, *, on_gpus: bool, machines: Machines = ONE_MACHINE) -> int:
    """Run the command in ``count`` processes, each with its rank in the environment, and wait for all of them.

    Args:
        count: ranks of this machine.
        on_gpus: whether each rank gets a GPU; otherwise no rank sees any.
        machines: on each of them the same function runs, with as many ranks.

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
        **machines.settings(),
        nproc_per_node=count,
        max_restarts=0,
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
