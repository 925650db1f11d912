"""Reads a page as a browser would: checks that every element is closed, and collects the addresses and the text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

__all__ = ["Page", "read"]

_VOID = {"meta", "img", "br", "hr", "link", "input"}
_ADDRESSES = ("href", "src", "srcset", "action", "data", "poster", "xlink:href")


class Page(HTMLParser):
    """The content of a page.

    Attributes:
        faults: elements that are closed in the wrong order.
        addresses: everything that an element refers to.
        tags: the name of every element.
        ids: the id of every element that has one.
        images: the attributes of every picture.
        cells: text of the table cells, row by row.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict[str, str]] = []
        self.cells: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in _ADDRESSES]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag == "img":
            self.images.append({name: value or "" for name, value in attrs})
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th") and self.cells:
            self.cells[-1].append("")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.addresses += re.findall(r"url\(|@import", data)
            return
        self.text += data
        if {"td", "th"} & set(self._open):
            self.cells[-1][-1] = (self.cells[-1][-1] + data).strip()

    @property
    def unclosed(self) -> list[str]:
        return self._open


def read(html: str) -> Page:
    """The page, which must be well-formed and self-contained."""
    page = Page()
    page.feed(html)
    page.close()
    assert page.faults == [] and page.unclosed == []
    external = [a for a in page.addresses if not a.startswith(("#", "data:image/"))]
    assert external == [] and "script" not in page.tags
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    page.text = " ".join(page.text.split())
    return page
