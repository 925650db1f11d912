"""Store and Layer: what a stage reads and writes.

A store is a folder (or an fsspec URL) that holds layers. A layer is what one node wrote under one fingerprint.
It consists of units, each of which is either committed whole or does not exist.
"""

from __future__ import annotations

from dataclasses import replace

from pdstore import layout
from pdstore.errors import InputMissing, UsageError
from pdstore.files import Files
from pdstore.fingerprint import Identity
from pdstore.index import IndexReader, RecentReader, recent_layers
from pdstore.info import FORMAT, LayerInfo, StoreInfo, read_record
from pdstore.layer import Layer
from pdstore.records.sealed import seal
from pdstore.records.states import PipelineState, chosen_state, newest_state
from pdstore.table import Table

__all__ = ["FORMAT", "Layer", "LayerInfo", "Store", "StoreInfo"]


class Store:
    """An existing store.

    Args:
        url: a local folder or an fsspec URL.
        options: passed on to fsspec.

    Raises:
        UsageError: there is no store at ``url``.
        CorruptData: store.json cannot be read, or has a newer format.
    """

    def __init__(self, url: str, **options: object) -> None:
        self.files = Files(url, **options)
        self.url, self._options = url, options
        self._snapshot: PipelineState | None = None
        self._readers: dict[tuple[str, str], IndexReader] = {}
        self._recent: dict[tuple[str, str], RecentReader] = {}
        # (node, fingerprint) -> how many units the layer had when it was complete, of layers that were.
        self.complete: dict[tuple[str, str], int | None] = {}
        try:
            self.info = read_record(self.files, layout.STORE, StoreInfo.from_dict)
        except FileNotFoundError:
            fix = "Make one with: pd init STORE --images DIR. Or name yours: pd --store STORE …, or set PD_STORE"
            raise UsageError(f"there is no store here (no {layout.STORE})", where=url, fix=fix) from None

    @classmethod
    def create(cls, url: str, info: StoreInfo, **options: object) -> Store:
        """Make a new store.

        Raises:
            UsageError: a store already exists at ``url``.
        """
        if not Files(url, **options).create(layout.STORE, seal(vars(info))):
            fix = "Choose another folder, or add new images to this one with: pd init STORE --images DIR --add"
            raise UsageError("a store already exists here", where=url, fix=fix)
        store = cls(url, **options)
        if not store.files.is_local:
            # From the first of its layers on, all are announced.
            store.files.write(layout.RECENT_WHOLE, b"")
        return store

    def replace_info(self, info: StoreInfo) -> None:
        """Write another ``store.json``, of the format of today."""
        self.info = replace(info, format=FORMAT)
        self.files.write(layout.STORE, seal(vars(self.info)))

    def current(self) -> dict[str, str]:
        """Node -> fingerprint of its layer in the recorded pipeline; empty if no pipeline is recorded."""
        state = self.state()
        return {} if state is None else dict(state.current)

    def state(self) -> PipelineState | None:
        """The newest state of the pipeline, or that of the snapshot; None if no pipeline is recorded.

        Raises:
            CorruptData: its record is damaged, or lost.
        """
        return self._snapshot or newest_state(self.files)

    @property
    def is_snapshot(self) -> bool:
        """Whether it is the store as of one state of its pipeline."""
        return self._snapshot is not None

    def snapshot(self, at: int | float | None = None) -> Store:
        """The store as of one recorded state of its pipeline, whatever is recorded later. Only to be read.

        Its views show what that state leads to, of what is committed now.

        Args:
            at: the number of a state; or, as a float, a time in seconds since 1970, of the state that was valid then.
                Unless set, the newest state.

        Raises:
            UsageError: there is no such state.
            InputMissing: a layer of that state was deleted since.
        """
        found, newest = chosen_state(self.files, at), self.state()
        for node, layer in [*found.current.items(), *found.shown.items()]:
            is_gone = newest is not None and layer in newest.removed.get(node, ())
            if is_gone and not self.files.exists(layout.layer_info(node, layer)):
                problem = f"state {found.number} of the pipeline shows layer {layer} of {node}, which was deleted since"
                raise InputMissing(problem, self.url, "Choose a later state: pd config log lists them")
        other = Store(self.url, **self._options)
        other._snapshot = found
        return other

    def nodes(self) -> list[str]:
        known = recent_layers(self.files) if self.files.is_asked_once else None
        return self.files.names(layout.LAYERS) if known is None else list(known)

    def layers(self, node: str) -> list[Layer]:
        """Every declared layer of a node, in whatever state."""
        known = recent_layers(self.files) if self.files.is_asked_once else None
        names = self.files.names(layout.layers(node)) if known is None else known.get(node, [])
        return [Layer(self, node, name) for name in names]

    def layer(self, node: str, fingerprint: str) -> Layer:
        return Layer(self, node, fingerprint)

    def index_reader(self, node: str, fingerprint: str) -> IndexReader:
        """The one reader of a layer's commits in this process, which keeps what it has read."""
        return self._readers.setdefault((node, fingerprint), IndexReader(self.files, node, fingerprint))

    def recent_reader(self, node: str, fingerprint: str) -> RecentReader:
        """The one reader of a layer in an object store in this process, which keeps what it has read."""
        return self._recent.setdefault((node, fingerprint), RecentReader(self.files, node, fingerprint))

    def declare(self, node: str, identity: Identity, table: Table, program: str) -> Layer:
        """The layer of ``node`` with this identity. It is made if it does not exist."""
        layer = Layer(self, node, identity.fingerprint)
        path = layout.layer_info(node, layer.fingerprint)
        # Checked first, so that a run with nothing to do also works where it may not write.
        if not self.files.exists(path):
            record = seal(LayerInfo(node, identity, table, program).to_dict())
            is_new = not self.files.names(layout.commits(node, layer.fingerprint))
            if is_new and (not self.files.is_local or self.files.exists(layout.RECENT_WHOLE)):
                # First of all: of a layer that is there, it says that no commit was made without an announcement.
                self.files.write(layout.recent_layer(node, layer.fingerprint), record)
            self.files.create(path, record)
        return layer
