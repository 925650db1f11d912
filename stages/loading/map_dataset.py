"""A query as a data set with random access, which reads single images and not their blocks."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from pdstore import Store
from stages.loading.query import choose
from stages.loading.reader import Place, SampleReader
from stages.loading.samples import ImageAs, Sample, as_sample, check_image_as

__all__ = ["MapDataset"]


class MapDataset(Dataset[Any]):
    """The images and masks that a query chooses, by number: one sample per image, by rising ``image_id``.

    Of an image's block, only the chunks with its own masks are read. It fits validation, a look at single samples, and
    samplers of torch; :class:`~stages.loading.stream.Stream` reads a large store faster in shuffled order.

    Args:
        store, sql, node, label, transform, long_side, image_as, freeze_as, options: as of
            :class:`~stages.loading.stream.Stream`, except that random numbers are not seeded for ``transform``.

    Raises:
        UsageError, InputMissing: as :func:`stages.loading.query.choose`.
    """

    def __init__(
        self,
        store: str | os.PathLike[str],
        sql: str,
        *,
        node: str = "",
        label: str = "",
        transform: Callable[[Sample], Any] | None = None,
        long_side: int = 0,
        image_as: ImageAs = "tensor",
        freeze_as: str = "",
        options: Mapping[str, object] | None = None,
    ) -> None:
        check_image_as(image_as)
        url, given = os.fspath(store), dict(options or {})
        self._place = Place(url, given, choose(Store(url, **given), sql, node, label, freeze_as), long_side)
        self._transform, self._image_as = transform, image_as
        self._opened: tuple[int, SampleReader] | None = None

    def __repr__(self) -> str:
        masks = self._place.chosen.masks
        return f"MapDataset({len(self)} images{f' with masks of {masks[0]}' if masks else ''})"

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, number: int) -> Any:
        """The sample of an image.

        Raises:
            IndexError: there is no such number.
            CorruptData: the image is no longer as it was ingested, or a file of the store is damaged.
        """
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[Any]:
        """Several samples, with one read per block that they are in; a ``DataLoader`` asks for batches in this way."""
        chosen = [self._image_id(number) for number in numbers]
        samples = (as_sample(stored, self._image_as) for stored in self._reader().read(chosen))
        return [sample if self._transform is None else self._transform(sample) for sample in samples]

    def __getstate__(self) -> dict[str, Any]:
        # Each process opens the store itself.
        return {**vars(self), "_opened": None}

    @property
    def image_ids(self) -> npt.NDArray[np.int64]:
        """(R,) int64, rising: the image of each number."""
        return self._place.chosen.image_ids

    def _image_id(self, number: int) -> int:
        index = operator.index(number)
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no sample {index}: there are {len(self)}")
        return int(self.image_ids[index])

    def _reader(self) -> SampleReader:
        """The reader of this process; a worker that was forked does not share that of its parent."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), self._place.open()
        return self._opened[1]
