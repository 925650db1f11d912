"""Work in a thread behind what gives the items: order, bounds, errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from stages.behind import behind


def test_results_come_in_the_order_of_the_items() -> None:
    """Each with its item; without items there is nothing."""
    assert [(item, done.result()) for item, done in behind(range(20), lambda item: item * item, ahead=3)] == [
        (item, item * item) for item in range(20)
    ]
    assert list(behind([], str, ahead=3)) == []


def test_the_next_item_is_made_while_one_is_worked_on() -> None:
    """The work on item 0 waits for item 1, in another thread than that of the items."""
    is_made, threads = threading.Event(), list[int]()

    def items() -> Iterator[int]:
        yield 0
        is_made.set()
        yield 1

    def work(item: int) -> bool:
        threads.append(threading.get_ident())
        return is_made.wait(20)

    assert all(done.result() for _, done in behind(items(), work, ahead=3))
    assert len(set(threads)) == 1 and threading.get_ident() not in threads


def test_several_threads_work_at_once() -> None:
    """Two items wait for each other; the results come in order, and one more item is taken than with one thread."""
    both, taken = threading.Barrier(2), list[int]()

    def items() -> Iterator[int]:
        for item in range(6):
            taken.append(item)
            yield item

    def work(item: int) -> int:
        both.wait(20)
        return item

    results = behind(items(), work, ahead=1, threads=2)
    assert next(results)[0] == 0 and len(taken) <= 3
    assert [done.result() for _, done in results] == [1, 2, 3, 4, 5]


def test_no_more_items_are_taken_than_may_wait() -> None:
    """Of many items only ``ahead`` are taken beside the one that is worked on."""
    taken, may_go_on, seen = list[int](), threading.Event(), list[int]()

    def items() -> Iterator[int]:
        for item in range(12):
            taken.append(item)
            if item == 3:
                # The first is held until the queue is full: the thread of the items has to wait for it then.
                threading.Timer(0.2, lambda: (seen.append(len(taken)), may_go_on.set())).start()
            yield item

    assert len(list(behind(items(), lambda item: may_go_on.wait(20), ahead=3))) == 12
    assert seen == [4]


def test_an_error_of_the_work_is_that_of_its_item() -> None:
    """It comes out of the future, and the other items keep their results."""
    found = list(behind([2, 0, 4], lambda item: 8 // item, ahead=3))
    assert [done.exception() is None for _, done in found] == [True, False, True]
    with pytest.raises(ZeroDivisionError):
        found[1][1].result()
    assert found[2][1].result() == 2


def test_an_error_of_the_items_ends_it_at_once() -> None:
    """Work that waits is left out, and no thread is left."""
    is_failed, begun = threading.Event(), list[int]()

    def items() -> Iterator[int]:
        yield from range(400)
        is_failed.set()
        raise KeyboardInterrupt

    def work(item: int) -> None:
        begun.append(item)
        is_failed.wait(20)
        time.sleep(0.01)  # all of them would take seconds

    with pytest.raises(KeyboardInterrupt):
        list(behind(items(), work, ahead=400))
    assert begun == list(range(len(begun))) and len(begun) < 400
    assert not any(thread.name.startswith("behind") for thread in threading.enumerate())


def test_who_stops_asking_ends_it() -> None:
    """Closing the iterator leaves no thread."""
    results = behind(iter(range(100)), lambda item: item, ahead=3)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert not any(thread.name.startswith("behind") for thread in threading.enumerate())
