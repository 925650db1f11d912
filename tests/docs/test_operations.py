"""docs/operations.md: its commands are commands, its sums are right, its rates are measured, its queries run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from cli.main import VERBS
from cli.verbs.upkeep.doctor import command
from pdstore import Store
from pdstore.verify import repair, verify
from schemas.catalog import catalog_of
from schemas.pipeline import PipelineSpec, SourceSpec
from schemas.training import TrainSettings
from stages.create.store import create_store
from stages.doctor.finding import GROUPS
from stages.plan.cost import DATASETS
from stages.plan.pipeline import Pipeline
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.run.runner import run_node
from tests.cli.conftest import draw
from tests.docs.test_clusters import parse

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
MEASURED = (ROOT / "docs" / "measurements.md").read_text()
LINES = [line for body in re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for line in body.splitlines()]
COMMANDS = [line for line in LINES if " pd " in f" {line}"]


@pytest.fixture
def finished(tmp_path: Path) -> Store:
    """Six pictures in three blocks, which have been read."""
    for number in range(6):
        draw(tmp_path / "photos" / "cat" / f"{number}.png", number)
    spec = PipelineSpec.parse({"block_size": 2, "nodes": {"ingest": {}}}, "pipeline")
    store = create_store(str(tmp_path / "store"), SourceSpec(root=str(tmp_path / "photos")), spec)
    run_node(Project.open(store), "ingest")
    return store


def rows(first: str) -> list[list[str]]:
    """The cells of the table whose heading begins with this cell."""
    table = PAGE.split(f"\n| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one(line: str) -> None:
    """Every ``pd`` of the page has a verb, arguments and options that exist."""
    words = shlex.split(line, comments=True)
    parse(words[words.index("pd") :])


@pytest.mark.parametrize("words", re.findall(r"`(pd [a-z][^`]*)`", PAGE))
def test_a_command_in_a_sentence_is_one(words: str) -> None:
    """The same for those between the words."""
    found = shlex.split(words.replace("NODE.KEY=PATH", "crf.k=1"))
    if len(found) == 2:
        assert found[1] in VERBS
    else:
        parse(found)


def test_every_other_line_is_known() -> None:
    """Nothing else is in the blocks than what copies files and sets an endpoint."""
    assert {line.split()[0] for line in LINES if line not in COMMANDS} == {"rsync", "export"}


def test_every_group_of_the_doctor_is_explained() -> None:
    """In the order of the report, and the options are those that there are."""
    assert tuple(cells[0] for cells in rows("group")) == GROUPS
    assert {option.name for option in command.params} == {"rehearse", "as_json"}


def test_hours_follow_from_the_rates() -> None:
    """Images by images per second, as many as the data sets have."""
    found = rows("node")
    assert len(found) == 4
    for _, rate, *hours in found:
        for images, text in zip(DATASETS.values(), hours, strict=True):
            assert float(text) == pytest.approx(images / float(rate) / 3600, rel=0.02)
    assert all(f"{images:,}" in PAGE for images in DATASETS.values())


def test_hours_of_trainings_follow_from_the_presets() -> None:
    """Steps and images per step are those of the preset; eight images take the seconds that were measured."""
    for name, preset, size, hours in rows("training"):
        settings = Pipeline(read_preset(preset.strip("`")))[name.strip("`")].settings
        assert isinstance(settings, TrainSettings)
        assert size == f"{settings.steps:,} x {settings.batch_size}"
        assert float(hours) == pytest.approx(settings.steps * settings.batch_size / 8 * 0.357 / 3600, abs=0.6)


RATES = ("107.2", "83.7", "92.1", "0.357 s", "8,459 MiB", "156.9 ms", "811", "14.5 MB", "456 MB", "380 MB")


@pytest.mark.parametrize("number", RATES)
def test_a_rate_is_one_that_was_measured(number: str) -> None:
    """It is on the page of measurements, beside the command that printed it."""
    assert number in PAGE and number in MEASURED


def test_its_queries_run(finished: Store) -> None:
    """On a store with commits."""
    queries = [shlex.split(line)[2] for line in COMMANDS if line.startswith("pd sql")]
    assert len(queries) == 2
    assert catalog_of(finished).query(queries[0]).column_names == ["node", "reason", "n"]
    hours = catalog_of(finished).query(queries[1]).to_pydict()
    assert hours["node"] == ["ingest"] and hours["gb"][0] > 0


def test_its_links_lead_somewhere() -> None:
    """Every relative link is a page of docs/, and every anchor a heading there."""
    for page, anchor in re.findall(r"\]\(([\w./-]+\.md)(?:#([\w-]+))?\)", PAGE):
        text = (ROOT / "docs" / page).read_text()
        headings = {re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in text.splitlines()}
        assert not anchor or anchor in headings, (page, anchor)


def test_a_copy_that_was_made_in_between_can_be_repaired(finished: Store, tmp_path: Path) -> None:
    """A manifest was copied whose files were not: it is listed, and withdrawn; the rest of the copy is sound."""
    shutil.copytree(finished.url, tmp_path / "backup")
    copy = Store(str(tmp_path / "backup"))
    layer = copy.layer("ingest", copy.current()["ingest"])
    shutil.rmtree(copy.files.local(layer.manifest(1).folder))
    found = [damage for damage in verify(copy) if damage]
    assert {damage.unit for damage in found} == {1} and all(repair(copy, damage) for damage in found)
    assert [damage for damage in verify(copy) if damage] == []
    assert [unit for unit in range(3) if unit not in layer.units()] == [1]
