"""The application: every page of the registry behind the guard, and its failures as pages."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MultiDict
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pdstore.errors import InputMissing, PdError, UsageError
from stages.show.web.drawing import Drawings
from stages.show.web.page import Page, Viewer, Visit
from stages.show.web.registry import PAGES
from stages.show.web.security import Access, Guard
from stages.show.web.snapshots import Snapshots
from stages.show.web.templates import Templates

__all__ = ["web_app"]

MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
STATUS: tuple[tuple[type[Exception], int], ...] = ((UsageError, 400), (InputMissing, 404), (PdError, 500))


def web_app(url: str, access: Access | None = None, command: str = "pd", **options: object) -> Starlette:
    """The pages over a store. The store is opened at once and closed when the server stops.

    Args:
        url: of the store.
        access: who may ask; by default whoever reaches the address of this machine.
        command: how the reader calls ``pd`` on this store.
        options: of the file system, as :class:`pdstore.Store` takes them.

    Raises:
        UsageError: there is no store, or it has no pipeline.
    """
    menu = tuple((page.path, page.title) for page in PAGES if page.title)
    viewer = Viewer(Snapshots(url, **options), Drawings(), Templates(), command, menu)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        viewer.snapshots.close()

    app = Starlette(
        routes=[*(Route(page.path, _endpoint(page, viewer), methods=list(page.methods)) for page in PAGES), _static()],
        middleware=[Middleware(Guard, access=access or Access())],
        exception_handlers={HTTPException: _http_error(viewer)},
        lifespan=lifespan,
    )
    app.state.viewer = viewer
    return app


Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def _endpoint(page: Page, viewer: Viewer) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        form = MultiDict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        return await run_in_threadpool(lambda: _answer(page, _visit(viewer, request, form)))

    return endpoint


def _visit(viewer: Viewer, request: Request, form: MultiDict) -> Visit:
    number = request.query_params.get("snapshot", "")
    snapshots = viewer.snapshots
    snapshot = snapshots.get(int(number)) if number.isdecimal() and len(number) < 10 else snapshots.newest()
    url = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return Visit(viewer, snapshot, request.path_params, request.query_params, form, request.headers, url)


def _answer(page: Page, visit: Visit) -> Response:
    try:
        return page.show(visit)
    except PdError as error:
        status = next(status for kind, status in STATUS if isinstance(error, kind))
        return _error_page(visit, status, str(error))


def _error_page(visit: Visit, status: int, message: str) -> Response:
    if visit.headers.get("sec-fetch-dest") == "image":
        return PlainTextResponse(message, status_code=status)
    return visit.html("error.html", status, message=message, code=status)


def _http_error(viewer: Viewer) -> Callable[[Request, Exception], Coroutine[Any, Any, Response]]:
    async def handler(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = "There is no such page." if error.status_code == 404 else error.detail
        return _error_page(_visit(viewer, request, MultiDict()), error.status_code, message)

    return handler


def _static() -> Route:
    """The files of ``static/``. They are listed once, so that a path can only name one of them."""
    folder = resources.files("stages.show.web") / "static"
    files = {f.name: f.read_bytes() for f in folder.iterdir() if any(f.name.endswith(end) for end in MEDIA_TYPES)}
    etags = {name: f'"{hashlib.sha256(data).hexdigest()[:32]}"' for name, data in files.items()}

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise HTTPException(404)
        headers = {"ETag": etags[name], "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == etags[name]:
            return Response(status_code=304, headers=headers)
        return Response(files[name], media_type=MEDIA_TYPES[name[name.rindex(".") :]], headers=headers)

    return Route("/static/{name}", static)
