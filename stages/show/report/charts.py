"""Charts as inline SVG. Positions along x are percentages, so that a chart fills any width without scaling its text.

Every mark has its exact value as a tooltip. Colours are classes of ``style.css``, which has a light and a dark theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from stages.kernels.pictures import colour_of

__all__ = ["Column", "Mark", "bar", "columns", "curve", "stack"]

PLOT_PX, AXIS_PX = 84, 20
BAR_PX = 14
CURVE_PX = 120


@dataclass(frozen=True)
class Column:
    """One column of a histogram."""

    value: float
    title: str


@dataclass(frozen=True)
class Mark:
    """A tick on a bar: another value for comparison."""

    value: float
    title: str
    number: int


def columns(values: Sequence[Column], ticks: Sequence[tuple[float, str]]) -> Markup:
    """A histogram.

    Args:
        values: the columns, from left to right.
        ticks: (position along x, 0 to 1, label).
    """
    highest = max((column.value for column in values), default=0) or 1
    width = 100 / max(len(values), 1)
    parts = [f'<line class="base" x1="0" x2="100%" y1="{PLOT_PX}.5" y2="{PLOT_PX}.5"/>']
    for number, column in enumerate(values):
        # Even the smallest value is visible.
        height = max(column.value / highest * (PLOT_PX - 2), 1.5) if column.value else 0
        parts.append(
            f'<rect class="fill" x="{number * width + 0.08 * width:.3f}%" width="{0.84 * width:.3f}%" '
            f'y="{PLOT_PX - height:.2f}" height="{height:.2f}"><title>{escape(column.title)}</title></rect>'
        )
    return _svg("".join(parts) + _ticks(ticks, PLOT_PX + 15), PLOT_PX + AXIS_PX)


def bar(value: float, title: str, largest: float = 100.0, marks: Sequence[Mark] = ()) -> Markup:
    """A bar on a scale from 0 to ``largest``, with ticks on it."""
    parts = [
        f'<rect class="rail" width="100%" height="{BAR_PX}" rx="3"/>',
        f'<rect class="fill" width="{_percent(value, largest)}" height="{BAR_PX}" rx="3">'
        f"<title>{escape(title)}</title></rect>",
    ]
    for mark in marks:
        x = _percent(mark.value, largest)
        position = f'x1="{x}" x2="{x}" y1="-2" y2="{BAR_PX + 2}"'
        parts.append(f'<line class="halo" {position}/>')
        parts.append(f'<line class="mark m{mark.number}" {position}><title>{escape(mark.title)}</title></line>')
    return _svg("".join(parts), BAR_PX)


def stack(shares: Sequence[tuple[float, int, str]]) -> Markup:
    """Shares of a whole, side by side.

    Args:
        shares: (share, 0 to 1, number of its colour, title). Numbers have the same colours as in pictures.
    """
    parts, left = [], 0.0
    for share, number, title in shares:
        red, green, blue = colour_of(number)
        parts.append(
            f'<rect class="piece" x="{100 * left:.3f}%" width="{100 * share:.3f}%" height="{BAR_PX}" '
            f'fill="rgb({red},{green},{blue})"><title>{escape(title)}</title></rect>'
        )
        left += share
    return _svg("".join(parts), BAR_PX)


def curve(points: Sequence[tuple[int, float]]) -> Markup:
    """Values over steps. The scale is from 0 to the largest value."""
    last, highest = points[-1][0], max(value for _, value in points) or 1.0
    corners = (f"{100 * step / max(last, 1):.2f},{CURVE_PX * (1 - value / highest):.2f}" for step, value in points)
    body = (
        f'<line class="base" x1="0" x2="100%" y1="{CURVE_PX}.5" y2="{CURVE_PX}.5"/>'
        f'<svg width="100%" height="{CURVE_PX}" viewBox="0 0 100 {CURVE_PX}" preserveAspectRatio="none">'
        f'<polyline class="curve" points="{" ".join(corners)}" vector-effect="non-scaling-stroke"/></svg>'
    )
    return _svg(body + _ticks([(0, "0"), (1, f"{last:,} steps")], CURVE_PX + 15), CURVE_PX + AXIS_PX)


def _ticks(ticks: Sequence[tuple[float, str]], y: int) -> str:
    return "".join(
        f'<text class="tick" x="{100 * x:.2f}%" y="{y}" '
        f'text-anchor="{"start" if x < 0.08 else "end" if x > 0.92 else "middle"}">{escape(label)}</text>'
        for x, label in ticks
    )


def _percent(value: float, largest: float) -> str:
    return f"{100 * min(max(value / largest, 0.0), 1.0) if largest else 0.0:.3f}%"


def _svg(body: str, height: int) -> Markup:
    return Markup(f'<svg class="chart" width="100%" height="{height}" role="img">{body}</svg>')
