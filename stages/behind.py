"""Work in a thread behind a network, so that a stage takes as long as the slower of both, and not as their sum."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["behind"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def behind(
    items: Iterable[Item], work: Callable[[Item], Result], *, ahead: int, threads: int = 1
) -> Iterator[tuple[Item, Future[Result]]]:
    """(item, its finished work), in the order of the items.

    Whoever iterates takes the items, in the own thread; one thread beside it does the work. So it pays if one of both
    waits for a device, or leaves Python's lock, as loops that numba has compiled do. It is one thread by default,
    because the work shares the processor's cores with the decoding of pictures and, without a GPU, with the network;
    there the work should not call torch, which would start threads of its own for it.

    The result, or the error that the work raised, comes out of the future. If the items end with an error, or nobody
    asks for the next one, the work that has begun is finished, and the rest is left out.

    Args:
        ahead: how many items may wait for the work, which is what bounds the memory. If a network gives the items of a
            batch at once, a batch must be able to wait: otherwise the network rests while its last batch is worked on.
        threads: how many do the work. Two pay if the work waits for a device and has something to do itself.
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="behind") as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                while waiting and (len(waiting) >= ahead + threads or waiting[0][1].done()):
                    yield _done(waiting)
            while waiting:
                yield _done(waiting)
        finally:
            for _, future in waiting:
                future.cancel()


def _done(waiting: deque[tuple[Item, Future[Result]]]) -> tuple[Item, Future[Result]]:
    item, future = waiting.popleft()
    future.exception()  # waits, and leaves the error to whoever asks for the result
    return item, future
