from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from pdstore.errors import InputMissing
from stages.show.web.work.classes import number_of


def test_from_the_list_to_a_crop(client: TestClient) -> None:
    """The list leads to a class, whose crops are pictures; a browser that has one is told so."""
    listed = client.get("/classes")
    assert listed.status_code == 200 and 'href="/class/labels/0"' in listed.text and "dogs" in listed.text
    page = client.get("/class/labels/0?count=4&order=mixed")
    assert page.status_code == 200 and page.text.count('class="column') == 2 + 1
    sources = re.findall(r'src="(/crop/[^"]+)"', page.text)
    assert 0 < len(sources) <= 8
    picture = client.get(sources[0].replace("&amp;", "&"))
    assert picture.status_code == 200 and picture.headers["content-type"] == "image/jpeg"
    again = client.get(sources[0].replace("&amp;", "&"), headers={"if-none-match": picture.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/class/labels/99", 404),
        ("/class/labels/x", 404),
        ("/class/crf/0", 400),
        ("/class/labels/0?order=worst", 400),
        ("/crop/labels/0?object=0&row=99", 404),
        ("/crop/labels/0?object=0&row=0&side=7", 400),
        ("/crop/nothing/0?object=0&row=0", 400),
        ("/classes?node=crf", 400),
    ],
)
def test_what_is_not_there(client: TestClient, path: str, status: int) -> None:
    """The answer is a page with the reason and a status that says so."""
    assert client.get(path).status_code == status


def test_numbers_of_addresses() -> None:
    """Only plain digits count, with a sign where a class may be outside the vocabulary."""
    assert number_of("12") == 12 and number_of("-1", is_signed=True) == -1
    for text in ("-1", "1e3", "", "٣", "1" * 10):
        with pytest.raises(InputMissing):
            number_of(text)
