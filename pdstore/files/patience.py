"""S3, asked with patience: what is transient is tried again, with growing pauses, for a bounded time.

Busy servers (5xx, SlowDown), timeouts and connections that are lost are transient. A server that has never answered
this process is given up soon, because its address is probably wrong.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fsspec.asyn import sync_wrapper
from s3fs import S3FileSystem

from pdstore.files.remote_errors import code_of, is_transient

__all__ = ["PATIENCE", "PatientS3"]

PATIENCE = "PD_REMOTE_PATIENCE"
"""The environment variable that says for how many seconds a request is tried again."""
PATIENCE_S = 120.0
FIRST_S, LONGEST_S = 0.2, 20.0
UNKNOWN_S = 6.0
"""The patience with a server that has not answered yet."""
TOLD_AFTER_S = 5.0

_LOG = logging.getLogger(__name__)


class PatientS3(S3FileSystem):  # type: ignore[misc]
    """The file system of s3fs. All its requests go by :meth:`_call_s3`."""

    retries = 1

    def __init__(self, *args: Any, config_kwargs: Mapping[str, Any] | None = None, **options: Any) -> None:
        # One place tries again, and not three inside each other.
        once = {"retries": {"max_attempts": 0}, "connect_timeout": 10, "read_timeout": 60}
        super().__init__(*args, config_kwargs={**once, **(config_kwargs or {})}, **options)
        self._has_answered = False

    async def _call_s3(self, method: str, *args: Any, **options: Any) -> Any:
        return await self._patiently(lambda: S3FileSystem._call_s3(self, method, *args, **options))

    call_s3 = sync_wrapper(_call_s3)

    async def _cat_file(self, path: str, *args: Any, **options: Any) -> Any:
        # The connection may also be lost while the content is on its way.
        return await self._patiently(lambda: S3FileSystem._cat_file(self, path, *args, **options))

    async def _patiently(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        began, is_told = time.monotonic(), False
        for number in itertools.count():
            try:
                answer = await ask()
            except Exception as error:
                code = code_of(error)
                self._has_answered = self._has_answered or bool(code)
                patience = _patience() if self._has_answered else min(UNKNOWN_S, _patience())
                pause = min(LONGEST_S, FIRST_S * 2**number) * random.uniform(0.5, 1.0)
                left = began + patience - time.monotonic()
                if not is_transient(error) or getattr(error, "is_given_up", False) or pause > left:
                    error.is_given_up = True  # type: ignore[attr-defined]
                    raise
                if not is_told and time.monotonic() - began > TOLD_AFTER_S:
                    is_told = True
                    said = f"answers {code}" if code else "does not answer"
                    _LOG.warning("the object store %s; trying again for up to %.0f s", said, left)
                await asyncio.sleep(pause)
            else:
                self._has_answered = True
                return answer
        raise AssertionError("unreachable")


def _patience() -> float:
    try:
        return float(os.environ.get(PATIENCE, PATIENCE_S))
    except ValueError:
        return PATIENCE_S
