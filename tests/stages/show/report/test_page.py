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
from stages.show.report.watch import Record
from tests.stages.show.report.reading import Page, read


def page_of(store: Store, **options: object) -> Page:
    return read(render(read_contents(Project.open(store), **{"num_classes": 2} | options)))  # type: ignore[arg-type]


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
    head = next(row for row in page.cells if row[:2] == ["node", "reads"])
    for title in ("images in", "images out", "dropped", "with a reason", "rows in", "rows out"):
        column = title.replace("with a", "with").replace(" ", "_")
        assert shown[head.index(title)] == f"{rows[0][column]:,}", title


def test_every_section_is_there(page: Page) -> None:
    """Results, verdicts on stages, classes with confusions, pictures, monitors, losses and states."""
    for words in (
        "Parts found in drawn images of the demo, seed 0",
        "Whole object as one part",
        "The starting point.",
        "etter than whole object as one part",
        "mIoU of final model (distill)",
        "Which part is taken for which",
        "Typical images",
        "What each cluster of distill has found",
        "Best and worst images",
        "Parts per object",
        "Changed by the CRF",
        "Clusters in use",
        "Loss of the finished trainings",
    ):
        assert words in page.text, words
    assert not any(word in page.text for word in ("None", "nan", "Undefined"))


def test_pictures_are_embedded_in_the_page(page: Page) -> None:
    """Two typical, best and worst images, each with the truth and the masks of every stage; crops of two classes.

    Each has its place before it is decoded: its element says the width and the height that it has.
    """
    crops = [attributes["alt"] for attributes in page.images if " crops of part " in attributes["alt"]]
    assert len(page.images) - len(crops) == 6 * 8 and len({alt.rpartition(" of ")[2] for alt in crops}) == 2
    for attributes in page.images:
        data = base64.b64decode(attributes["src"].removeprefix("data:image/webp;base64,"))
        image = Image.open(io.BytesIO(data))
        assert image.size == (int(attributes["width"]), int(attributes["height"]))
        assert max(image.size) in (512, *(rows * 164 - 4 for rows in (1, 2, 3)))
        assert len(data) < 60_000


def test_pictures_come_before_results(page: Page, grouped: Store) -> None:
    """With ground truth: images, parts by class, results. Without: images, then the monitors, and no results."""
    wanted = ["images", "parts", "results", "steps-1", "classes-1", "extremes", "losses"]
    wanted += ["monitors", "trainings", "nodes"]
    assert page.ids == wanted
    assert page_of(grouped, num_images=1).ids == ["images", "monitors", "nodes"]


def test_no_column_is_empty(page: Page) -> None:
    """The demo has no published numbers: their column is left out, and the page says which command brings others."""
    head = next(row for row in page.cells if row[:2] == ["model", "metric"])
    assert head == ["model", "metric", "honest"]
    assert "no numbers under the reference protocol yet" in page.text and "pd eval --protocol both" in page.text


def test_many_classes_stay_a_page(finished: Store) -> None:
    """Of 1,000 classes some have pictures, others are listed, and every chart shows a limited number of them."""
    contents = read_contents(Project.open(finished), num_images=0, num_classes=1)
    watch = contents.monitors

    def many(rows: dict[str, list[Record]]) -> dict[str, list[Record]]:
        return {
            node: [{**row, "category_id": n, "class_name": f"class {n}"} for n in range(1000) for row in of_node[:3]]
            for node, of_node in rows.items()
        }

    monitors = replace(
        watch, crf=many(watch.crf), collapse=many(watch.collapse), clusters=many(watch.clusters), use=many(watch.use)
    )
    others = tuple((f"class {n}", 1000 - n, 3) for n in range(999))
    collages = replace(contents.collages, others=others, total=5000)
    page = render(replace(contents, monitors=monitors, collages=collages))
    text = read(page).text
    assert "1 of 5,000 classes with the most masks" in text and "class 998 2 masks" in text
    assert "The 999 with the most masks are listed." in text
    assert len(page) < 1_000_000


def test_equal_stores_give_equal_pages(finished: Store, grouped: Store) -> None:
    """Neither the clock nor the order of hashes affects the page: not its numbers, its crops or its images."""
    for store, num_images in ((finished, 0), (grouped, 1)):
        first, second = (render(read_contents(Project.open(store), "", num_images, 1)) for _ in range(2))
        assert first == second


def test_text_from_outside_is_escaped(finished: Store) -> None:
    """A name that contains markup is shown as text."""
    contents = read_contents(Project.open(finished), num_images=0, num_classes=0)
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
    page = page_of(store, num_images=1, num_classes=0)
    assert "mIoU of CRF (crf-labels)" in page.text
    (row,) = [row for row in page.cells if row[:2] == ["proposals", "ingest"]]
    assert row[2] == "8"
    assert ["labels", "labels", "not started", "0 of 5"] in [row[:4] for row in page.cells]


def test_ground_truth_without_an_evaluation(copy_store: Callable[..., Store]) -> None:
    """The page says what to run, and shows random images."""
    page = page_of(
        copy_store(*(f"eval-{n}" for n in ("one-part", "grouping", "crf", "labels", "distill"))),
        num_images=1,
        num_classes=0,
    )
    assert "No evaluation yet. Run: pd eval" in page.text
    assert "Random images" in page.text and "Parts per object" in page.text


def test_a_store_without_ground_truth(grouped: Store) -> None:
    """The page shows monitors and random images, and says why nothing is scored."""
    page = page_of(grouped, num_images=2)
    assert "no ground truth" in page.text and "Random images" in page.text
    assert "steps-1" not in page.ids and "Areas" in page.text
    assert len(page.images) == 2 * 3


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
    page = read(render(read_contents(Project.open(store, ["ingest.copy=true"]), num_images=0, num_classes=0)))
    assert "another version of the program" in page.text and "Stage by stage" in page.text


def test_a_layer_that_is_not_the_present_one_is_named(copy_store: Callable[..., Store]) -> None:
    """After a change of settings the page shows the old layers, and says of which nodes."""
    store = copy_store()
    Project.open(store, ["labels.min_segment_score=0.1"]).record()
    text = page_of(store, num_images=0, num_classes=0).text
    assert "Of labels, distill-train" in text and "this page shows the earlier layer" in text
