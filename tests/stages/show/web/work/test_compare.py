from __future__ import annotations

from starlette.testclient import TestClient

from pdstore import Store
from stages.plan.project import Project
from stages.show.web.snapshots import Snapshots
from stages.show.web.work.compare import choices


def test_two_nodes_side_by_side(client: TestClient) -> None:
    """Each image has a picture of both; a node that is not there, or has no masks, is an error."""
    page = client.get("/compare?before=grouping&after=crf")
    assert page.status_code == 200 and page.text.count('class="pair"') == 12
    assert "/overlay/grouping/" in page.text and "/overlay/crf/" in page.text
    assert client.get("/compare").text.count('class="pair"') == 0
    for query in ("before=crf&after=nothing", "before=crf&after=ranking", "before=crf&after=crf@0123"):
        assert client.get(f"/compare?{query}").status_code == 400


def test_an_older_layer_can_be_chosen(ranked: Store) -> None:
    """After a change of settings both layers of a node are there, the old one being shown until the new is complete."""
    old = ranked.current()["crf"]
    Project.open(ranked, ["crf.iterations=1"]).record()
    snapshots = Snapshots(ranked.url)
    listed = dict(choices(snapshots.newest()))
    snapshots.close()
    assert listed["crf"] == "crf" and f"crf@{old}" not in listed
    # A complete new layer leaves the old one beside it.
    project = Project.open(ranked)
    for unit in ranked.layer("crf", old).units():
        rows = ranked.layer("crf", old).read(unit)
        node = project["crf"]
        ranked.declare("crf", node.identity, node.stage.output, "test").commit(unit, rows)
    snapshots = Snapshots(ranked.url)
    assert dict(choices(snapshots.newest()))[f"crf@{old}"] == f"crf, layer {old[:8]}"
    snapshots.close()
