"""``docs/python.md``: its blocks run, one after the other, on a small store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text()


def test_the_blocks_run(my_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with a store my-store, as a reader would type them; the last values are what the page says."""
    monkeypatch.chdir(my_store.parent)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 7
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert names["masks"].shape == (16, 128, 128) and names["features"].ndim == 2  # type: ignore[attr-defined]


def test_links_lead_to_pages() -> None:
    """Every relative link is a page of docs/, and every anchor a heading there."""
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        page, _, anchor = target.partition("#")
        text = (ROOT / "docs" / page).read_text()
        headings = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
        assert not anchor or anchor in headings
