"""Writes a small store of the present format: ``python -m tests.data.make_store tests/data/store_v1``.

Run once a format, when it is released; the folder is committed and never written again, so that the tests say
whether later versions still read it.
"""

from __future__ import annotations

import sys
from unittest import mock

from tests.pdstore.example import filled

if __name__ == "__main__":
    with mock.patch("socket.gethostname", return_value="example"), mock.patch("os.getpid", return_value=1):
        filled(sys.argv[1])
