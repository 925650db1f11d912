"""``python -m cli``. The launchers start their workers with this file, by its path.

A worker runs this program's own packages, even if a user's ``cli.py`` or ``stages/`` lies in the current folder (they
start Python with ``-P``) or in a folder of PYTHONPATH.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cli", "configs", "pdstore", "schemas", "stages")


def _is_ours(package: str) -> bool:
    spec = find_spec(package)
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve().parents[1] == ROOT


if not all(map(_is_ours, PACKAGES)):
    sys.path.insert(0, str(ROOT))

if __name__ == "__main__":
    from cli.main import main

    main()
