from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from stages.show.web.snapshots import Snapshot


@pytest.mark.parametrize(
    "path", ["/picture/{}?side=320", "/overlay/crf/{}?style=outlines", "/overlay/detic/{}?side=640"]
)
def test_a_picture_is_sent_once(client: TestClient, snapshot: Snapshot, path: str) -> None:
    """A browser keeps it and asks whether it has changed; then nothing is sent again."""
    image_id = snapshot.rows("SELECT min(image_id) AS i FROM labels")[0]["i"]
    first = client.get(path.format(image_id))
    assert first.status_code == 200 and first.headers["cache-control"] == "private, no-cache"
    assert first.headers["content-type"] == ("image/jpeg" if "picture" in path else "image/webp")
    again = client.get(path.format(image_id), headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/picture/0?side=321", 400),
        ("/picture/0?side=99999999", 400),
        ("/picture/x", 404),
        ("/picture/1000000", 404),
        ("/overlay/nothing/0", 400),
        ("/overlay/crf/0?style=dots", 400),
        ("/overlay/crf/0?layer=../../../store.json", 400),
        ("/overlay/..%2f..%2fstore.json/0", 404),
        ("/overlay/%2e%2e/0", 400),
    ],
)
def test_what_is_not_there_is_refused(client: TestClient, path: str, status: int) -> None:
    """Sizes, styles, nodes, layers and images come from lists; a path of an address opens no file."""
    answer = client.get(path, headers={"sec-fetch-dest": "image", "sec-fetch-site": "same-origin"})
    assert answer.status_code == status and answer.headers["content-type"].startswith("text/plain")
