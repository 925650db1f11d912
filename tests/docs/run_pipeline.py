"""Run a whole pipeline, then ask one question: ``run_pipeline.py SOURCE.json PIPELINE STORE SQL``; prints JSON.

A program of its own, so that it runs on the copy of the source tree that PYTHONPATH names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import stages
from schemas.catalog import catalog_of
from schemas.pipeline import SourceSpec
from stages.create.store import create_store
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.run.runner import run_node


def main(source: str, pipeline: str, url: str, sql: str) -> None:
    spec = SourceSpec.parse(json.loads(Path(source).read_text()), "source")
    project = Project.open(create_store(url, spec, read_preset(pipeline)))
    for name in project.nodes:
        run_node(project, name)
    print(json.dumps({"code": stages.__path__[0], "rows": catalog_of(project.store).query(sql).to_pylist()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
