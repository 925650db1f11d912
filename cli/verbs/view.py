"""``pd view``: look at the store in a browser."""

from __future__ import annotations

import contextlib
import shlex
import webbrowser

import click

from cli.output import say
from cli.session import open_project, store_argument
from pdstore.errors import UsageError

__all__ = ["command"]


@click.command("view")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
              help="Listen on this address. If others can reach it, a token is needed.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8770, show_default=True, help="0 takes a free port.")
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
def command(host: str, port: int, no_open: bool) -> None:
    """Look at images, masks and clusters in a browser, while a run goes on or after it.

    The address goes to stdout. The pages write nothing but judgements, and need no network. Stop with Ctrl-C.
    docs/view.md shows what there is.

    \b
    Examples:
      pd view
      pd view --port 0 --no-open
      ssh -L 8770:127.0.0.1:8770 cluster pd --store /data/parts view --no-open
    """
    try:
        from stages.show.web.app import web_app
        from stages.show.web.serving import listen, serve
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in ("starlette", "uvicorn"):
            raise
        fix = "Install it: pip install 'pdstore[view]'"
        raise UsageError(f"the pages need {package}, which is not installed", "pd view", fix) from None
    store = open_project().store
    listener = listen(host, port)
    app = web_app(store.url, listener.access, shlex.join(["pd", *store_argument(store)]))
    print(listener.address, flush=True)
    say("Stop with Ctrl-C")
    if not no_open:
        webbrowser.open(listener.address)
    with contextlib.suppress(KeyboardInterrupt):
        serve(app, listener)
