"""What a command has asked an object store for already: at one moment, the same question has the same answer."""

from __future__ import annotations

import contextlib
import threading
from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pdstore.files.objects import Objects, Stamp

__all__ = ["RememberedObjects"]

LARGEST = 4 << 20
"""Bytes of the largest object that is remembered."""

Answer = TypeVar("Answer")


class RememberedObjects(Objects):
    """The objects of a file system, each asked for once within :meth:`moment`. Outside of it nothing is remembered.

    What is remembered is that of one thread. Whatever is written makes it ask again.
    """

    def __init__(self, fs: Any) -> None:
        super().__init__(fs)
        self._local = threading.local()

    @property
    def is_remembering(self) -> bool:
        return self._answers is not None

    @contextlib.contextmanager
    def moment(self, trees: Sequence[str] = ()) -> Iterator[None]:
        """Remember what is asked for until the block is left. A moment within a moment is the same one.

        Args:
            trees: folders of few files in many folders: each is listed as a whole, once.
        """
        before, folders = self._answers, self._trees
        self._local.answers = {} if before is None else before
        self._local.trees = (*folders, *trees)
        try:
            yield
        finally:
            self._local.answers, self._local.trees = before, folders

    def read(self, path: str) -> bytes:
        return self._answer(("read", path), lambda: super(RememberedObjects, self).read(path))

    def exists(self, path: str) -> bool:
        if (tree := self._tree_of(path)) is not None:
            return path in self._tree(tree)
        return self._answer(("exists", path), lambda: super(RememberedObjects, self).exists(path))

    def children(self, folder: str) -> list[str]:
        if (tree := self._tree_of(folder)) is not None:
            return list({path[len(folder) + 1 :].partition("/")[0] for path in _part(self._tree(tree), folder)})
        return self._answer(("children", folder), lambda: super(RememberedObjects, self).children(folder))

    def below(self, folder: str) -> dict[str, Stamp]:
        whole = self._tree_of(folder) or folder
        return _part(self._tree(whole), folder)

    def write(self, path: str, data: bytes) -> None:
        self.changed()
        super().write(path, data)

    def create(self, path: str, data: bytes) -> bool:
        self.changed()
        return super().create(path, data)

    def remove(self, paths: Sequence[str]) -> None:
        self.changed()
        super().remove(paths)

    def changed(self) -> None:
        """Something was written: ask again."""
        if self._answers is not None:
            self._answers.clear()

    def _tree(self, folder: str) -> dict[str, Stamp]:
        return self._answer(("below", folder), lambda: super(RememberedObjects, self).below(folder))

    def _tree_of(self, path: str) -> str | None:
        """The folder that is listed as a whole and holds ``path``, or is it; None if there is none."""
        held = [tree for tree in self._trees if f"{path}/".startswith(f"{tree}/")]
        return held[0] if held else None

    def _answer(self, question: Hashable, ask: Callable[[], Answer]) -> Answer:
        """The answer to a question, which is asked only once; that a file is not found is an answer, too."""
        answers = self._answers
        if answers is None:
            return ask()
        if question not in answers:
            try:
                found: Any = ask()
            except FileNotFoundError as error:
                found = error
            if isinstance(found, bytes) and len(found) > LARGEST:
                return found  # type: ignore[return-value]
            answers[question] = found
        known = answers[question]
        if isinstance(known, FileNotFoundError):
            raise FileNotFoundError(*known.args) from known.__cause__
        return known  # type: ignore[no-any-return]

    @property
    def _answers(self) -> dict[Hashable, Any] | None:
        return getattr(self._local, "answers", None)

    @property
    def _trees(self) -> tuple[str, ...]:
        return getattr(self._local, "trees", ())


def _part(tree: Mapping[str, Stamp], folder: str) -> dict[str, Stamp]:
    """The files of a sorted tree that are below ``folder``."""
    paths = list(tree)
    first, last = bisect_left(paths, f"{folder}/"), bisect_left(paths, f"{folder}0")
    return {path: tree[path] for path in paths[first:last]}
