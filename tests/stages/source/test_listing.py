from __future__ import annotations

import random
from typing import Any

import pytest

from pdstore import Store, StoreInfo, layout
from pdstore.errors import UsageError
from stages.source.listing import Listed, Listing

SIZE, BLOCKS = 1000, 60


def images(number: int, name: str) -> list[tuple[str, str, str]]:
    """Images with keys that do not compress, so that the listing is as large as one of many more images."""
    rng = random.Random(0)
    return [(f"{name}/{rng.randbytes(20).hex()}.jpg", "train", name) for _ in range(number)]


@pytest.fixture
def store() -> Store:
    """An empty store in memory."""
    store = Store.create(f"memory://listing{random.randrange(1 << 60)}", StoreInfo(SIZE, 0, {}))
    return store


def test_images_that_are_added_open_new_blocks(store: Store) -> None:
    """A block that is not full stays as it is; the number of every image follows from its block."""
    cats, dogs = images(2 * SIZE + 5, "cat"), images(SIZE, "dog")
    listing = Listing(store)
    listing.append(cats)
    listing.append(dogs)
    for one in (listing, Listing(store)):
        assert (one.blocks, one.images) == (4, 3 * SIZE + 5)
        assert one.block_sizes() == [SIZE, SIZE, 5, SIZE]
        assert one.read(2) == [Listed(2 * SIZE + i, *image) for i, image in enumerate(cats[2 * SIZE :])]
        assert one.read(3) == [Listed(3 * SIZE + i, *image) for i, image in enumerate(dogs)]
        assert one.keys() == {key for key, _, _ in cats + dogs}
    with pytest.raises(UsageError, match="there is no block 4: the blocks are 0 to 3"):
        listing.read(4)


def test_two_processes_that_add_at_once_lose_no_images(store: Store) -> None:
    """The second one gets an error that says to run again."""
    one, other = Listing(store), Listing(store)
    one.append(images(3, "cat"))
    with pytest.raises(UsageError, match="another process has just added images.*Run the command again"):
        other.append(images(2, "dog"))
    assert Listing(store).images == 3


def test_a_block_is_read_without_the_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a remote listing only the footer and the rows of the block are fetched, and the footer only once."""
    monkeypatch.setattr("pdstore.records.digests.PIECE", 2048)
    Listing(store).append(images(BLOCKS * SIZE, "cat"))
    whole = len(store.files.read(layout.listing(0)))
    fetched: list[int] = []

    def cat_file(path: str, *bounds: Any, **options: Any) -> bytes:
        data: bytes = type(store.files.fs).cat_file(store.files.fs, path, *bounds, **options)
        fetched.append(len(data))
        return data

    monkeypatch.setattr(store.files.fs, "cat_file", cat_file)
    listing = Listing(store)
    assert sum(fetched) < whole / 4
    fetched.clear()
    assert [image.image_id for image in listing.read(7)] == list(range(7 * SIZE, 8 * SIZE))
    # Requests end where pieces with a digest of their own end.
    assert len(fetched) <= 3 and sum(fetched) < whole / 4
