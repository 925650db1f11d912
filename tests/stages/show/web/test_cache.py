from __future__ import annotations

import threading

import pytest

from stages.show.web.cache import BoundedCache


def test_a_value_is_made_once() -> None:
    """What is kept is not made again."""
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    made: list[str] = []

    def make() -> bytes:
        made.append("a")
        return b"12345"

    assert cache.get("a", make) == cache.get("a", make) == b"12345"
    assert made == ["a"]


def test_what_was_not_asked_for_longest_goes_first() -> None:
    """The total size stays below the limit, and asking for a value keeps it."""
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    for key in "ab":
        cache.get(key, lambda: b"12345")
    cache.get("a", lambda: b"other")
    cache.get("c", lambda: b"12345")
    assert len(cache) == 2
    assert cache.get("a", lambda: b"new") == b"12345"
    assert cache.get("b", lambda: b"new") == b"new"


def test_a_value_above_the_limit_is_kept_alone() -> None:
    """The newest value is kept even if it is larger than the limit."""
    cache: BoundedCache[bytes] = BoundedCache(3, len)
    cache.get("a", lambda: b"12")
    assert cache.get("b", lambda: b"123456") == b"123456"
    assert len(cache) == 1


def test_two_threads_make_a_value_once() -> None:
    """The second waits for the first; if that fails, the next one who asks tries again."""
    cache: BoundedCache[bytes] = BoundedCache(10, len)
    entered, go, made = threading.Event(), threading.Event(), []

    def slow() -> bytes:
        made.append("slow")
        entered.set()
        assert go.wait(20)
        return b"value"

    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(cache.get("a", slow))) for _ in range(2)]
    threads[0].start()
    assert entered.wait(20)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(20)
    assert found == [b"value", b"value"] and made == ["slow"]
    with pytest.raises(ZeroDivisionError):
        cache.get("b", lambda: bytes(1 // 0))
    assert cache.get("b", lambda: b"b") == b"b"
