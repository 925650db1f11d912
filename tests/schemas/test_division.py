"""How an object is divided: settings that came later, and those that do not go together."""

from __future__ import annotations

import pytest

from pdstore.errors import UsageError
from schemas.division import DivisionSettings
from schemas.stages import GroupingSettings


def test_at_their_defaults_they_change_no_fingerprint() -> None:
    """None of them is part of what identifies a layer, until it is set."""
    names = set(DivisionSettings.model_fields) - {"wandb", "tensorboard"}
    assert {"colour", "position", "blur", "divide", "k_min", "merge_cost", "boundary", "map_weights"} <= names
    assert not names & set(GroupingSettings(k=5).identity())
    assert GroupingSettings(colour=2).identity()["colour"] == 2
    assert GroupingSettings(map_weights=(1, 2)).identity()["map_weights"] == [1, 2]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"k": 4, "k_min": 5}, "k_min is at most k, but it is 5 and k is 4"),
        ({"k": 4, "divide": 3}, "divide is at least k, but it is 3 and k is 4"),
        ({"boundary": 0.5}, "boundary has no effect"),
        ({"backend": "pixels", "colour": 1}, "colour and map_weights are for backbone and auto"),
        ({"backend": "pixels", "map_weights": [1]}, "leave them unset for pixels"),
        ({"map_weights": [1, 2, 3]}, "one weight per map, but it has 3 for 2"),
        ({"backend": "auto", "out_features": ["stage1"], "map_weights": [1, 2]}, "it has 2 for 1"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(values: dict[str, object], problem: str) -> None:
    """One sentence says which setting is wrong, and what it was compared with."""
    with pytest.raises(UsageError, match=problem):
        GroupingSettings.parse(values, "grouping")
