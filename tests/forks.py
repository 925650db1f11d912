"""Processes for tests: new ones, and ones that are forked from a process that has loaded what the program needs."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["FORKS", "in_process"]

FORKS = multiprocessing.get_context("forkserver")
"""There is one such server for all tests, which is started when it is first needed."""
FORKS.set_forkserver_preload(["tests.stages.run.warm", "tests.faults.warm"])
_NEW = multiprocessing.get_context("spawn")


def in_process(act: Callable[..., Any], *arguments: Any, is_loaded: bool = False) -> Any:
    """What a function gives in a process of its own; what it raises is raised here.

    Args:
        is_loaded: the process is forked from one that has loaded what commands need; otherwise it loads what it needs.
    """
    context = FORKS if is_loaded else _NEW
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, act, arguments))
    process.start()
    theirs.close()
    try:
        answer = ours.recv()
    except EOFError:
        process.join(60)
        raise AssertionError(f"the process ended with {process.exitcode}") from None
    process.join(60)
    ours.close()
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _send(theirs: Connection, act: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        answer = act(*arguments)
    except BaseException as error:
        answer = error
    theirs.send(answer)
    # Without what the program would do at its end: threads of a killed command need not be waited for.
    os._exit(0)
