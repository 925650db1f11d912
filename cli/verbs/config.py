"""``pd config``: list presets, show settings and where each comes from, print their schema, change them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import click
from pydantic import BaseModel

from cli.output import print_json, print_table, say
from cli.recording import record_changes, recorded_states
from cli.session import has_store, open_project, open_store, split_words
from cli.verbs.init import PRESET
from pdstore.errors import UsageError
from stages.plan.editing import edited, pipeline_text
from stages.plan.overrides import merge_overrides
from stages.plan.pipeline import Node, Pipeline
from stages.plan.presets import parse_pipeline, preset_names, read_preset
from stages.registry import STAGES

__all__ = ["command"]

_NETWORK = "preset"
"""The setting of a network that fills in the others."""


@click.group("config")
def command() -> None:
    """Show or change the settings."""


@command.command("list")
def list_presets() -> None:
    """List the presets that come with the program.

    \b
    Example:
      pd config list
    """
    specs = {name: read_preset(name) for name in preset_names()}
    print_table(("preset", "nodes", "what it is for"), [(n, len(s.nodes), s.description) for n, s in specs.items()])


@command.command("show")
@click.argument("words", nargs=-1, metavar="[NODE] [NODE.KEY=VALUE]…")
@click.option(
    "--preset", metavar="NAME|FILE", help="Show the settings of a preset or a YAML file instead of the store's."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the store's pipeline as a file for pd config apply.")
def show(words: tuple[str, ...], preset: str | None, as_json: bool, as_yaml: bool) -> None:
    """Show the settings of all nodes, or of one, and where each value comes from.

    The origin is one of: default (the program), preset (the pipeline's file), network NAME (the network's preset,
    which the pipeline's file names), implied (another setting), override (pd init, pd config set or a run). An
    operational setting changes no result and is not part of the fingerprint.

    \b
    Examples:
      pd config show
      pd config show grouping
      pd config show ranking --preset demo
    """
    names, overrides = split_words(words)
    if as_yaml:
        if names or preset or as_json:
            extra = names[0] if names else "--preset" if preset else "--json"
            raise UsageError(f"--yaml prints the whole pipeline of the store, found {extra}", "--yaml", "Leave it out")
        print(pipeline_text(open_project(overrides)), end="")
        return
    pipeline = _pipeline(preset, overrides)
    nodes = [pipeline[name] for name in names] or list(pipeline.nodes.values())
    settings = {node.name: list(_settings(pipeline, node)) for node in nodes}
    if as_json:
        print_json({name: {s.pop("setting"): s for s in listed} for name, listed in settings.items()})
        return
    rows = [
        (f"{name}.{s['setting']}", _text(s["value"]), s["origin"], s["doc"])
        for name in settings
        for s in settings[name]
    ]
    print_table(("setting", "value", "from", "meaning"), rows)


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of every stage's settings.

    \b
    Example:
      pd config schema > settings.schema.json
    """
    print_json({name: stage.settings.model_json_schema(by_alias=True) for name, stage in STAGES.items()})


@command.command("set")
@click.argument("overrides", nargs=-1, required=True, metavar="NODE.KEY=VALUE…")
def set_values(overrides: tuple[str, ...]) -> None:
    """Record settings in the store, whose pipeline uses them from now on. Nothing is computed or deleted.

    The views go on showing the last complete layer of a changed node, until `pd run` has completed the new one. Both
    are kept: TABLE_all has all layers.

    \b
    Example:
      pd config set grouping.k=5 ranking.k=8
    """
    names, _ = split_words(overrides)
    if names:
        raise UsageError(f"expected node.key=value, found {names[0]!r}", "pd config set", "For example: grouping.k=5")
    project = open_project(overrides)
    record_changes(project)


@command.command("log")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def log(as_json: bool) -> None:
    """List the states of the pipeline: when each was recorded, by whom, and what it changed.

    \b
    Examples:
      pd config log
      pd sql "SELECT count(*) FROM parts" --at 2
    """
    rows = list(recorded_states(open_store()))
    if as_json:
        print_json(rows)
        return
    shown = [(row["state"], row["created"] or "", row["who"], "; ".join(row["changes"])) for row in rows]
    print_table(("state", "recorded", "by", "what changed"), shown)


@command.command("edit")
def edit() -> None:
    """Open the pipeline as YAML in $VISUAL or $EDITOR, and record it if it is valid. Nothing is computed.

    \b
    Example:
      pd config edit
    """
    project = open_project()
    if not (os.environ.get("VISUAL") or os.environ.get("EDITOR") or sys.stdin.isatty()):
        fix = "Set EDITOR. Or write the file with: pd config show --yaml, and record it with: pd config apply FILE"
        raise UsageError("no editor is named, and there is no terminal to start one in", "pd config edit", fix)
    text = click.edit(pipeline_text(project), extension=".yaml")
    if text is None:
        say("Nothing was changed.")
        return
    try:
        changed = edited(project, parse_pipeline(text, "the edited text"))
    except UsageError as error:
        handle, kept = tempfile.mkstemp(prefix="pipeline-", suffix=".yaml", text=True)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        error.fix = f"{error.fix}. Your text is kept. Once it is right: pd config apply {kept}"
        raise
    record_changes(changed)


@command.command("apply")
@click.argument("file", metavar="FILE|PRESET")
def apply(file: str) -> None:
    """Record the pipeline of a YAML file in the store, in place of the one that is there. Nothing is computed.

    It is checked as a whole before anything is recorded. Nodes whose settings stay the same keep their results, and the
    layers of nodes that are no longer there are kept, too.

    \b
    Examples:
      pd config show --yaml > pipeline.yaml
      pd config apply pipeline.yaml
      pd config apply no_weights_trained
    """
    record_changes(edited(open_project(), read_preset(file)))


def _pipeline(preset: str | None, overrides: list[str]) -> Pipeline:
    """The pipeline of the preset that is named, else of the store, else of the default preset."""
    if preset is None and has_store():
        return open_project(overrides).pipeline
    if preset is None:
        say(f"There is no store here. These are the settings of the preset {PRESET}.")
    return Pipeline(read_preset(preset or PRESET), merge_overrides(overrides))


def _settings(pipeline: Pipeline, node: Node) -> Iterator[dict[str, Any]]:
    """One record per setting, nested settings by their path: its path, value, origin and meaning."""
    given = dict(_leaves(pipeline.spec.nodes[node.name].settings))
    overrides = dict(_leaves(pipeline.overrides.get(node.name, {})))
    for path, value, is_set, is_operational, doc in _fields(node.settings):
        origin = "override" if path in overrides else "preset" if path in given else "default"
        if path.endswith(f".{_NETWORK}"):
            value = overrides.get(path, given.get(path, value))
        elif is_set and origin == "default":
            # It is written in no file: the network's preset sets it, or another setting implies it.
            network = f"{path.rpartition('.')[0]}.{_NETWORK}"
            chosen = overrides.get(network, given.get(network))
            origin = f"network {chosen}" if chosen else "implied"
        yield {
            "setting": path,
            "value": value,
            "origin": f"{origin}, operational" if is_operational else origin,
            "doc": doc,
        }


def _fields(settings: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, bool, bool, str]]:
    """(path, value, whether it was set, whether it is operational, meaning) of every setting."""
    for name, field in type(settings).model_fields.items():
        path, value = f"{prefix}{field.alias or name}", getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _fields(value, f"{path}.")
        else:
            extra = field.json_schema_extra
            is_operational = isinstance(extra, dict) and bool(extra.get("operational"))
            yield path, value, name in settings.model_fields_set, is_operational, field.description or ""


def _leaves(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten nested settings: ``{"a": {"b": 1}}`` -> ``("a.b", 1)``."""
    if not isinstance(values, dict):
        yield prefix, values
        return
    for key, value in values.items():
        yield from _leaves(value, f"{prefix}.{key}" if prefix else key)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
