from __future__ import annotations

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
