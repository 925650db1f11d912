"""What a page is: a path, and a function from a visit to an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import MultiDict, QueryParams
from starlette.responses import HTMLResponse, Response

from pdstore.errors import InputMissing
from stages.show.web.drawing import Drawings
from stages.show.web.snapshots import Snapshot, Snapshots
from stages.show.web.templates import Templates

__all__ = ["Page", "Viewer", "Visit"]


@dataclass(frozen=True)
class Viewer:
    """What all pages share.

    Attributes:
        command: how the reader calls ``pd`` on this store, for commands that a page shows.
        menu: (path, title) of the pages that the menu names.
    """

    snapshots: Snapshots
    drawings: Drawings
    templates: Templates
    command: str = "pd"
    menu: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Visit:
    """One request for a page.

    Attributes:
        snapshot: the one that the query names with ``snapshot=N``, if it is still kept; otherwise the newest one.
        path: the variable parts of the path, such as ``image_id``.
        query: what stands behind the question mark.
        form: what was posted; empty if the page only reads.
        headers: of the request, by names in small letters.
        url: path and query as they were asked for.
    """

    viewer: Viewer
    snapshot: Snapshot
    path: Mapping[str, Any] = field(default_factory=dict)
    query: QueryParams = field(default_factory=QueryParams)
    form: MultiDict = field(default_factory=MultiDict)
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = "/"

    @property
    def is_fragment(self) -> bool:
        """Whether htmx asks, which puts the answer into a page that is there."""
        return "hx-request" in self.headers

    @property
    def image_id(self) -> int:
        """The variable part ``image_id`` of the path. Raises InputMissing if it is no number that an image can have."""
        text = str(self.path["image_id"])
        if not (text.isascii() and text.isdecimal() and len(text) < 13):
            raise InputMissing("there is no such image", f"image {text[:40]!r}")
        return int(text)

    def html(self, template: str, status: int = 200, **values: Any) -> Response:
        """A template with these values, besides ``visit``, ``viewer`` and ``snapshot``. Text in it is escaped."""
        shared = {"visit": self, "viewer": self.viewer, "snapshot": self.snapshot}
        return HTMLResponse(self.viewer.templates.render(template, {**shared, **values}), status_code=status)


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        path: with variable parts as Starlette writes them, such as ``/image/{image_id}``.
        show: from a visit to an answer. It runs in a thread, and its PdError becomes a page that shows the message.
        title: its word in the menu; empty if it is not there.
        methods: GET pages only read; what changes something is a POST, which the guard lets in from this server alone.
    """

    path: str
    show: Callable[[Visit], Response]
    title: str = ""
    methods: tuple[str, ...] = ("GET",)
