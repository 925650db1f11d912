"""``docs/api.md``, printed from the docstrings so that the page always agrees with the code."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pdstore
from stages.notebook import Database, ImageLayer, ImageRecord, Result

__all__ = ["OBJECTS", "api_page"]

OBJECTS: tuple[Any, ...] = (pdstore.open, Database, Result, ImageRecord, ImageLayer)
"""What a user of the Python API meets, in that order."""

_HEAD = """# Python API

What `pdstore.open` gives, from the docstrings. [python.md](python.md) is the place to start; [tables.md](tables.md) has
the tables and the SQL functions of masks; [errors.md](errors.md) has the errors.

In the examples `db` is `pdstore.open("my-store")`, and `…` stands for what differs from store to store. They run in the
tests. This page is printed by `python -m stages.notebook` and checked by a test.
"""

_SECTIONS = {"Args:", "Raises:", "Attributes:", "Returns:"}
_ROLE = re.compile(r":\w+:`~?(?:[\w.]+\.)?(\w+)`")
_PROMPTS = (">>> ", "... ")


def api_page() -> str:
    """``docs/api.md`` as Markdown."""
    return "\n".join([_HEAD, *(line for item in OBJECTS for line in _object(item))])


def _object(item: Any) -> Iterator[str]:
    name = "pdstore.open" if item is pdstore.open else item.__name__
    if not inspect.isclass(item):
        yield from (f"## `{name}{_signature(item)}`", "", *_markdown(inspect.getdoc(item) or ""))
        return
    yield from (f"## {name}", "", *_markdown(inspect.getdoc(item) or ""))
    for member, value in vars(item).items():
        if member.startswith("_") or not hasattr(value, "__doc__") or member in _fields(item):
            continue
        if inspect.isfunction(value):
            yield from (f"### `.{member}{_signature(value)}`", "")
        else:
            yield from (f"### `.{member}`", "")
        yield from _markdown(inspect.getdoc(value) or "")


def _fields(item: type) -> set[str]:
    """Attributes of a dataclass, which its docstring describes."""
    return {field.name for field in dataclasses.fields(item)} if dataclasses.is_dataclass(item) else set()


def _signature(function: Any) -> str:
    """Names and defaults: ``(rows, size=None)``. What they are stands below."""
    signature = inspect.signature(function)
    empty = inspect.Parameter.empty
    parameters = [p.replace(annotation=empty) for name, p in signature.parameters.items() if name != "self"]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def _markdown(doc: str) -> Iterator[str]:
    """A docstring of this project as Markdown: sections as lists, examples as blocks."""
    is_section, is_code = False, False
    for line in doc.splitlines():
        text = _ROLE.sub(r"`\1`", line).replace("``", "`")
        if line.startswith(_PROMPTS[0]) and not is_code:
            is_code = True
            yield "```python"
        if is_code and not line:
            is_code = False
            yield "```"
        if is_code:
            yield line
        elif line in _SECTIONS:
            is_section = True
            yield from (f"**{line}**", "")
        elif is_section and line.startswith("    "):
            yield _item(text[4:])
        else:
            is_section = is_section and not line
            yield text
    if is_code:
        yield "```"
    yield ""


def _item(text: str) -> str:
    """``name: what it is`` as an item of a list; a line that goes on is indented below it."""
    if text.startswith("    "):
        return f"  {text.strip()}"
    name, colon, rest = text.partition(": ")
    return f"- `{name}`: {rest}" if colon else f"- {text}"
