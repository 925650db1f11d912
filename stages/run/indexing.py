"""Adding to the index of a layer behind the work: whichever worker finds enough new commits gathers them."""

from __future__ import annotations

from collections.abc import Callable

from pdstore import Layer, PdError, layout
from pdstore.index import RUN_UNITS, write_bundle
from pdstore.lease import claim

__all__ = ["CHECK_EVERY", "Indexing"]

CHECK_EVERY = 64
"""Commits of this worker between two looks at how many units all workers have committed; a look costs a listing."""


class Indexing:
    """What a worker does for the index of the layer that it writes. No fault of an index ends the run.

    Args:
        note: prints a line.
    """

    def __init__(self, layer: Layer, note: Callable[[str], None]) -> None:
        self._layer, self._note = layer, note
        self._own = 0
        # How many units the index held at the last look; the first look finds out.
        self._held = 0

    def committed(self) -> None:
        """After a commit of this worker: gather, if all workers together have made enough new commits."""
        self._own += 1
        if self._own % CHECK_EVERY == 0:
            self._guarded(self._check)

    def finish(self, num_units: int) -> None:
        """At the end of a run that has committed something: if a large layer is complete, gather all of it.

        In an object store a small one, too: there a reader would ask for each of its blocks.
        """
        if self._own and num_units >= RUN_UNITS:
            self._guarded(lambda: self._gather(everything=len(self._layer.units()) == num_units))
        elif self._own and not self._layer.store.files.is_local and len(self._layer.listed_units()) == num_units > 1:
            self._guarded(lambda: self._gather(everything=True))

    def _check(self) -> None:
        if len(self._layer.units()) - self._held >= RUN_UNITS:
            self._gather(everything=False)

    def _gather(self, *, everything: bool) -> None:
        layer = self._layer
        # The lease saves work: two workers would gather the same, and one of them in vain.
        held = claim(layer.store.files, layer.node, layout.indexer(layer.fingerprint), 0)
        if held is not None:
            with held:
                layer.compact(everything=everything)
                self._held = sum(map(len, layer.commits().gathered))
                if not layer.store.files.is_local:
                    write_bundle(layer.store.files)

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # an index is no reason to lose the node's work
            what = str(error) if isinstance(error, PdError) else f"{type(error).__name__}: {error}"
            self._note(f"{self._layer.node}: its commits were not gathered: {what}")
