"""Presets: the pipelines that come with the program, and the user's YAML files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import yaml

from pdstore.errors import UsageError, nearest
from schemas.pipeline import PipelineSpec
from stages.source.text_files import read_text

__all__ = ["parse_pipeline", "preset_names", "read_preset"]


def read_preset(name: str) -> PipelineSpec:
    """The pipeline of a preset, given by name, or of a YAML file, given by path.

    Raises:
        UsageError: there is no such preset or file, or its content is wrong.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        if not path.is_file():
            raise UsageError("this YAML file does not exist", name, "Check the path")
        text = read_text(path)
    elif name in preset_names():
        text = (resources.files("configs") / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        fix = f"Name a preset, or the path of a YAML file. {nearest(name, preset_names())}"
        raise UsageError(f"there is no preset {name!r}", "--preset", fix)
    return parse_pipeline(text, name)


def parse_pipeline(text: str, where: str) -> PipelineSpec:
    """The pipeline that a YAML text describes. Whether its nodes fit together is not checked here.

    Raises:
        UsageError: the text is not valid YAML, or not a pipeline.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = f"this file is not valid YAML: {' '.join(str(error).split())}"
        raise UsageError(problem, where, "Fix the file") from None
    if not isinstance(values, dict):
        problem = f"expected a mapping with 'nodes', found {type(values).__name__}"
        raise UsageError(problem, where, "Fix the file")
    return PipelineSpec.parse(values, "pipeline")


def preset_names() -> list[str]:
    """The presets that come with the program."""
    return sorted(
        p.name.removesuffix(".yaml") for p in resources.files("configs").iterdir() if p.name.endswith(".yaml")
    )
