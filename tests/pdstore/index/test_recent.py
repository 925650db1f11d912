from __future__ import annotations

import random
import uuid

import pytest

from pdstore import Layer, Store, layout
from pdstore.commit import new_attempt
from pdstore.files import Files
from pdstore.index import IndexReader, recent_layers
from pdstore.index.compaction import RUN_UNITS
from pdstore.index.recent import RecentReader, adopt, fetch_bundle, kept_of, recent_problems, settle
from pdstore.records.announced import announcement
from pdstore.verify import repair, verify
from tests.pdstore.example import filled, new_layer, parts


@pytest.fixture
def layer() -> Layer:
    """A layer of four units in an object store, in which nothing is gathered."""
    return filled(f"memory://{uuid.uuid4().hex}", units=range(4))


def told(layer: Layer) -> dict[int, str]:
    """What a new process reads from the announcements and the index."""
    commits = RecentReader(layer.store.files, layer.node, layer.fingerprint).commits()
    assert commits is not None
    found: dict[int, str] = commits.by_unit("attempt")
    return found


def true(layer: Layer) -> dict[int, str]:
    """The same from every commit."""
    found: dict[int, str] = IndexReader(layer.store.files, layer.node, layer.fingerprint).commits().by_unit("attempt")
    return found


def announced(layer: Layer) -> list[str]:
    return [n for n in layer.store.files.names(layout.recent(layer.node, layer.fingerprint)) if n[0].isdecimal()]


def test_a_unit_is_announced_until_the_index_has_it(layer: Layer) -> None:
    """Then a new reader reads two small files for the layer, and one manifest for each later commit."""
    assert sorted(told(layer)) == [0, 1, 2, 3] and len(announced(layer)) == 4
    layer.compact(everything=True)
    assert announced(layer) == [] and told(layer) == true(layer)
    layer.commit(9, parts(2))
    assert len(announced(layer)) == 1 and told(layer) == true(layer)


def test_a_killed_worker_leaves_an_announcement_too_many(layer: Layer) -> None:
    """Its unit is not committed; when another worker has committed it and it is gathered, the announcement is gone."""
    files, place = layer.store.files, (layer.node, layer.fingerprint)
    files.write_many(announcement(files, *place, 7, new_attempt()))
    layer.compact(everything=True)
    assert len(announced(layer)) == 1 and told(layer) == true(layer) and 7 not in told(layer)
    layer.commit(7, parts(1))
    layer.compact(everything=True)
    assert announced(layer) == [] and told(layer) == true(layer)


def test_a_withdrawal_that_is_going_on_stays_announced(layer: Layer) -> None:
    """Whoever gathers the unit between the announcement and the removal does not hide the removal."""
    files, place = layer.store.files, (layer.node, layer.fingerprint)
    attempt = layer.manifest(2).attempt
    files.write(layout.recent_file(*place, 2, f"{attempt}.withdrawn"), b"")
    layer.compact(everything=True)
    assert len(announced(layer)) == 1
    layer.withdraw(2)
    assert told(layer) == true(layer) and 2 not in told(layer)


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_commits_withdrawals_and_gatherings_is_told(layer: Layer, seed: int) -> None:
    """After each step announcements and index tell what all commits do, to a new reader and to one that goes on."""
    rng, files, place = random.Random(seed), layer.store.files, (layer.node, layer.fingerprint)
    watching = RecentReader(files, *place)
    for _ in range(40):
        unit, committed = rng.randrange(8), true(layer)
        step = rng.choice(["commit", "commit", "withdraw", "compact", "all", "killed", "late"])
        if step == "commit" and unit not in committed:
            layer.commit(unit, parts(1 + unit))
        elif step == "withdraw" and unit in committed:
            layer.withdraw(unit)
        elif step in {"compact", "all"}:
            layer.compact(everything=step == "all")
        elif step == "killed":
            files.write_many(announcement(files, *place, unit, new_attempt()))
        elif step == "late":
            # A worker that has listed before others went on comes to the end of its gathering now.
            before, commits = files.tree(layout.recent(*place)), IndexReader(files, *place).commits()
            if unit in committed:
                layer.withdraw(unit)
            settle(files, *place, before, commits)
        expected = true(layer)
        assert told(layer) == expected, step
        kept = watching.commits()
        assert kept is not None and kept.by_unit("attempt") == expected, step


def test_a_layer_of_a_copied_store_is_listed_until_it_is_gathered(layer: Layer) -> None:
    """What nobody has announced is announced by ``pd compact``, with units that the index has and no commit."""
    files, place = layer.store.files, (layer.node, layer.fingerprint)
    layer.compact(everything=True)
    layer.commit(5, parts(1))
    layer.withdraw(1)
    files.remove_tree(layout.RECENT)
    reader = RecentReader(files, *place)
    assert reader.commits() is None and recent_layers(files) is None
    assert layer.commits().by_unit("attempt") == true(layer)
    layer.compact()
    adopt(files)
    assert told(layer) == true(layer) and recent_layers(files) == {layer.node: [layer.fingerprint]}


def test_one_file_brings_all_that_a_new_user_lacks(
    layer: Layer, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is fetched only if more than a few files are lacking, and what it holds is not asked for again."""
    files = layer.store.files
    for number in range(4):
        other = new_layer(layer.store, k=10 + number)
        other.commit(0, parts(1))
        other.commit(1, parts(1))
        other.compact(everything=True)
    adopt(files)
    monkeypatch.setenv("PD_CACHE", f"{tmp_path}/other")
    fetch_bundle(files)
    tree = files.tree(layout.RECENT)
    keys = [f"{p} {s.size} {s.mark}" for p, s in tree.items() if p.endswith(("layer.json", ".arrow"))]
    assert len(keys) >= 8 and all(kept_of(files).find(key) is not None for key in keys)


def test_a_damaged_copy_of_the_index_is_passed_over(layer: Layer) -> None:
    """The commits are listed instead."""
    files, place = layer.store.files, (layer.node, layer.fingerprint)
    layer.compact(everything=True)
    [name] = [n for n in files.names(layout.recent(*place)) if n.startswith("index-")]
    files.write(f"{layout.recent(*place)}/{name}", b"not an index")
    assert RecentReader(files, *place).commits() is None
    assert layer.commits().by_unit("attempt") == true(layer)


def test_what_would_mislead_a_reader_is_damage_that_can_be_repaired(layer: Layer) -> None:
    """A unit that was committed without an announcement is named; after the repair, commits are listed."""
    files, place = layer.store.files, (layer.node, layer.fingerprint)
    layer.compact(everything=True)
    layer.commit(6, parts(1))
    for name in announced(layer):
        files.remove(f"{layout.recent(*place)}/{name}")
    [(path, problem)] = recent_problems(files, *place)
    assert path == layout.recent_layer(*place) and "unit 6 is not announced" in problem
    [damage] = [found for found in verify(Store(layer.store.url)) if found is not None]
    assert damage.file == path and repair(layer.store, damage)
    assert layer.commits().by_unit("attempt") == true(layer)
    assert not [found for found in verify(Store(layer.store.url)) if found is not None]


def test_a_local_store_has_no_announcements(tmp_path: object) -> None:
    """It is listed, as always; but a copy of one in an object store goes on with them."""
    layer = filled(f"{tmp_path}/store", units=range(2))
    assert Files(f"{tmp_path}/store").names(layout.RECENT) == []
    layer.store.files.write(layout.recent_layer(layer.node, layer.fingerprint), b"{}")
    layer.commit(5, parts(1))
    assert len(announced(layer)) == 1 and RUN_UNITS > 1
