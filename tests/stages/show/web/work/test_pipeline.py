from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pdstore import Store, layout
from stages.plan.failures import record_failure
from stages.plan.project import Project
from stages.show.web.app import web_app
from stages.show.web.snapshots import Snapshots
from stages.show.web.work.pipeline import duration, read_faults, read_pipeline


def test_a_finished_pipeline(ranked: Store) -> None:
    """Every node is done, with a speed and nothing left."""
    rows = read_pipeline(Project.open(ranked))
    assert [row.node for row in rows] == list(Project.open(ranked).nodes)
    assert {(row.word, row.percent, row.left) for row in rows} == {("done", 100.0, "–")}
    assert all(row.rate and row.speed.endswith(" images/s") for row in rows)


def test_what_is_left_and_what_failed(ranked: Store) -> None:
    """A withdrawn unit takes its share of the time; a failed one shows its error; what never ran was not measured."""
    project = Project.open(ranked)
    project.layer("crf").withdraw(1)
    try:
        raise ValueError("<b>no memory</b>")
    except ValueError as error:
        record_failure(project.layer("crf"), 1, str(error))
    shutil.rmtree(Path(ranked.url) / layout.layers("labels"))
    rows = {row.node: row for row in read_pipeline(Project.open(ranked))}
    assert (rows["crf"].done, rows["crf"].units, rows["crf"].failed) == (3, 4, ((1, "<b>no memory</b>"),))
    assert rows["crf"].hours == pytest.approx(3 / rows["crf"].rate / 3600) if rows["crf"].rate else False
    assert rows["labels"].left == "not measured" and rows["labels"].speed == "–"
    with TestClient(web_app(ranked.url), base_url="http://127.0.0.1:8770") as client:
        page = client.get("/pipeline").text
        assert "&lt;b&gt;no memory&lt;/b&gt;" in page and "<b>no memory" not in page
        state = client.get("/pipeline/state").text
    assert "without 1 node whose speed was not measured" in state and "<html" not in state


def test_what_was_left_out_has_its_picture(ranked: Store) -> None:
    """Rows of errors are grouped by node and reason; an image that was ingested can be shown."""
    from pdstore import Rows
    from schemas.tables import ERRORS

    layer = Project.open(ranked).layer("grouping")
    rows = layer.read(0)
    layer.withdraw(0)
    faults = [
        {"image_id": i, "subject": f"{i}.jpg", "reason": "too_few_points", "detail": "one cell"} for i in range(8)
    ]
    faults.append({"image_id": -1, "subject": "cats", "reason": "other", "detail": ""})
    layer.commit(0, rows, errors=Rows.from_records(ERRORS, faults))
    snapshots = Snapshots(ranked.url)
    found = read_faults(snapshots.newest())
    snapshots.close()
    assert [(f.reason, f.count, f.has_picture) for f in found] == [("other", 1, False)] + [
        ("too_few_points", 8, True)
    ] * 6


@pytest.mark.parametrize(
    ("hours", "text"), [(0, "0 s"), (0.01, "36 s"), (0.1, "6 min"), (3.21, "3.2 h"), (100, "4.2 days")]
)
def test_times_are_written_for_people(hours: float, text: str) -> None:
    """The unit fits the size."""
    assert duration(hours) == text
