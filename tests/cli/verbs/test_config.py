"""``pd config``: presets, settings and where each comes from, and changes to them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Pd, assert_error, committed


def test_config_shows_where_each_value_comes_from(pd: Pd, store: Path) -> None:
    """Values come from the default, the preset or an override; operational settings are marked."""
    pd("config", "set", "crf.gt_prob=0.8")
    shown = json.loads(pd("config", "show", "--json").out)
    assert shown["crf"]["gt_prob"]["origin"] == "override"
    assert shown["crf"]["iterations"]["origin"] == "preset"
    assert shown["crf"]["long_side"]["origin"] == "default"
    assert shown["detic"]["batch_size"]["origin"] == "default, operational"
    assert "crf.gt_prob" in pd("config", "show", "crf").out


def test_config_works_without_a_store(pd: Pd) -> None:
    """Presets, their settings and the schema can be read anywhere."""
    assert "no_weights" in pd("config", "list").out
    assert "ranking.k" in pd("config", "show", "ranking", "--preset", "demo").out
    assert "grouping.k" in pd("config", "show", "grouping").out
    assert "k" in json.loads(pd("config", "schema").out)["grouping"]["properties"]


def test_settings_of_a_wrong_type(pd: Pd, store: Path) -> None:
    """One error lists every fault of a node."""
    before = committed(store)
    result = pd("config", "set", "grouping.k=many", "grouping.metric=l3")
    assert_error(result, 2, "2 settings are not valid", "grouping.k: ", "found 'many'", "grouping.metric: ", "'l3'")
    assert committed(store) == before
