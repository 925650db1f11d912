"""The size that an image has in the network."""

from __future__ import annotations

from stages.models.inference import network_size


def test_sides_are_multiples_of_32_and_keep_their_aspect() -> None:
    """The long side is as asked for, or the image's own."""
    assert network_size(480, 640, 640) == (480, 640)
    assert network_size(375, 500, 640) == (480, 640)
    assert network_size(100, 300, 0) == (96, 288)


def test_no_image_is_too_small_for_the_norms() -> None:
    """A thin image has a row of cells, a tiny one four."""
    assert network_size(3, 640, 640) == (32, 640)
    assert network_size(1, 1, 0) == network_size(40, 40, 0) == (64, 64)
