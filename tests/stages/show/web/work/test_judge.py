from __future__ import annotations

from urllib.parse import urlencode

import pytest
from starlette.datastructures import MultiDict
from starlette.testclient import TestClient

from pdstore import Store
from pdstore.errors import UsageError
from pdstore.judgements import read_judgements
from schemas.catalog import catalog_of
from stages.show.web.work.judge import judge

ORIGIN = {"origin": "http://127.0.0.1:8770", "content-type": "application/x-www-form-urlencoded"}


def post(client: TestClient, headers: dict[str, str] = ORIGIN, **fields: object) -> tuple[int, str]:
    answer = client.post("/judge", content=urlencode(fields), headers=headers)
    return answer.status_code, answer.headers.get("location", answer.text)


def test_a_name_is_on_the_next_page_and_in_sql(client: TestClient, ranked: Store) -> None:
    """A form names a cluster; the page that it goes back to shows the name as text, and so does SQL."""
    name = "<script>alert(1)</script>"
    back = "/class/labels/0?count=8"
    said = {"kind": "name", "node": "labels", "class": 0, "cluster": 1, "value": name, "back": back}
    assert post(client, **said) == (303, back)
    page = client.get(back).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and name not in page
    found = catalog_of(ranked).query("SELECT name FROM cluster_names WHERE node = 'ranking'").to_pylist()
    assert found == [{"name": name}]
    assert [one.who for one in read_judgements(ranked.files)] == ["ann"]


def test_images_objects_and_rows(client: TestClient, ranked: Store) -> None:
    """Without a node an image is judged; with an object or a row, that of the node. Nothing to go back to: no page."""
    row = catalog_of(ranked).query("SELECT image_id, object_id, label_id FROM labels LIMIT 1").to_pylist()[0]
    key = {"image": row["image_id"], "object": row["object_id"]}
    assert post(client, kind="tag", image=row["image_id"], value="good") == (204, "")
    assert post(client, kind="reject", node="detic", **key)[0] == 204
    assert post(client, kind="reject", node="labels", **key, row=row["label_id"])[0] == 204
    assert post(client, kind="tag", images="0,1,2", value="lasso")[0] == 204
    subjects = [one.subjects for one in read_judgements(ranked.files)]
    assert [group[0].kind for group in subjects] == ["image", "object", "row", "image"]
    assert subjects[2][0].row_id == row["label_id"] and len(subjects[3]) == 3
    assert post(client, kind="undo")[0] == 204
    assert catalog_of(ranked).query("SELECT DISTINCT tag FROM tags").to_pylist() == [{"tag": "good"}]


def test_another_site_cannot_judge(client: TestClient, ranked: Store) -> None:
    """A POST from elsewhere, or by GET, writes nothing."""
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {}):
        assert post(client, headers, kind="tag", image=0, value="x")[0] == 403
    assert client.get("/judge?kind=tag&image=0&value=x").status_code == 405
    assert read_judgements(ranked.files) == []


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_the_way_back_stays_on_this_server(client: TestClient, back: str) -> None:
    """An address of another server is not followed."""
    assert post(client, kind="tag", image=0, value="x", back=back) == (303, "/")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "kind: a field of the form is empty"),
        ({"kind": "tag", "image": "0 OR 1=1", "value": "x"}, "expected a number"),
        ({"kind": "tag", "images": "1,x", "value": "x"}, "numbers of images"),
        ({"kind": "tag", "image": "0"}, "the text is empty"),
        ({"kind": "name", "node": "labels", "class": "0", "cluster": "7", "value": "x"}, "no cluster 7"),
        ({"kind": "merge", "node": "labels", "class": "0", "cluster": "0", "into": "9"}, "no cluster 9"),
        ({"kind": "reject", "node": "nothing", "image": "0"}, "no node 'nothing'"),
        ({"kind": "undo", "undoes": "4"}, "no such judgement"),
    ],
)
def test_a_wrong_form_is_refused(ranked: Store, fields: dict[str, str], problem: str) -> None:
    """The error names the field or the thing, and nothing is written."""
    with pytest.raises(UsageError, match=problem):
        judge(ranked, MultiDict(fields))
    assert read_judgements(ranked.files) == []
