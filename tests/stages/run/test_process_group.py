from __future__ import annotations

import pytest

from stages.registry import STAGES
from stages.run.process_group import NodeGroup, is_first_rank


class Ranks:
    """Stands for the ranks of a training: keeps what the first rank says, or says what is given."""

    def __init__(self, rank: int, messages: list[bool] | None = None) -> None:
        self.rank, self.size, self.messages, self.has_left = rank, 4, messages or [], False

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def told(self, value: bool | None = None) -> bool | None:
        if self.is_first and value is not None:
            self.messages.append(value)
            return value
        return self.messages.pop(0)

    def leave(self) -> None:
        self.has_left = True


def test_most_nodes_are_computed_by_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that is no training has no group, whatever torchrun says; nor has a training without torchrun."""
    monkeypatch.setenv("WORLD_SIZE", "4")
    alone = NodeGroup.of(STAGES["crf"])
    monkeypatch.delenv("WORLD_SIZE")
    for group in (alone, NodeGroup.of(STAGES["distill-train"])):
        assert group.size == 1 and not group.follows and not group.is_called()
        group.call()
        group.leave()


def test_the_first_rank_calls_the_others_once() -> None:
    """However many units it computes; a group that was called is not dismissed in the end."""
    ranks = Ranks(0)
    group = NodeGroup(ranks)  # type: ignore[arg-type]  # stands for the ranks
    assert group.size == 4 and not group.follows
    group.call()
    group.call()
    group.leave()
    assert ranks.messages == [True] and ranks.has_left


def test_the_first_rank_dismisses_the_others_if_there_is_nothing_to_do() -> None:
    """They wait for it, so it must say so before it leaves."""
    ranks = Ranks(0)
    NodeGroup(ranks).leave()  # type: ignore[arg-type]  # stands for the ranks
    assert ranks.messages == [False] and ranks.has_left


@pytest.mark.parametrize("is_called", [True, False])
def test_the_other_ranks_do_as_they_are_told(is_called: bool) -> None:
    """They follow, learn whether there is work, and say nothing when they leave."""
    ranks = Ranks(1, [is_called])
    group = NodeGroup(ranks)  # type: ignore[arg-type]  # stands for the ranks
    assert group.follows and group.is_called() == is_called
    group.leave()
    assert ranks.messages == [] and ranks.has_left


@pytest.mark.parametrize(("rank", "is_first"), [(None, True), ("0", True), ("3", False)])
def test_the_first_rank_is_the_one_that_torchrun_calls_zero(
    rank: str | None, is_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that torchrun did not start is the first, too."""
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert is_first_rank() == is_first
