"""docs/clusters.md: its commands are commands, and its manifest is one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from cli.main import pd

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clusters.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, body in BLOCKS if not language for line in body.splitlines()]
COMMANDS += re.findall(r"^\| .* \| `(pd .*)` \|$", PAGE, re.MULTILINE)


def parse(words: list[str]) -> None:
    """Raises click.UsageError if there is no such command, argument or option."""
    command: click.Command | None = pd
    assert words.pop(0) == "pd"
    with pd.make_context("pd", list(words), resilient_parsing=False) as context:
        found = [*context._protected_args, *context.args]
        while isinstance(command, click.Group):
            command = command.get_command(context, found.pop(0))
        assert command is not None
        command.make_context("pd", found, parent=context)


def test_every_block_is_of_a_known_language() -> None:
    """Blocks are commands or a manifest; there is nothing that no test reads."""
    assert sorted({language for language, _ in BLOCKS}) == ["", "yaml"] and len(COMMANDS) > 10


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one(line: str) -> None:
    """Every ``pd`` of the page has a verb, arguments and options that exist; so does the extra that is installed."""
    words = shlex.split(line.replace("K/N", "1/2"), comments=True)
    if words[0] == "pip":
        assert re.search(r"^ray = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE) and "[ray]" in words[-1]
    else:
        parse(words)


def test_the_manifest_is_an_indexed_job() -> None:
    """Each pod computes the shard of its index: as many shards as completions, counted from 1."""
    (job,) = (yaml.safe_load(body) for language, body in BLOCKS if language == "yaml")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert (job["kind"], spec["completionMode"], pod["restartPolicy"]) == ("Job", "Indexed", "Never")
    (line,) = pod["containers"][0]["args"]
    count = spec["completions"]
    assert line.endswith(f" --shard $((JOB_COMPLETION_INDEX+1))/{count}")
    assert spec["podFailurePolicy"]["rules"][1]["onExitCodes"]["values"] == [75]
    parse(shlex.split(line.replace("$((JOB_COMPLETION_INDEX+1))", str(count)))[1:])
