from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from stages.show.web.templates import Templates

_VALUES = {"code": 404, "visit": None, "snapshot": None}


def test_text_is_escaped_and_made_visible() -> None:
    """Markup in a value is shown, and a character that a browser would obey is written out."""
    rendered = Templates().render("macros.html", {})
    assert "<img" not in rendered  # a file of macros shows nothing itself
    templates = Templates()
    page = templates._environment.from_string("{{ text }}|{{ nan|decimal }}|{{ 12345|count_of }}|{{ colour(0) }}")
    assert page.render(text="<b>", nan=float("nan")) == "&lt;b&gt;|–|12,345|#e63946"


def test_a_name_that_is_not_given_is_an_error() -> None:
    """A template never shows an empty place by mistake."""
    with pytest.raises(UndefinedError):
        Templates().render("error.html", _VALUES)
