"""CONTRIBUTING.md, CITATION.cff and .pre-commit-config.yaml agree with the project that they speak of."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = ("CONTRIBUTING.md", "docs/extending.md", "examples/README.md")


def pyproject() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def hooks() -> dict[str, dict[str, Any]]:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    return {hook["id"]: hook for hook in repository["hooks"]}


def programs() -> set[str]:
    """The programs that the packages of the extra ``dev`` bring."""
    names = {re.split(r"[\[<>=~ ]", requirement)[0] for requirement in pyproject()["optional-dependencies"]["dev"]}
    assert len(names) > 5
    files = [file for name in names - {"pdstore"} for file in importlib.metadata.files(name) or ()]
    return {file.name for file in files if file.parent.name == "bin"}


@pytest.mark.parametrize("hook", hooks().values(), ids=lambda hook: hook["id"])
def test_a_hook_runs_a_program_of_the_development_extras(hook: dict[str, Any]) -> None:
    """Every hook runs what ``make install`` put into .venv, so its version is that of constraints.txt."""
    program, *_ = hook["entry"].split()
    assert hook["language"] == "system"
    assert program.startswith(".venv/bin/") and program.removeprefix(".venv/bin/") in programs()


def test_hooks_are_the_checks_of_make_lint() -> None:
    """A commit that the hooks let through passes ``make lint``: the same programs with the same commands."""
    recipe = (ROOT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    linted = {tuple(words.split()) for words in re.findall(r"\$\(BIN\)/([a-z-]+(?: [a-z]+)?)", recipe)}
    hooked = {
        tuple(word for word in hook["entry"].removeprefix(".venv/bin/").split() if word[0] != "-")
        for hook in hooks().values()
    }
    assert hooked == linted and ("ruff", "format") in linted


def test_checks_of_the_whole_tree_take_no_file_names() -> None:
    """Types and imports hold between files, so mypy and import-linter are not given the changed ones alone."""
    assert {name for name, hook in hooks().items() if hook.get("pass_filenames") is False} == {"mypy", "import-linter"}


def test_the_citation_is_of_this_release() -> None:
    """Title, version and licence are those of the package."""
    citation, project = yaml.safe_load((ROOT / "CITATION.cff").read_text()), pyproject()
    assert citation["cff-version"] == "1.2.0" and citation["title"] == "pd" in project["scripts"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert citation["message"] and citation["authors"]


def test_the_citation_names_the_paper() -> None:
    """PartDistillation is cited with its authors in order, its venue and its preprint."""
    (paper,) = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"]
    assert paper["title"] == "PartDistillation: Learning Parts from Instance Segmentation"
    authors = [f"{author['given-names']} {author['family-names']}" for author in paper["authors"]]
    assert authors == ["Jang Hyun Cho", "Philipp Krähenbühl", "Vignesh Ramanathan"]
    assert (paper["year"], paper["conference"]["name"]) == (2023, "CVPR 2023")
    assert paper["url"].endswith("/2303.09572")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link of a page is a file of the tree, and every anchor a heading of the page."""
    text = (ROOT / page).read_text()
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    headings = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    targets = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert targets
    for target in targets:
        path, _, anchor = target.partition("#")
        assert (ROOT / page).parent.joinpath(path).exists(), target
        assert not anchor or anchor in headings, target


def test_targets_of_make_exist() -> None:
    """Whatever CONTRIBUTING.md tells to make, the Makefile makes."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert {"install", "check", "test", "lint"} <= named <= targets


def test_every_example_is_listed_with_its_command() -> None:
    """The page of examples has one line per script, with a command that names it."""
    lines = (ROOT / "examples" / "README.md").read_text().splitlines()
    scripts = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
    assert len(scripts) >= 3
    listed = [name for line in lines for name in scripts if f"[{name}]" in line and f"examples/{name} " in line]
    assert sorted(listed) == scripts
