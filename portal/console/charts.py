"""Charts as drawings made here: the points of lines and areas, in the units of an SVG that the template wraps.

No script draws them, so they are there without one, can be printed, and follow the reader's colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import NamedTuple

#: the drawing's size; the page scales it
WIDTH, HEIGHT = 600, 140
#: steps that people read easily
_STEPS = (1, 2, 2.5, 5, 10)


class Line(NamedTuple):
    """One series: its name, the class of its colour, and the points of each unbroken part."""

    name: str
    tone: str
    parts: tuple[str, ...]
    #: the same, closed down to zero
    areas: tuple[str, ...]
    last: float | None


class Chart(NamedTuple):
    """A drawing of series over the same times."""

    lines: tuple[Line, ...]
    #: (height in the drawing, what is written there)
    grid: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT


def nice_top(most: float) -> float:
    """A round number not below ``most``, so that the scale does not jump with each value."""
    if most <= 0:
        return 1.0
    size = 10.0 ** floor(log10(most))
    return next(step * size for step in _STEPS if step * size >= most * 0.999_999)


def draw(series: Sequence[tuple[str, str, Sequence[float | None]]], unit: str = "") -> Chart:
    """Draw (name, tone, values), all with as many values; None is a gap."""
    most = max((value for _, _, values in series for value in values if value is not None), default=0.0)
    top = nice_top(most)
    lines = []
    for name, tone, values in series:
        parts = _parts(values, top)
        areas = tuple(f"{_x(part[0])},{HEIGHT} {' '.join(part)} {_x(part[-1])},{HEIGHT}" for part in parts)
        last = next((value for value in reversed(values) if value is not None), None)
        lines.append(Line(name, tone, tuple(" ".join(part) for part in parts), areas, last))
    grid = tuple((HEIGHT - HEIGHT * share, written(top * share) + unit) for share in (1.0, 0.5))
    return Chart(tuple(lines), grid)


def written(value: float) -> str:
    """A value as short as it can be read."""
    if value >= 10_000:
        return f"{value / 1000:,.0f}k"
    if value >= 100 or value == ceil(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _parts(values: Sequence[float | None], top: float) -> list[list[str]]:
    step = WIDTH / max(len(values) - 1, 1)
    parts: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            parts.append([])
        else:
            parts[-1].append(f"{place * step:.1f},{HEIGHT - HEIGHT * min(value / top, 1.0):.1f}")
    # One value alone is a dot: a line to itself, with round ends.
    return [part * 2 if len(part) == 1 else part for part in parts if part]


def _x(point: str) -> str:
    return point.partition(",")[0]
