"""The page of small stores: finished, in mid-run, without ground truth, empty."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pdstore import Store
from pdstore.errors import UsageError
from schemas.catalog import catalog_of
from stages.plan.project import Project
from stages.show.report.contents import read_contents
from stages.show.report.page import render
from tests.stages.show.report.reading import Page, read


def page_of(store: Store, **options: object) -> Page:
    return read(render(read_contents(Project.open(store), **options)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def page(finished: Store) -> Page:
    return page_of(finished, num_images=2)


def test_every_number_is_that_of_sql(finished: Store, page: Page) -> None:
    """The table of all numbers has exactly the values of ``metrics``, to the second decimal."""
    metrics = catalog_of(finished).query(
        "SELECT evaluated, metric, value FROM metrics WHERE protocol = 'honest' AND class_name = '' AND isfinite(value)"
    )
    head = next(row for row in page.cells if row[:2] == ["demo", "protocol"])
    shown = {row[0]: dict(zip(head, row, strict=True)) for row in page.cells if row[1:2] == ["honest"]}
    rows = metrics.to_pylist()
    assert len(rows) > 60
    assert [r for r in rows if shown[r["evaluated"]][r["metric"]] != f"{r['value']:.2f}"] == []


def test_monitors_are_those_of_sql(finished: Store, page: Page) -> None:
    """The table of coverage has the numbers of the view."""
    rows = catalog_of(finished).query("SELECT * FROM coverage WHERE node = 'grouping' AND role = 'objects'").to_pylist()
    (shown,) = [row for row in page.cells if row[:2] == ["grouping", "detic"]]
    assert shown[2:6] == [f"{rows[0][name]:,}" for name in ("images_in", "images_out", "dropped", "with_reason")]
    assert shown[-2:] == [f"{rows[0][name]:,}" for name in ("rows_in", "rows_out")]


def test_every_section_is_there(page: Page) -> None:
    """Results, stages in words, classes with their confusions, pictures, monitors, losses, states."""
    for words in (
        "Parts found in drawn images of the demo, seed 0",
        "Whole object as one part",
        "Where it starts.",
        "etter than whole object as one part",
        "mIoU of final model (distill)",
        "Which part is taken for which",
        "Best",
        "Worst",
        "Parts per object",
        "Changed by the CRF",
        "Clusters in use",
        "Loss of the finished trainings",
    ):
        assert words in page.text, words
    assert not any(word in page.text for word in ("None", "nan", "Undefined"))


def test_pictures_are_in_the_page(page: Page) -> None:
    """Two best and two worst images, each with the truth and the masks of every stage, as JPEG."""
    pictures = [address for address in page.addresses if address.startswith("data:")]
    assert len(pictures) == 4 * 8
    for uri in pictures:
        image = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
        assert max(image.size) == 200


def test_equal_stores_give_equal_pages(finished: Store) -> None:
    """No clock and no order of a hash comes into the page."""
    first, second = (render(read_contents(Project.open(finished), num_images=1)) for _ in range(2))
    assert first == second


def test_text_from_outside_is_escaped(finished: Store) -> None:
    """A name with markup in it is shown as it is written."""
    contents = read_contents(Project.open(finished), num_images=0)
    evil = '<script src="http://x.org">&"\''
    overview = replace(contents.overview, store=evil, source=evil)
    notes = replace(contents.monitors, notes=(evil,))
    page = read(render(replace(contents, overview=overview, monitors=notes), f"pd --store {evil}"))
    assert page.text.count(evil) > 4


def test_a_store_in_mid_run(copy_store: Callable[..., Store]) -> None:
    """What is there is shown: stages that were evaluated, and monitors of the blocks that are committed."""
    gone = ("ranking", "labels", "distill-train", "distill", "eval-labels", "eval-distill")
    store = copy_store(*gone)
    layer = store.layer("proposals", store.current()["proposals"])
    for unit in layer.units()[1:]:
        layer.withdraw(unit)
    page = page_of(store, num_images=1)
    assert "mIoU of CRF (crf-labels)" in page.text
    (row,) = [row for row in page.cells if row[:2] == ["proposals", "ingest"]]
    assert row[2] == "8"
    assert ["labels", "labels", "not started", "0 of 5"] in [row[:4] for row in page.cells]


def test_ground_truth_without_an_evaluation(copy_store: Callable[..., Store]) -> None:
    """The page says what to run, and shows images by chance."""
    page = page_of(
        copy_store(*(f"eval-{n}" for n in ("one-part", "grouping", "crf", "labels", "distill"))), num_images=1
    )
    assert "No evaluation yet. Run: pd eval" in page.text
    assert "Some images by chance" in page.text and "Parts per object" in page.text


def test_a_store_without_ground_truth(grouped: Store) -> None:
    """Monitors and images by chance; nothing is scored, and the page says why."""
    page = page_of(grouped, num_images=2)
    assert "no ground truth" in page.text and "Some images by chance" in page.text
    assert "steps-1" not in page.ids and "Areas" in page.text
    assert len([a for a in page.addresses if a.startswith("data:")]) == 2 * 3


def test_an_empty_store(classical: Callable[..., Store]) -> None:
    """Nothing was computed: the page says what to run."""
    page = page_of(classical())
    assert "Nothing has been computed yet. Run: pd run" in page.text and "No masks yet." in page.text


def test_images_that_are_gone_are_said(grouped: Store, tmp_path: Path) -> None:
    """A page without its pictures is a page."""
    root = Path(str(grouped.info.source["root"]))
    hidden = root.rename(tmp_path / "hidden")
    try:
        page = page_of(grouped)
    finally:
        shutil.move(hidden, root)
    assert "Some pictures are left out" in page.text and "the image's file" in page.text


def test_an_unknown_data_set_is_refused(finished: Store, classical: Callable[..., Store]) -> None:
    """With the ones that there are; of a pipeline without ground truth, that it has none."""
    assert "Stage by stage" in page_of(finished, dataset="truth", num_images=0).text
    with pytest.raises(UsageError, match="Did you mean 'truth'"):
        page_of(finished, dataset="trut")
    with pytest.raises(UsageError, match="leave --dataset out"):
        page_of(classical(), dataset="truth")


def test_a_store_of_another_version_of_the_program(copy_store: Callable[..., Store]) -> None:
    """Layers that are recorded but not those of this program are shown by their numbers, and it is said."""
    store = copy_store()
    page = read(render(read_contents(Project.open(store, ["ingest.copy=true"]))))
    assert "another version of the program" in page.text and "Stage by stage" in page.text
