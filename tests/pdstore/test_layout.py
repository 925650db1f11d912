from __future__ import annotations

import posixpath
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdstore import layout

# Node names as schemas.pipeline allows them: none of them contains a slash.
NODES = st.from_regex(r"[a-z0-9][a-z0-9._-]*", fullmatch=True)
HEX = st.text("0123456789abcdef", min_size=12, max_size=16)
UNITS = st.integers(0, 10**6)

FOLDERS = [
    layout.layer,
    layout.attempts,
    layout.commits,
    layout.withdrawals,
    layout.leases,
    layout.failures,
    layout.index,
    layout.checkpoints,
    layout.tracking,
]
# What lies in a folder -> the folder, each of (node, fingerprint, unit, attempt).
MEMBERS: dict[str, tuple[Callable[[str, str, int, str], str], Callable[[str, str], str]]] = {
    "layer_info": (lambda n, f, u, a: layout.layer_info(n, f), layout.layer),
    "attempt": (layout.attempt, layout.attempts),
    "commit": (lambda n, f, u, a: layout.commit(n, f, u), layout.commits),
    "withdrawn": (layout.withdrawn, layout.withdrawals),
    "lease": (lambda n, f, u, a: layout.lease(n, f, u, 3), layout.leases),
    "index_file": (lambda n, f, u, a: layout.index_file(n, f, u), layout.index),
    "index_rows": (lambda n, f, u, a: layout.index_rows(n, f, a, "rows.parquet"), layout.index),
    "failure": (lambda n, f, u, a: layout.failure(n, f, u), layout.failures),
    "tracking_id": (lambda n, f, u, a: layout.tracking_id(n, f), layout.tracking),
    "tracking_state": (lambda n, f, u, a: layout.tracking_state(n, f), layout.tracking),
}


@given(UNITS, HEX)
def test_the_name_of_an_attempt_tells_unit_and_attempt(unit: int, attempt: str) -> None:
    """``parse_attempt`` undoes ``attempt``, also for more units than five digits hold."""
    folder = layout.attempt("grouping", "f00d", unit, attempt)
    assert layout.parse_attempt(folder.rsplit("/", 1)[-1]) == (unit, attempt)


@pytest.mark.parametrize("name", MEMBERS)
@given(node=NODES, fingerprint=HEX, unit=UNITS, attempt=HEX)
def test_every_path_stays_in_its_folder(name: str, node: str, fingerprint: str, unit: int, attempt: str) -> None:
    """A path is one name below its folder, which is where the readers of that folder list it."""
    member, folder = MEMBERS[name]
    assert posixpath.dirname(member(node, fingerprint, unit, attempt)) == folder(node, fingerprint)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.__name__)
@given(node=NODES, fingerprint=HEX)
def test_every_path_is_relative_and_stays_in_the_store(
    folder: Callable[[str, str], str], node: str, fingerprint: str
) -> None:
    """No path is absolute or leads out of the store, whatever the node is called."""
    path = folder(node, fingerprint)
    assert posixpath.normpath(path) == path
    assert not path.startswith(("/", ".."))
    assert [node, fingerprint] == path.split("/")[1:3]


@given(NODES, NODES, HEX, HEX)
def test_layers_do_not_overlap(node: str, other: str, fingerprint: str, second: str) -> None:
    """The folders of two layers are equal only if node and fingerprint are, and neither contains the other."""
    is_same = (node, fingerprint) == (other, second)
    for folder in FOLDERS:
        one, two = folder(node, fingerprint) + "/", folder(other, second) + "/"
        assert (one == two) == is_same
        assert is_same or not (one.startswith(two) or two.startswith(one))


def test_the_folders_of_a_layer_are_different() -> None:
    """Attempts, commits, withdrawn manifests, the index, leases, failures, checkpoints and reports share no folder."""
    folders = [folder("crf", "f00d") for folder in FOLDERS]
    assert len(set(folders)) == len(FOLDERS)


@given(NODES, HEX)
def test_reporter_and_indexer_are_no_units(node: str, fingerprint: str) -> None:
    """The leases of the workers that report and that index are not listed with those of the units."""
    folders = {layout.leases(node, name(fingerprint)) for name in (layout.reporter, layout.indexer)}
    assert len(folders) == 2 and layout.leases(node, fingerprint) not in folders


@given(st.lists(st.integers(0, 99_999), min_size=2, max_size=5))
def test_names_sort_like_their_numbers(units: list[int]) -> None:
    """Sorted names of commits and listings are in the order of units and ingests."""
    assert sorted(layout.commit("n", "f", u) for u in units) == [layout.commit("n", "f", u) for u in sorted(units)]
    assert sorted(layout.listing(n) for n in units) == [layout.listing(n) for n in sorted(units)]


def test_a_selection_and_its_inputs_have_one_name() -> None:
    """The frozen rows and the state of their input lie next to each other."""
    assert layout.selection("train") == "selections/train.arrow"
    assert layout.selection_inputs("train") == "selections/train.json"


def test_temporary_names_are_hidden() -> None:
    """They begin with a dot, so that listings skip a file that is not whole yet."""
    assert layout.TEMPORARY.startswith(".")


def test_paths_of_the_first_format_do_not_change() -> None:
    """These exact paths are the format: stores that exist hold their files there."""
    assert (layout.STORE, layout.PIPELINE, layout.CLASSES) == ("store.json", "pipeline.json", "classes.parquet")
    assert layout.listing(0) == "listings/00000.parquet"
    assert layout.layer_info("crf", "f00d") == "layers/crf/f00d/layer.json"
    assert layout.commit("crf", "f00d", 12) == "layers/crf/f00d/commits/00012.json"
    assert layout.attempt("crf", "f00d", 12, "ab34") == "layers/crf/f00d/blocks/00012.ab34"
    assert layout.withdrawn("crf", "f00d", 12, "ab34") == "layers/crf/f00d/withdrawn/00012.ab34.json"
    assert layout.lease("crf", "f00d", 12, 3) == "leases/crf/f00d/00012.3.json"
    assert layout.failure("crf", "f00d", 12) == "failures/crf/f00d/00012.json"
    assert layout.checkpoints("crf", "f00d") == "checkpoints/crf/f00d"
    assert layout.index_file("crf", "f00d", 7) == "layers/crf/f00d/index/00007.arrow"
    assert layout.index_rows("crf", "f00d", "00007.ab", "rows.parquet") == "layers/crf/f00d/index/00007.ab.rows.parquet"
