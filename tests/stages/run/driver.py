"""A worker process for the tests of the runner: ``driver.py STORE NODES [SHARD] [GO]``.

Prints ``ready`` once everything is loaded (and waits for the file GO if one is named), ``step`` for every image or
training step, ``unit NODE NUMBER`` for every unit that it committed, and ends with the program's exit code.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pdstore import PdError, Store
from stages.plan.project import Project
from stages.plan.shard import Shard
from stages.run.options import RunOptions
from stages.run.progress import Silent, Watch
from stages.run.runner import run_node
from stages.run.signals import stop_on_signals


class Printed(Silent):
    """Prints each step as a line."""

    def advance(self, images: int) -> None:
        print("step", flush=True)


def main(url: str, nodes: str, shard: str = "", go: str = "") -> int:
    store = Store(url)
    project = Project.open(store)
    for name in nodes.split(","):
        project[name].stage.load()
    print("ready", flush=True)
    while go and not Path(go).exists():
        time.sleep(0.005)
    part = Shard.parse(shard) if shard else None
    options = RunOptions(shard=part, wait=not shard, max_error_rate=1.0, poll_s=0.05)
    try:
        with stop_on_signals() as should_stop:
            for name in nodes.split(","):
                report = run_node(project, name, options, Watch(Printed(), should_stop))
                for unit in report.committed:
                    print(f"unit {name} {unit}", flush=True)
    except PdError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
