"""The templates of the pages: every value is escaped, and a name that is not given is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pdstore import __version__
from pdstore.errors import printable
from stages.kernels.pictures import colour_of

__all__ = ["Templates"]


class Templates:
    """Renders the files in ``templates/``.

    Further names in every template: ``version``, ``colour(number)`` as ``#rrggbb``, and the filters ``count_of``
    (12,345), ``decimal`` (two places, – for NaN and NULL) and ``printable``.
    """

    def __init__(self) -> None:
        loader = PackageLoader("stages.show.web", "templates")
        self._environment = Environment(
            autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=loader
        )
        self._environment.filters |= {"count_of": "{:,}".format, "decimal": _decimal, "printable": printable}
        self._environment.globals |= {"version": __version__, "colour": _colour}

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """The template as HTML, without characters that a browser obeys instead of showing them."""
        return printable(self._environment.get_template(name).render(values))


def _colour(number: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour_of(number))


def _decimal(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.2f}"
