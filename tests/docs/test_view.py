"""docs/view.md: its commands are commands, its conditions are conditions, and it lists the keys that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="pip install 'pdstore[view]'")

from cli.main import pd
from stages.show.web.condition import checked_condition
from stages.show.web.gallery_rows import read_page
from stages.show.web.gallery_state import GalleryState
from stages.show.web.snapshots import Snapshot
from tests.stages.show.web.conftest import snapshot, snapshots, viewed

__all__ = ["snapshot", "snapshots", "viewed"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "view.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def lines(language: str) -> list[str]:
    return [line for found, body in BLOCKS if found == language for line in body.splitlines()]


def test_every_block_is_of_a_known_language() -> None:
    """Blocks are commands or conditions; there is nothing that no test reads."""
    assert {language for language, _ in BLOCKS} == {"bash", "sql"}


@pytest.mark.parametrize("line", lines("bash"))
def test_a_command_is_one(line: str) -> None:
    """Every ``pd`` of the page has a verb and options that exist; the extra that is installed exists too."""
    words = shlex.split(line)
    if words[0] == "pip":
        assert re.search(r"^view = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE) and "[view]" in words[-1]
        return
    arguments = words[words.index("pd") + 1 :]
    with pd.make_context("pd", [*arguments[:2], "view"] if arguments[0] == "--store" else ["view"]) as context:
        verb = pd.get_command(context, "view")
        assert verb is not None
        verb.make_context("view", arguments[arguments.index("view") + 1 :], parent=context)


@pytest.mark.parametrize("line", lines("sql"))
def test_a_condition_finds_images(line: str, snapshot: Snapshot) -> None:
    """Every condition of the page passes the checks and can be asked of a store."""
    assert checked_condition(line) == line
    read_page(snapshot, GalleryState("labels", where=line))


def test_keys_are_those_of_the_gallery() -> None:
    """The table of keys names what the help of the page names."""
    template = (ROOT / "stages/show/web/templates/gallery.html").read_text()
    base = (ROOT / "stages/show/web/templates/base.html").read_text()
    rows = "".join(line.split("|")[1] + line.split("|")[2] for line in PAGE.splitlines() if line.startswith("| `"))
    keys = set(re.findall(r"<kbd>(\w|[/?])</kbd>", template + base))
    assert keys and keys <= set(re.findall(r"`(.+?)`", rows))
