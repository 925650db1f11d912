"""``pd config``: presets, settings and where each comes from, and changes to them."""

from __future__ import annotations

import json
import sys
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


def rows(pd: Pd, sql: str) -> list[str]:
    result = pd("sql", sql, "--format", "csv")
    assert result.code == 0, result.err
    return result.out.splitlines()[1:]


PARTS = "SELECT node, image_id, object_id, part_id, area FROM parts{} WHERE node = 'grouping' ORDER BY ALL"


def test_the_views_stay_until_the_new_layer_is_complete(pd: Pd, store: Path) -> None:
    """After `config set` SQL answers as before; `pd run` needs no option, and then all nodes show the new layers."""
    assert pd("run").code == 0
    former, clusters = rows(pd, PARTS.format("")), rows(pd, "FROM clusters ORDER BY ALL")
    said = pd("config", "set", "grouping.k=3").err
    assert "The views show the layers from before until the new ones are complete. To compute them: pd run" in said
    assert rows(pd, PARTS.format("")) == former and rows(pd, "FROM clusters ORDER BY ALL") == clusters
    assert pd("stage", "run", "grouping", "--limit", "2").code == 0
    assert rows(pd, PARTS.format("")) == former
    assert pd("run").code == 0
    latter = rows(pd, PARTS.format(""))
    assert len(former) == 6 * 2 and len(latter) > len(former)
    assert len(rows(pd, PARTS.format("_all"))) == len(former) + len(latter)
    assert rows(pd, "FROM clusters ORDER BY ALL") != clusters
    assert len(rows(pd, "SELECT DISTINCT layer FROM clusters")) == 1


def test_status_and_plan_say_what_is_shown_and_what_is_computed(pd: Pd, store: Path) -> None:
    """Both name the layer that the views show and the one that is not complete yet, until it is."""
    assert pd("run", "--until", "crf").code == 0
    old = json.loads(pd("status", "--json").out)["nodes"]["crf"]["layer"]
    pd("config", "set", "crf.iterations=3")
    state = json.loads(pd("status", "--json").out)["nodes"]["crf"]
    assert (state["shown"], state["state"]) == (old, "not started") and state["layer"] != old
    assert f"the views show {old[:8]} until this one is complete" in pd("status").out
    assert f"show {old[:8]} until {state['layer'][:8]} is complete" in pd("plan").out
    assert pd("run", "crf").code == 0
    state = json.loads(pd("status", "--json").out)["nodes"]["crf"]
    assert state["shown"] == state["layer"] and "the views show" not in pd("status").out


def test_a_barrier_reads_one_layer_of_its_input(pd: Pd, store: Path) -> None:
    """While an input has both a former layer and half of the new one, ranking refuses, and never mixes the two."""
    assert pd("run").code == 0
    pd("config", "set", "crf.iterations=3")
    assert pd("stage", "run", "crf").code == 0
    assert pd("stage", "run", "candidates", "--limit", "1").code == 0
    before = committed(store)
    assert_error(pd("run", "ranking"), 1, "it needs all 3 units of candidates, of which 2 are missing")
    assert {k: v for k, v in committed(store).items() if "layers" in k} == {
        k: v for k, v in before.items() if "layers" in k
    }


def test_settings_that_go_back_show_the_first_layer_at_once(pd: Pd, store: Path) -> None:
    """A change and its opposite leave the views as they were, with nothing to compute, also in a picture."""
    assert pd("run", "--until", "grouping").code == 0
    former = rows(pd, PARTS.format(""))
    pd("config", "set", "grouping.k=3")
    assert pd("show", "0", "--out", store.parent / "a.png").code == 0
    pd("config", "set", "grouping.k=2")
    assert pd("show", "0", "--out", store.parent / "b.png").code == 0
    assert (store.parent / "a.png").read_bytes() == (store.parent / "b.png").read_bytes()
    assert rows(pd, PARTS.format("")) == former and "already done" in pd("run", "grouping").err


def test_a_pipeline_is_edited_as_a_file(pd: Pd, store: Path, tmp_path: Path) -> None:
    """What `config show --yaml` prints, with a node and a setting changed, is recorded by `config apply`."""
    file = tmp_path / "edited.yaml"
    file.write_text(pd("config", "show", "--yaml").out)
    assert pd("config", "apply", file).err == "Recorded. No result changes.\n"
    text = file.read_text().replace("iterations: 2", "iterations: 1")
    file.write_text(text + "  weak: {stage: crf, inputs: {images: ingest, parts: grouping}}\n")
    said = pd("config", "apply", file)
    assert said.code == 0 and {"crf", "candidates", "ranking", "weak"} == {
        line.split(":")[0] for line in said.err.splitlines()
    }
    assert "weak" in json.loads(pd("status", "--json").out)["nodes"]
    assert_error(pd("config", "show", "crf", "--yaml"), 2, "--yaml prints the whole pipeline of the store, found crf")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("crf:", "crf: [", ("not valid YAML",)),
        ("k: 2", "kk: 2", ("unknown setting. Did you mean 'k'",)),
        ("parts: grouping", "part: grouping", ("no input 'part'. Did you mean 'parts'",)),
        ("block_size: 2", "block_size: 4", ("block_size is fixed when a store is made: it is 2 here",)),
        ("nodes:", "nods:", ("pipeline.nods: unknown setting. Did you mean 'nodes'",)),
    ],
)
def test_a_file_that_is_wrong_is_not_recorded(
    pd: Pd, store: Path, tmp_path: Path, old: str, new: str, words: tuple[str, ...]
) -> None:
    """One error names the key and the nearest name; the store stays as it was."""
    before, file = committed(store), tmp_path / "edited.yaml"
    file.write_text(pd("config", "show", "--yaml").out.replace(old, new, 1))
    assert_error(pd("config", "apply", file), 2, *words)
    assert committed(store) == before


def test_an_editor_changes_the_pipeline(pd: Pd, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$EDITOR gets the pipeline as YAML; a wrong text is kept in a file that the error names, nothing is lost."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    if not sys.stdin.isatty():
        assert_error(pd("config", "edit"), 2, "no editor is named", "Set EDITOR")
    monkeypatch.setenv("EDITOR", "true")
    assert pd("config", "edit").err == "Nothing was changed.\n"
    monkeypatch.setenv("EDITOR", "sed -i 's/iterations: 2/iterations: 5/'")
    assert pd("config", "edit").code == 0
    assert json.loads(pd("config", "show", "crf", "--json").out)["crf"]["iterations"]["value"] == 5
    before = committed(store)
    monkeypatch.setenv("EDITOR", "sed -i 's/iterations: 5/iteration: 4/'")
    failed = pd("config", "edit")
    assert_error(failed, 2, "crf.iteration: unknown setting. Did you mean 'iterations'", "pd config apply /")
    kept = Path(failed.err.strip().rstrip(".").split("pd config apply ")[1])
    assert "iteration: 4" in kept.read_text() and committed(store) == before
    kept.unlink()


def test_a_training_is_added_to_own_photographs(pd: Pd, photos: Path, tmp_path: Path) -> None:
    """`config apply no_weights_trained` leaves everything before the training as it is in a store of no_weights."""
    url = tmp_path / "own"
    assert pd("init", url, "--images", photos, "--preset", "no_weights").code == 0
    said = pd("--store", url, "config", "apply", "no_weights_trained")
    changed = {line.split(":")[0] for line in said.err.splitlines() if " -> " in line}
    assert said.code == 0 and changed == {"candidates", "ranking", "labels"}
