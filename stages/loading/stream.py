"""A query as an endless stream of batches, which resumes exactly where it stopped, with any number of processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from pdstore import Position, SampleOrder, Store
from pdstore.errors import StaleSettings, UsageError
from pdstore.reading.window import Window
from pdstore.stream import ORDER_VERSION
from stages.loading.query import choose
from stages.loading.reader import LoadedImages, Place
from stages.loading.samples import ImageAs, Sample, as_sample, check_image_as, seeded
from stages.train.process_group import ProcessGroup

__all__ = ["Loader", "Stream"]


class Stream(IterableDataset[Any]):
    """The images and masks that a query chooses, in shuffled batches: one epoch per loop.

    The batches are a function of what is chosen, ``batch_size``, ``seed`` and ``window``. Each process of a group gets
    its slice of every batch and each worker of a ``DataLoader`` every n-th batch, so neither changes what is in a batch
    nor their order. Every image comes once per epoch; the last batch is filled up with the first images of the epoch.

    Each worker reads a window of blocks: their masks, but no pictures, are in memory, twice ``window`` blocks at most.

    Args:
        store: folder or URL of a store.
        sql: a query over its tables that gives ``image_id``: see :func:`stages.loading.query.choose`.
        batch_size: images per batch, over all processes of the group together.
        node: the node whose masks are meant; by default the one that the query reads.
        label: integer column, of the query or of the masks' table, that is a mask's label; by default the first of
            ``label``, ``cluster`` and ``category_id``.
        transform: changes a sample. While it runs, the random numbers of torch, NumPy and ``random`` depend on
            (seed, epoch, image) alone, so they do not depend on processes either.
        collate: makes a batch of a list of samples; by default the list is the batch.
        seed, window: of the sample order: see :class:`pdstore.SampleOrder`.
        long_side: pictures are scaled down to this longer side, and masks with them; 0 keeps their size.
        image_as: ``tensor`` or ``pil``.
        freeze_as: a name under which the choice is kept in the store, so that later runs have the same images even if
            the store has grown.
        rank, ranks: this process and the number of processes; by default those of ``torch.distributed``, or those that
            torchrun has set.
        options: passed on to fsspec.

    Raises:
        UsageError, InputMissing: as :func:`stages.loading.query.choose`; or ``ranks`` does not divide ``batch_size``.
    """

    def __init__(
        self,
        store: str | os.PathLike[str],
        sql: str,
        *,
        batch_size: int,
        node: str = "",
        label: str = "",
        transform: Callable[[Sample], Any] | None = None,
        collate: Callable[[list[Any]], Any] | None = None,
        seed: int = 0,
        window: int = 8,
        long_side: int = 0,
        image_as: ImageAs = "tensor",
        freeze_as: str = "",
        rank: int | None = None,
        ranks: int | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        check_image_as(image_as)
        url, given = os.fspath(store), dict(options or {})
        opened = Store(url, **given)
        self._place = Place(url, given, choose(opened, sql, node, label, freeze_as), long_side)
        self._block_size, self._image_as = opened.info.block_size, image_as
        self._transform, self._collate = transform, collate
        self.batch_size, self.seed, self.window = batch_size, seed, window
        group = _group()
        self.rank, self.ranks = group.rank if rank is None else rank, group.size if ranks is None else ranks
        if batch_size < 1 or window < 1 or batch_size % self.ranks or not 0 <= self.rank < self.ranks:
            problem = f"batches of {batch_size} images cannot be split over {self.ranks} processes (rank {self.rank})"
            raise UsageError(problem, "Stream", "Choose a batch_size that the number of processes divides")
        # In shared memory, so that workers which outlive an epoch begin the next one where this process says.
        self._start = torch.zeros(2, dtype=torch.int64).share_memory_()
        self._position = Position()
        # In a worker: the batch that it gives next, and whether its next loop begins there.
        self._own, self._continues = Position(), False

    def __repr__(self) -> str:
        images, masks = len(self._place.chosen.image_ids), self._place.chosen.masks
        what = f"{images} images with masks of {masks[0]}" if masks else f"{images} images"
        return f"Stream({what}, {len(self)} batches of {self.batch_size}, at {self.position})"

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return self._order.batches_per_epoch

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        if worker is None:
            return self._batches(self.position, 0, 1)
        if self._continues:
            self._continues = False
            return self._batches(self._own, 0, worker.num_workers)
        return self._batches(Position(*self._start.tolist()), worker.id, worker.num_workers)

    def __getstate__(self) -> dict[str, Any]:
        # The order is a function of the rest, and as large as the choice.
        return {name: value for name, value in vars(self).items() if name != "_order"}

    @property
    def image_ids(self) -> npt.NDArray[np.int64]:
        """(R,) int64, rising: the chosen images."""
        return self._place.chosen.image_ids

    @property
    def position(self) -> Position:
        """How many batches of which epoch this process has given out; the next loop begins there.

        It does not know what the workers of a ``DataLoader`` have given out: see :class:`Loader`.
        """
        return self._position

    @position.setter
    def position(self, value: Position) -> None:
        self._position = value
        self._start[:] = torch.tensor([value.epoch, value.batches])

    def after(self, start: Position, batches: int) -> Position:
        """The position after so many batches from ``start``."""
        return self._order.at_step(start.epoch * len(self) + start.batches + batches)

    def set_epoch(self, epoch: int) -> None:
        """Begin the next loop with this epoch; without effect if the stream stands in it already."""
        if epoch != self.position.epoch:
            self.position = Position(epoch, 0)

    def state_dict(self, batches: int = 0) -> dict[str, Any]:
        """Where the stream stands. In a worker: where this worker does, as torchdata's ``StatefulDataLoader`` asks.

        Args:
            batches: how many batches a ``DataLoader`` with workers has given since the stream was made or loaded. Not
                needed without workers, nor with a :class:`Loader`, which count themselves.
        """
        is_worker = get_worker_info() is not None
        position = self._own if is_worker else self.after(self.position, batches)
        return {"epoch": position.epoch, "batches": position.batches, **self._identity()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a stream of the same choice stood, in any number of processes.

        Raises:
            StaleSettings: the state is that of other batches: of another choice, batch size, seed or window.
        """
        changed = [f"{k}: {state.get(k)} -> {now}" for k, now in self._identity().items() if state.get(k) != now]
        if changed:
            problem = f"the state is that of other batches: {'; '.join(changed)}"
            raise StaleSettings(problem, "Stream", "Use the same store, query and settings; freeze_as keeps a choice")
        position = Position(int(state["epoch"]), int(state["batches"]))
        if get_worker_info() is None:
            self.position = position
        else:
            self._own, self._continues = position, True

    def _identity(self) -> dict[str, Any]:
        return {
            "choice": self._place.chosen.digest,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "window": self.window,
            "order": ORDER_VERSION,
        }

    @cached_property
    def _order(self) -> SampleOrder:
        blocks = self._place.chosen.image_ids // self._block_size
        return SampleOrder(blocks, self.batch_size, self.seed, self.window)

    def _batches(self, start: Position, first: int, step: int) -> Iterator[Any]:
        """The batches ``first``, ``first + step``, … after ``start``, to the end of its epoch."""
        blocks: Window[LoadedImages] = Window(self._place.open().block, 2 * self.window)
        left = max(len(self) - start.batches, 0)
        chosen = islice(self._order.batches(start, self.rank, self.ranks), first, left, step)
        self._own = replace(start, batches=start.batches + first)
        for position, rows in chosen:
            ids = self._place.chosen.image_ids[rows].tolist()
            samples = [self._sample(blocks[i // self._block_size], i, position.epoch) for i in ids]
            batch = samples if self._collate is None else self._collate(samples)
            if get_worker_info() is None:
                self.position = self.after(position, 1)
            self._own = replace(position, batches=position.batches + step)
            yield batch

    def _sample(self, block: LoadedImages, image_id: int, epoch: int) -> Any:
        sample = as_sample(block.sample(image_id), self._image_as)
        if self._transform is None:
            return sample
        with seeded("transform", self.seed, epoch, image_id):
            return self._transform(sample)


class Loader(DataLoader[Any]):
    """A ``DataLoader`` of a stream that knows, with any number of workers, which batches it has given.

    Each loop gives the rest of an epoch, and a loop that was left early is continued by the next one.

    Args:
        stream: what is loaded.
        options: of ``DataLoader``, such as ``num_workers``; the stream makes the batches, so ``batch_size`` and
            ``collate_fn`` are its own.
    """

    def __init__(self, stream: Stream, **options: Any) -> None:
        own = sorted({"batch_size", "collate_fn", "shuffle", "sampler", "batch_sampler", "drop_last"} & set(options))
        if own:
            raise UsageError(f"the stream makes the batches, so a loader takes no {own[0]}", "Loader", "Leave it out")
        super().__init__(stream, batch_size=None, collate_fn=_as_it_is, **options)
        self.stream = stream

    def __iter__(self) -> Any:
        start = self.stream.position
        # Tells the workers where this loop begins, and nothing later: a slow worker may only begin then.
        self.stream.position = start
        for count, batch in enumerate(super().__iter__(), 1):
            self.stream._position = self.stream.after(start, count)
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """As :meth:`Stream.state_dict`, of the batches that this loader has given."""
        return self.stream.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As :meth:`Stream.load_state_dict`."""
        self.stream.load_state_dict(state)


def _as_it_is(batch: Any) -> Any:
    return batch


def _group() -> ProcessGroup:
    """The processes that have joined a group, else those that torchrun has started."""
    joined = ProcessGroup.of_this_process()
    if joined.size > 1 or "RANK" not in os.environ:
        return joined
    return ProcessGroup(int(os.environ["RANK"]), int(os.environ.get("WORLD_SIZE", "1")))
