"""What the tests of data sets share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stages.source.images import ImageFault


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], bytes]:
    """The content of a file below the folder of the test, as a reader gets it from the runner."""

    def read(path: str) -> bytes:
        try:
            return (tmp_path / path).read_bytes()
        except OSError as error:
            raise ImageFault("missing_file", str(error)) from None

    return read
