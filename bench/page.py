"""The figures that have a bound, as a table and a plot for ``docs/measurements.md``."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10
from pathlib import Path
from typing import Any

__all__ = ["plot", "table", "write_page"]

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
ROOT = Path(__file__).resolve().parents[1]
PAGE, PLOT = ROOT / "docs/measurements.md", ROOT / "docs/images/figures.svg"
_LEFT, _WIDTH, _ROW, _RIGHT = 190, 420, 22, 150
_MET, _MISSED, _INK, _GRID = "#2f7d5b", "#c0492f", "#333333", "#dddddd"

Figure = dict[str, Any]


def table(rows: Sequence[Figure]) -> str:
    """A Markdown table with one row per figure. Ratios are of processor time, ``wall`` of the time that passed."""
    lines = ["| figure | value | lowest to highest | wall | asked | met | against |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        bound = f"≥ {row['at_least']}" if row["at_most"] is None else f"≤ {row['at_most']}"
        value, wall = f"{_short(row['value'])} {row['unit']}", "" if row["wall"] is None else _short(row["wall"])
        spread, against = f"{_short(row['lowest'])} to {_short(row['highest'])}", row["against"]
        if row["note"]:
            against += f"; {row['note']}"
        cells = (f"`{row['name']}`", value, spread, wall, bound, "yes" if row["ok"] else "**no**", against)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(rows: Sequence[Figure]) -> str:
    """An SVG with one bar per figure: how many times better than its bound, on a logarithmic scale from 0.01 to 100."""
    height = _ROW * (len(rows) + 2)
    ink = f'fill="{_INK}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for times in (0.01, 0.1, 1, 10, 100):
        x, width = _place(times), 2 if times == 1 else 1
        colour = _INK if times == 1 else _GRID
        parts.append(f'<line x1="{x}" x2="{x}" y1="{_ROW}" y2="{height}" stroke="{colour}" stroke-width="{width}"/>')
        label = "as asked" if times == 1 else f"{times:g} x"
        parts.append(f'<text x="{x}" y="{_ROW - 7}" text-anchor="middle" {ink}>{label}</text>')
    for number, row in enumerate(rows):
        top, end, start = _ROW * (number + 1) + 4, _place(_times(row)), _place(1)
        colour = _MET if row["ok"] else _MISSED
        left, width = min(start, end), max(abs(end - start), 2)
        parts.append(f'<text x="{_LEFT - 8}" y="{top + 11}" text-anchor="end" {ink}>{escape(row["name"])}</text>')
        parts.append(f'<rect x="{left}" y="{top}" width="{width}" height="{_ROW - 8}" fill="{colour}"/>')
        bound = f"at least {row['at_least']}" if row["at_most"] is None else f"at most {row['at_most']}"
        text = f"{_short(row['value'])} {row['unit']} ({bound})"
        parts.append(f'<text x="{_LEFT + _WIDTH + 8}" y="{top + 11}" {ink}>{escape(text)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def write_page(rows: Sequence[Figure]) -> None:
    """Put the table and the plot into ``docs/measurements.md``, between its two marks."""
    PLOT.write_text(plot(rows), encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    body = f"{BEGIN}\n\n![Each figure and its bound](images/{PLOT.name})\n\n{table(rows)}\n\n{END}"
    PAGE.write_text(before + body + after, encoding="utf-8")


def _times(row: Figure) -> float:
    """How many times better than its bound a figure is; 1 is just met."""
    return float(row["value"] / row["at_least"] if row["at_most"] is None else row["at_most"] / max(row["value"], 1e-9))


def _place(times: float) -> int:
    """Position along x, in pixels."""
    share = (log10(max(times, 1e-9)) + 2) / 4
    return _LEFT + round(_WIDTH * min(max(share, 0), 1))


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
