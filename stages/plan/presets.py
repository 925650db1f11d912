"""Presets: the pipelines that come with the program, and the user's YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pdstore.errors import UsageError, nearest
from schemas.pipeline import PipelineSpec, merged_values
from schemas.rounds import with_rounds
from stages.source.text_files import read_text
from stages.source.yaml_text import read_yaml

__all__ = ["parse_pipeline", "preset_names", "read_preset"]


def read_preset(name: str) -> PipelineSpec:
    """The pipeline of a preset, given by name, or of a YAML file, given by path.

    Raises:
        UsageError: there is no such preset or file, or its content is wrong.
    """
    return parse_pipeline(_text(name), name)


def _text(name: str, where: str = "--preset") -> str:
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        if not path.is_file():
            raise UsageError("this YAML file does not exist", name, "Check the path")
        return read_text(path)
    if name in preset_names():
        return (resources.files("configs") / f"{name}.yaml").read_text(encoding="utf-8")
    fix = f"Name a preset, or the path of a YAML file. {nearest(name, preset_names())}"
    raise UsageError(f"there is no preset {name!r}", where, fix)


def parse_pipeline(text: str, where: str) -> PipelineSpec:
    """The pipeline that a YAML text describes. Whether its nodes fit together is not checked here.

    With ``extends: NAME``, the text has only what is different from a preset, or from another file: mappings are
    merged, anything else is replaced, and ``null`` takes away a node or an input. With ``rounds: N``, the nodes of
    further rounds are written out: see :func:`schemas.rounds.with_rounds`.

    Args:
        where: the file of the text, to whose folder the path of another file is relative; or what the text is.

    Raises:
        UsageError: the text is not valid YAML, or not a pipeline.
    """
    return with_rounds(PipelineSpec.parse(_extended(_mapping(text, where), where, (where,)), "pipeline"))


def _mapping(text: str, where: str) -> dict[str, Any]:
    try:
        values = read_yaml(text)
    except ValueError as error:
        problem = f"this file is not valid YAML: {error}"
        raise UsageError(problem, where, "Fix the file") from None
    if not isinstance(values, dict):
        problem = f"expected a mapping with 'nodes', found {type(values).__name__}"
        raise UsageError(problem, where, "Fix the file")
    return values


def _extended(values: dict[str, Any], where: str, above: tuple[str, ...]) -> dict[str, Any]:
    """The values with those of what they extend. ``above`` leads to them, to find a circle."""
    own, base = {key: value for key, value in values.items() if key != "extends"}, values.get("extends", "")
    if "extends" not in values:
        return own
    if not isinstance(base, str) or not base:
        fix = "Write it like this: extends: imagenet_1k"
        raise UsageError(f"expected the name of a preset or the path of a YAML file, found {base!r}", where, fix)
    if Path(base).suffix in {".yaml", ".yml"}:
        base = str(Path(where).parent / base)
    if base in above:
        raise UsageError(f"these extend each other: {', '.join(above)}", base, "Fix the key extends of one of them")
    below = _extended(_mapping(_text(base, f"{where}, extends"), base), base, (*above, base))
    if isinstance(nodes := own.get("nodes"), Mapping) and isinstance(below.get("nodes"), Mapping):
        own = {**own, "nodes": _without_nothing(merged_values(below["nodes"], nodes))}
        below = {**below, "nodes": {}}
    return merged_values(below, own)


def _without_nothing(nodes: Mapping[str, Any]) -> dict[str, Any]:
    """The nodes without those, and without inputs, that are ``null``."""
    kept = {name: node for name, node in nodes.items() if node is not None}
    for name, node in kept.items():
        if isinstance(node, Mapping) and isinstance(inputs := node.get("inputs"), Mapping):
            kept[name] = {**node, "inputs": {role: of for role, of in inputs.items() if of is not None}}
    return kept


def preset_names() -> list[str]:
    """The presets that come with the program."""
    return sorted(
        p.name.removesuffix(".yaml") for p in resources.files("configs").iterdir() if p.name.endswith(".yaml")
    )
