"""Whether a server answers, asked before a library that would wait for minutes."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener, getproxies

__all__ = ["unreachable"]

REACH_S = 5.0


def unreachable(url: str, proxies: Mapping[str, str | None]) -> str:
    """Why a server does not answer, as a part of a sentence; empty if it does, with whatever status.

    Args:
        proxies: scheme -> proxy; those of the environment (HTTPS_PROXY, NO_PROXY, …) are used where none is given.
    """
    # Nothing secret is sent, and W&B checks the certificate with its own settings: a server's own is no obstacle here.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    given = {scheme: proxy for scheme, proxy in proxies.items() if proxy}
    handlers = [ProxyHandler({**getproxies(), **given})] if given else []
    try:
        with build_opener(*handlers, HTTPSHandler(context=context)).open(Request(url, method="HEAD"), timeout=REACH_S):
            return ""
    except HTTPError as answer:
        answer.close()
        # These come from a proxy that could not get through; any other status is the server's own answer.
        return f"the proxy for {url} answers {answer.code}" if answer.code in (407, 502, 503, 504) else ""
    except (OSError, HTTPException, ValueError) as error:
        return f"{url} does not answer ({getattr(error, 'reason', None) or str(error) or type(error).__name__})"
