from __future__ import annotations

import io

import pyarrow.parquet as pq
from starlette.testclient import TestClient

from pdstore import Store
from schemas.catalog import catalog_of


def test_the_page_the_points_and_the_file(client: TestClient, ranked: Store) -> None:
    """The page names its points, which have a place, a key and a group each; the file has the same rows."""
    page = client.get("/map?node=candidates&class=0")
    assert page.status_code == 200 and 'data-table="candidates"' in page.text
    points = client.get("/map/points?node=candidates&class=0&method=pca").json()
    rows = catalog_of(ranked).query(
        "SELECT image_id, key, class_name FROM candidates JOIN images USING (image_id) WHERE category_id = 0"
    )
    assert len(points["x"]) == len(points["y"]) == len(points["keys"]) == len(points["groups"]) == rows.num_rows
    assert {group for group, _, _ in points["legend"]} == set(points["groups"])
    file = client.get("/map/atlas.parquet?node=candidates&class=0")
    table = pq.read_table(io.BytesIO(file.content))
    assert table.column("id").to_pylist() == ["/".join(map(str, key)) for key in points["keys"]]
    assert sorted(table.column("key").to_pylist()) == sorted(rows.column("key").to_pylist())
    assert set(table.column("class_name").to_pylist()) == {"cats"}
    assert len(set(table.column("id").to_pylist())) == table.num_rows


def test_what_is_not_there(client: TestClient) -> None:
    """A node without features or a class without segments is an error with its reason."""
    assert client.get("/map/points?node=labels").status_code == 400
    assert client.get("/map/points?node=candidates&class=7").status_code == 404
    assert client.get("/map/points?node=candidates&class=x").status_code == 404
