"""Prints ``docs/api.md``: ``python -m stages.notebook > docs/api.md``."""

from __future__ import annotations

from stages.notebook.reference import api_page

if __name__ == "__main__":
    print(api_page(), end="")
