"""Charts as inline SVG. Positions along x are percentages, so that a chart fills any width without scaling its text.

Every mark has its exact value as a tooltip. Colours are classes of ``style.css``, which has a light and a dark theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from markupsafe import Markup, escape

from stages.kernels.pictures import colour_of

__all__ = ["Change", "Column", "Mark", "bar", "changes", "columns", "curve", "marks_up_to", "short", "stack"]

PLOT_PX, AXIS_PX = 96, 22
BAR_PX = 14
CURVE_PX = 120
CHANGE_PX = 42


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


@dataclass(frozen=True)
class Change:
    """One bar of :func:`changes`: a value, and the value that it is compared with; both are percent."""

    value: float
    before: float
    title: str


def columns(values: Sequence[Column], ticks: Sequence[tuple[float, str]], axes: tuple[str, str]) -> Markup:
    """A histogram with both axes.

    Args:
        values: the columns, from left to right.
        ticks: (position along x, 0 to 1, label).
        axes: what x and y are.
    """
    highest = max((column.value for column in values), default=0) or 1
    width = 100 / max(len(values), 1)
    parts = []
    for number, column in enumerate(values):
        # Even the smallest value is visible.
        height = max(column.value / highest * PLOT_PX, 1.5) if column.value else 0
        parts.append(
            f'<rect class="fill" x="{number * width + 0.08 * width:.3f}%" width="{0.84 * width:.3f}%" '
            f'y="{PLOT_PX - height:.2f}" height="{height:.2f}"><title>{escape(column.title)}</title></rect>'
        )
    summary = f"{axes[1]} by {axes[0]}: " + "; ".join(column.title for column in values if column.value)
    return _plot("".join(parts), summary, ticks, highest, axes, PLOT_PX)


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
    return _svg("".join(parts), BAR_PX, "; ".join([title, *(mark.title for mark in marks)]))


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
    return _svg("".join(parts), BAR_PX, "; ".join(title for _, _, title in shares))


def curve(points: Sequence[tuple[int, float]], axes: tuple[str, str]) -> Markup:
    """Values over steps, with both axes. The scale is from 0 to the largest value."""
    last, highest = points[-1][0], max(value for _, value in points) or 1.0
    corners = (f"{100 * step / max(last, 1):.2f},{CURVE_PX * (1 - value / highest):.2f}" for step, value in points)
    body = (
        f'<svg width="100%" height="{CURVE_PX}" viewBox="0 0 100 {CURVE_PX}" preserveAspectRatio="none">'
        f'<polyline class="curve" points="{" ".join(corners)}" vector-effect="non-scaling-stroke"/></svg>'
    )
    ticks = [(step / last, short(step)) for step in marks_up_to(last)] if last else []
    summary = f"{axes[1]} by {axes[0]}: from {points[0][1]:.2f} to {points[-1][1]:.2f} in {last:,}"
    return _plot(body, summary, ticks, highest, axes, CURVE_PX)


def changes(bars: Sequence[Change], axis: str) -> Markup:
    """Bars below one another on a scale from 0 to 100 percent, each with what it has lost or gained; with its axis."""
    tall, parts = len(bars) * CHANGE_PX, []
    for mark in range(0, 101, 20):
        anchor = "end" if mark == 100 else "middle" if mark else "start"
        x = f"{mark}%"
        parts.append(f'<line class="{"grid" if mark else "base"}" x1="{x}" x2="{x}" y1="0" y2="{tall}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{tall + 17}" text-anchor="{anchor}">{mark}</text>')
    for number, change in enumerate(bars):
        low, high = sorted((change.value, change.before))
        kind = "gain" if change.value > change.before else "loss"
        place = f'y="{number * CHANGE_PX + 20}" height="{BAR_PX}"'
        parts.append(
            f'<text class="name" x="0" y="{number * CHANGE_PX + 14}">{escape(change.title)}</text>'
            f'<rect class="fill" width="{_percent(low, 100)}" {place}><title>{escape(change.title)}</title></rect>'
            f'<rect class="{kind}" x="{_percent(low, 100)}" width="{_percent(high - low, 100)}" {place}/>'
        )
    chart = _svg("".join(parts), tall + AXIS_PX, f"{axis}: " + "; ".join(change.title for change in bars))
    return Markup(f'<div class="changes">{chart}<span class="axis">{escape(axis)}</span></div>')


def marks_up_to(highest: float) -> list[float]:
    """From 0 in equal steps of 1, 2 or 5 times a power of ten, two to five of them, up to at most ``highest``."""
    power = 10.0 ** floor(log10(highest))
    step = next(step for step in (power / 2, power, 2 * power, 5 * power) if highest / step < 5)
    # Rounded, since 3 * 0.1 is not 0.3.
    return [round(number * step, 12) for number in range(int(highest / step + 1e-9) + 1)]


def short(value: float) -> str:
    """A number on an axis: ``0.05``, ``1,500`` or ``2.5 M``."""
    return f"{value / 1e6:,.12g} M" if value >= 1e6 else f"{value:,.12g}"


def _plot(
    body: str, summary: str, ticks: Sequence[tuple[float, str]], highest: float, axes: tuple[str, str], tall_px: int
) -> Markup:
    """A chart between its axes; grid lines are at the marks of y."""
    marks = [(value, tall_px * (1 - value / highest), short(value)) for value in marks_up_to(highest)]
    lines = "".join(
        f'<line class="{"grid" if value else "base"}" x1="0" x2="100%" y1="{y:.2f}" y2="{y:.2f}"/>'
        for value, y, _ in marks
    )
    lines += "".join(
        f'<line class="base" x1="{100 * x:.2f}%" x2="{100 * x:.2f}%" y1="{tall_px}" y2="{tall_px + 4}"/>'
        for x, _ in ticks
    )
    labels = "".join(
        f'<text class="tick" x="{100 * x:.2f}%" y="{tall_px + 17}" '
        f'text-anchor="{"start" if x < 0.05 else "end" if x > 0.95 else "middle"}">{escape(label)}</text>'
        for x, label in ticks
    )
    # The numbers of y stand in a column of their own, as wide as the longest, because x is in percent.
    wide = max(len(label) for _, _, label in marks)
    numbers = "".join(f'<text class="tick" x="100%" y="{y + 4:.2f}" text-anchor="end">{m}</text>' for _, y, m in marks)
    height = tall_px + AXIS_PX
    return Markup(
        f'<div class="plot"><span class="axis">{escape(axes[1])}</span>'
        f'<svg class="chart" style="width:{wide}ch" height="{height}" aria-hidden="true">{numbers}</svg>'
        f"{_svg(lines + body + labels, height, summary)}"
        f'<span class="axis x">{escape(axes[0])}</span></div>'
    )


def _percent(value: float, largest: float) -> str:
    return f"{100 * min(max(value / largest, 0.0), 1.0) if largest else 0.0:.3f}%"


def _svg(body: str, height: int, label: str) -> Markup:
    return Markup(
        f'<svg class="chart" width="100%" height="{height}" role="img" aria-label="{escape(label)}">{body}</svg>'
    )
