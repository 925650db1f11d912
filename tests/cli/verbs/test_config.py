"""``pd config``: presets, settings and where each comes from, and changes to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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


def test_config_set_says_what_a_change_leads_to(pd: Pd, store: Path) -> None:
    """A new layer is still to be computed, a former one is already there, and some settings change no result."""
    assert pd("run", "--until", "grouping").code == 0
    forth, back = pd("config", "set", "grouping.k=3"), pd("config", "set", "grouping.k=2")
    (line,) = [line for line in forth.err.splitlines() if line.startswith("grouping: ")]
    assert line.endswith("not computed yet; 1 older layers are kept")
    (line,) = [line for line in back.err.splitlines() if line.startswith("grouping: ")]
    assert line.endswith("3 units are already committed")
    assert pd("config", "set", "detic.batch_size=3").err == "Recorded. No result changes.\n"


def test_config_set_takes_only_settings(pd: Pd, store: Path) -> None:
    """A word without an equals sign is refused with an example, and nothing is recorded."""
    before = committed(store)
    assert_error(
        pd("config", "set", "crf.gt_prob=0.8", "crf"), 2, "expected node.key=value, found 'crf'", "grouping.k=5"
    )
    assert committed(store) == before


def test_config_show_says_whose_settings_it_shows(pd: Pd, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset may be shown inside a store; outside one the default preset is shown, and a line says so."""
    assert_error(pd("config", "show", "segmenter"), 2, "'segmenter'")
    assert "segmenter.steps" in pd("config", "show", "segmenter", "--preset", "demo").out
    monkeypatch.delenv("PD_STORE")
    assert "There is no store here. These are the settings of the preset no_weights." in pd("config", "show").err
