from __future__ import annotations

from pdstore.leases.sightings import Sighting, Sightings


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_time_counts_from_the_first_sight_of_a_mark() -> None:
    """Each change begins it anew, and shows that somebody was at work."""
    clock = Clock()
    seen = Sightings(clock)
    assert seen.note("a", "x", 100.0) == (Sighting("x", 100.0, False), 0.0)
    clock.now = 130.0
    assert seen.note("a", "x", 130.0) == (Sighting("x", 100.0, False), 30.0)
    assert seen.note("a", "y", 130.0) == (Sighting("y", 130.0, True), 0.0)
    assert seen.note("b", "y", 130.0) == (Sighting("y", 130.0, False), 0.0)


def test_the_time_of_a_stop_does_not_count() -> None:
    """From after the first reading to before the second, and never less than nothing."""
    clock = Clock()
    seen = Sightings(clock)
    clock.now = 200.0
    assert seen.note("a", "x", 100.0)[0].since == 200.0
    assert seen.note("a", "x", 150.0)[1] == 0.0
    clock.now = 900.0
    assert seen.note("a", "x", 230.0)[1] == 30.0


def test_a_listing_is_believed_for_some_time() -> None:
    """Until it is older than that, or was found to be old; each folder has its own."""
    clock = Clock()
    seen = Sightings(clock)
    assert seen.listed("f/", 60, otherwise={9}) == {9}
    seen.note_listing("f/", 100.0, [1, 2])
    clock.now = 160.0
    assert seen.listed("f/", 60, otherwise={9}) == {1, 2} and seen.listed("g/", 60, otherwise={9}) == {9}
    clock.now = 161.0
    assert seen.listed("f/", 60, otherwise={9}) == {9}
    seen.note_listing("f/", 161.0, [])
    assert seen.listed("f/", 60, otherwise={9}) == set()
    seen.forget_listing("f/")
    assert seen.listed("f/", 60, otherwise={9}) == {9}


def test_what_is_forgotten_is_seen_for_the_first_time() -> None:
    """Nor is it known to be alive any more."""
    seen = Sightings(Clock())
    for lease in ("s#leases/a/1", "s#leases/a/2", "s#leases/b/1"):
        seen.note(lease, "x", 0.0)
        seen.judge(lease, True)
    seen.keep("s#leases/a/", {"s#leases/a/2"})
    assert set(seen.items()) == {"s#leases/a/2", "s#leases/b/1"}
    assert not seen.is_alive("s#leases/a/1") and seen.is_alive("s#leases/a/2")
    seen.forget("s#leases/a/2")
    assert set(seen.items()) == {"s#leases/b/1"} and not seen.is_alive("s#leases/a/2")
    assert seen.note("s#leases/a/2", "y", 0.0)[0].has_changed is False


def test_what_was_seen_here_counts_more_than_what_is_recalled() -> None:
    """Only a lease that this process has not seen is taken over from another."""
    seen = Sightings(Clock())
    seen.note("a", "x", 100.0)
    for lease in ("a", "b"):
        seen.recall(lease, Sighting("y", 1.0))
    assert seen.items() == {"a": Sighting("x", 100.0), "b": Sighting("y", 1.0)}
