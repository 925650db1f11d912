"""The page of small stores: finished, half finished, without ground truth, empty."""

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
    """The table of all numbers has exactly the values in ``metrics``, to two decimals."""
    metrics = catalog_of(finished).query(
        "SELECT evaluated, metric, value FROM metrics WHERE protocol = 'honest' AND class_name = '' AND isfinite(value)"
    )
    head = next(row for row in page.cells if row[:2] == ["demo", "protocol"])
    shown = {row[0]: dict(zip(head, row, strict=True)) for row in page.cells if row[1:2] == ["honest"]}
    rows = metrics.to_pylist()
    assert len(rows) > 60
    assert [r for r in rows if shown[r["evaluated"]][r["metric"]] != f"{r['value']:.2f}"] == []


def test_monitors_are_those_of_sql(finished: Store, page: Page) -> None:
    """The coverage table has the numbers of the view."""
    rows = catalog_of(finished).query("SELECT * FROM coverage WHERE node = 'grouping' AND role = 'objects'").to_pylist()
    (shown,) = [row for row in page.cells if row[:2] == ["grouping", "detic"]]
    assert shown[2:6] == [f"{rows[0][name]:,}" for name in ("images_in", "images_out", "dropped", "with_reason")]
    assert shown[-2:] == [f"{rows[0][name]:,}" for name in ("rows_in", "rows_out")]


def test_every_section_is_there(page: Page) -> None:
    """Results, verdicts on stages, classes with confusions, pictures, monitors, losses and states."""
    for words in (
        "Parts found in drawn images of the demo, seed 0",
        "Whole object as one part",
        "The starting point.",
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


def test_pictures_are_embedded_in_the_page(page: Page) -> None:
    """The two best and the two worst images, each with the ground truth and the masks of every stage, as JPEG."""
    pictures = [address for address in page.addresses if address.startswith("data:")]
    assert len(pictures) == 4 * 8
    for uri in pictures:
        image = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
        assert max(image.size) == 200


def test_equal_stores_give_equal_pages(finished: Store) -> None:
    """Neither the clock nor the order of hashes affects the page."""
    first, second = (render(read_contents(Project.open(finished), num_images=1)) for _ in range(2))
    assert first == second


def test_text_from_outside_is_escaped(finished: Store) -> None:
    """A name that contains markup is shown as text."""
    contents = read_contents(Project.open(finished), num_images=0)
    evil = '<script src="http://x.org">&"\''
    overview = replace(contents.overview, store=evil, source=evil)
    notes = replace(contents.monitors, notes=(evil,))
    page = read(render(replace(contents, overview=overview, monitors=notes), f"pd --store {evil}"))
    assert page.text.count(evil) > 4


def test_a_half_finished_store(copy_store: Callable[..., Store]) -> None:
    """The page shows the stages that were evaluated, and monitors of the blocks that are committed."""
    gone = ("candidates", "ranking", "labels", "distill-train", "distill", "eval-labels", "eval-distill")
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
    """The page says what to run, and shows random images."""
    page = page_of(
        copy_store(*(f"eval-{n}" for n in ("one-part", "grouping", "crf", "labels", "distill"))), num_images=1
    )
    assert "No evaluation yet. Run: pd eval" in page.text
    assert "Random images" in page.text and "Parts per object" in page.text


def test_a_store_without_ground_truth(grouped: Store) -> None:
    """The page shows monitors and random images, and says why nothing is scored."""
    page = page_of(grouped, num_images=2)
    assert "no ground truth" in page.text and "Random images" in page.text
    assert "steps-1" not in page.ids and "Areas" in page.text
    assert len([a for a in page.addresses if a.startswith("data:")]) == 2 * 3


def test_an_empty_store(classical: Callable[..., Store]) -> None:
    """If nothing has been computed, the page says what to run."""
    page = page_of(classical())
    assert "Nothing has been computed yet. Run: pd run" in page.text and "No masks yet." in page.text


def test_missing_image_files_are_reported(grouped: Store, tmp_path: Path) -> None:
    """Without the image files there is still a page, which says which file is missing."""
    root = Path(str(grouped.info.source["root"]))
    hidden = root.rename(tmp_path / "hidden")
    try:
        page = page_of(grouped)
    finally:
        shutil.move(hidden, root)
    assert "Some pictures are missing" in page.text and "the file of the image is missing" in page.text


def test_an_unknown_data_set_is_refused(finished: Store, classical: Callable[..., Store]) -> None:
    """The error names the data sets that exist or, for a pipeline without ground truth, says that it has none."""
    assert "Stage by stage" in page_of(finished, dataset="truth", num_images=0).text
    with pytest.raises(UsageError, match="Did you mean 'truth'"):
        page_of(finished, dataset="trut")
    with pytest.raises(UsageError, match="leave --dataset out"):
        page_of(classical(), dataset="truth")


def test_a_store_of_another_version_of_the_program(copy_store: Callable[..., Store]) -> None:
    """If the recorded layers are not those of this program, their numbers are shown and the page says so."""
    store = copy_store()
    page = read(render(read_contents(Project.open(store, ["ingest.copy=true"]))))
    assert "another version of the program" in page.text and "Stage by stage" in page.text
