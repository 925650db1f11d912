from __future__ import annotations

from dataclasses import fields

import pytest

from pdstore import Store
from stages.plan.shard import Shard
from stages.plan.work import WorkOptions
from stages.run.options import RunOptions
from tests.stages.run.commands import run


def test_options_of_a_run_are_options_of_the_planner() -> None:
    """By default everything that is missing is computed, once retried, and nothing that is done."""
    options = RunOptions()
    assert {field.name: getattr(options, field.name) for field in fields(WorkOptions)} == vars(WorkOptions())
    assert (options.retries, options.max_error_rate, options.dry_run, options.wait) == (1, 0.5, False, False)


@pytest.mark.parametrize(
    "options", [{"retries": 0}, {"wait": True}, {"poll_s": 0.01}, {"max_error_rate": 1.0}, {"shard": Shard(1, 1)}]
)
def test_no_option_changes_what_is_computed(ready: Store, options: dict[str, object]) -> None:
    """The content of every unit is the same under any options."""
    layer = ready.layer("crf", ready.current()["crf"])
    run(ready, "crf")
    expected = {unit: manifest.content for unit, manifest in layer.manifests().items()}
    for unit in expected:
        layer.withdraw(unit)
    run(ready, "crf", **options)
    assert {unit: manifest.content for unit, manifest in layer.manifests().items()} == expected
