"""Workers that write, crash, race and withdraw in any order, compared with a model of what is committed."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pdstore import Catalog, Layer, Store, layout
from pdstore.errors import CommitConflict, InputMissing, StorageFailure
from pdstore.files import Files
from pdstore.garbage import find_garbage
from pdstore.lease import Claim
from pdstore.verify import verify
from tests.pdstore.example import TABLES, assert_equal, new_layer, new_store, parts

UNITS = st.integers(0, 3)
SEEDS = st.integers(0, 10**6)
YEAR_S = 365 * 86400.0


class Machine(RuleBasedStateMachine):
    """Two workers on one store.

    The model is ``committed``: unit -> (attempt, seed of its rows). Whatever happens, readers see exactly that.
    """

    @initialize()
    def begin(self) -> None:
        url = f"memory://{uuid.uuid4().hex}"
        store = new_store(url)
        self.workers = [new_layer(store, k=4), new_layer(Store(url), k=4)]
        self.committed: dict[int, tuple[str, int]] = {}
        self.held: dict[int, Claim] = {}

    def reader(self) -> Layer:
        """A process that has just started."""
        return new_layer(Store(self.workers[0].store.url), k=4)

    def _commit(self, worker: int, unit: int, seed: int) -> None:
        is_open = unit not in self.committed
        try:
            made = self.workers[worker].commit(unit, parts(2, seed))
        except CommitConflict:
            assert not is_open
        else:
            assert is_open
            self.committed[unit] = (made.attempt, seed)

    @rule(worker=st.integers(0, 1), unit=UNITS, seed=SEEDS)
    def commit(self, worker: int, unit: int, seed: int) -> None:
        """A worker commits, which succeeds exactly if the unit is open."""
        self._commit(worker, unit, seed)

    @rule(unit=UNITS, seed=SEEDS)
    def crash_while_writing(self, unit: int, seed: int) -> None:
        """A worker is killed after some files of its attempt, before the manifest."""
        with _files_method("create", _die), contextlib.suppress(_KilledError):
            self.workers[0].commit(unit, parts(2, seed))

    @rule(unit=UNITS, seed=SEEDS)
    def storage_refuses(self, unit: int, seed: int) -> None:
        """The manifest does not arrive: the worker gets an error, and nothing has changed."""
        with _files_method("create", _refuse):
            try:
                self.workers[0].commit(unit, parts(2, seed))
            except CommitConflict:
                assert unit in self.committed
            except StorageFailure:
                assert unit not in self.committed
            else:
                raise AssertionError("a commit that never arrived")

    @rule(unit=UNITS, seed=SEEDS)
    def answer_is_lost(self, unit: int, seed: int) -> None:
        """The manifest arrives and the answer does not: the commit counts all the same."""
        create = Files.create

        def lost(files: Files, path: str, data: bytes) -> bool:
            create(files, path, data)
            raise ConnectionResetError("answer lost")

        with _files_method("create", lost):
            self._commit(0, unit, seed)

    @rule(unit=UNITS, seeds=st.tuples(SEEDS, SEEDS))
    def race(self, unit: int, seeds: tuple[int, int]) -> None:
        """The second worker commits between the files and the manifest of the first: exactly one wins."""
        create = Files.create

        def overtaken(files: Files, path: str, data: bytes) -> bool:
            with _files_method("create", create):
                self._commit(1, unit, seeds[1])
            return create(files, path, data)

        with _files_method("create", overtaken):
            try:
                self.workers[0].commit(unit, parts(2, seeds[0]))
            except CommitConflict:
                return
        raise AssertionError("two winners")

    @rule(worker=st.integers(0, 1), unit=UNITS)
    def withdraw(self, worker: int, unit: int) -> None:
        """A unit is taken back by a process that has just started."""
        try:
            self.reader().withdraw(unit)
        except InputMissing:
            assert unit not in self.committed
        else:
            del self.committed[unit]
            self.workers = [self.reader(), self.reader()]

    @rule(worker=st.integers(0, 1))
    def gather(self, worker: int) -> None:
        """A worker adds what is committed to the index, whatever is going on."""
        self.workers[worker].compact(everything=True)

    @rule()
    def lose_the_index(self) -> None:
        """Somebody deletes what is derived."""
        layer = self.workers[0]
        layer.store.files.remove_tree(layout.index(layer.node, layer.fingerprint))

    @rule(worker=st.integers(0, 1), unit=UNITS)
    def claim(self, worker: int, unit: int) -> None:
        """A claim is granted exactly if nobody holds the unit."""
        claim = self.workers[worker].claim(unit)
        assert (claim is None) == (unit in self.held)
        if claim is not None:
            self.held[unit] = claim

    @rule(unit=UNITS)
    def release(self, unit: int) -> None:
        """Leaving a claim frees its unit."""
        if unit in self.held:
            with self.held.pop(unit):
                assert unit in self.workers[0].leases()

    @rule()
    def collect(self) -> None:
        """A year later everything that gc lists is deleted, and no reader misses it."""
        store = self.workers[0].store
        for garbage in find_garbage(store, now=time.time() + YEAR_S):
            store.files.remove_tree(garbage.path)
        assert set(self.workers[0].leases()) == set(self.held)

    @invariant()
    def readers_see_what_was_committed(self) -> None:
        """Whole units only, with the rows of the attempt that won, unchanged."""
        reader = self.reader()
        assert reader.units() == sorted(self.committed)
        seen = {unit: attempt for unit, (attempt, _) in self.committed.items()}
        # A process that has just started, and one that has kept what it has read.
        for layer in (reader, self.workers[1]):
            assert layer.commits().by_unit("attempt") == seen
        for unit, (attempt, seed) in self.committed.items():
            assert reader.manifest(unit).attempt == attempt
            assert_equal(reader.read(unit), parts(2, seed))

    @invariant()
    def every_commit_is_sound(self) -> None:
        """All files of every manifest exist and have their checksums."""
        assert [item for item in verify(self.workers[0].store) if item] == []

    def teardown(self) -> None:
        """At the end SQL sees the same rows."""
        layer = self.reader()
        catalog = Catalog(layer.store, TABLES, {"grouping": layer.fingerprint})
        image_ids = catalog.query("SELECT image_id FROM parts ORDER BY 1").column(0).to_pylist()
        assert image_ids == sorted(100 * seed + i for _, seed in self.committed.values() for i in range(2))


class _KilledError(BaseException):
    """The process is gone: no handler of the engine runs."""


def _die(files: Files, path: str, data: bytes) -> bool:
    raise _KilledError


def _refuse(files: Files, path: str, data: bytes) -> bool:
    raise StorageFailure("the storage did not answer")


@contextlib.contextmanager
def _files_method(name: str, method: object) -> Iterator[None]:
    with mock.patch.object(Files, name, method):
        yield


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=20, stateful_step_count=20)
