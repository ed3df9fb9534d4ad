"""Plots as SVG: lines and bars, each with a title and a description for people who do not see them. Pure.

Colours, shapes and dashes tell series apart, so that no colour is needed to read them; the page has the numbers as a
table beside each plot.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _PANEL_WIDTH, _PANEL_HEIGHT = 840, 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM, _LEGEND_PX, _BAR_PX, _NAMES_PX = 56, 24, 14, 44, 18, 34, 250
_COLOURS = ("#1d70b8", "#d4351c", "#00703c", "#4c2c92")
_INK, _GRID = "#0b0c0c", "#b1b4b6"
_TICKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A series of points, from left to right."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes, which begin at 0, and the lines in it, four at most."""

    x: str
    y: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A value, and the single values of its rounds, drawn as dots."""

    name: str
    value: float
    rounds: Sequence[float] = ()


def line_plot(title: str, description: str, panels: Sequence[Panel]) -> str:
    """Return a file with panels side by side, two at most."""
    legend = _LEGEND_PX * max(len(panel.lines) for panel in panels)
    height = legend + _PANEL_HEIGHT
    drawn = (
        f'<g transform="translate({number * _PANEL_WIDTH} 0)">{"".join(_panel(panel, legend))}</g>'
        for number, panel in enumerate(panels)
    )
    return _file(title, description, height, drawn)


def bar_plot(title: str, description: str, unit: str, bars: Sequence[Bar]) -> str:
    """Return a file with a bar for each value, from the top down."""
    ticks = _ticks(max(max((bar.value, *bar.rounds)) for bar in bars))
    height = _TOP + _BAR_PX * len(bars) + _BOTTOM
    scale = (_WIDTH - _NAMES_PX - 2 * _RIGHT) / ticks[-1]
    return _file(title, description, height, _bars(bars, ticks, scale, height, unit))


def _bars(bars: Sequence[Bar], ticks: Sequence[float], scale: float, height: int, unit: str) -> Iterator[str]:
    foot = height - _BOTTOM
    for tick in ticks:
        at = _NAMES_PX + tick * scale
        yield _rule(at, _TOP, at, foot) + _text(at, foot + 16, f"{tick:g}", "middle")
    yield _text((_NAMES_PX + _WIDTH) / 2, height - 8, unit, "middle")
    for number, bar in enumerate(bars):
        y = _TOP + _BAR_PX * number
        yield _text(_NAMES_PX - 8, y + 22, bar.name, "end")
        yield (
            f'<rect x="{_NAMES_PX}" y="{y + 5}" width="{bar.value * scale:.1f}" height="{_BAR_PX - 10}"'
            f' fill="{_COLOURS[0]}" fill-opacity="0.55"/>'
        )
        yield _text(_NAMES_PX + 6, y + 22, f"{bar.value:.2f}", "start")
        yield from (_shape(0, _NAMES_PX + value * scale, y + _BAR_PX / 2, _INK, 2.5) for value in bar.rounds)


def _panel(panel: Panel, legend: int) -> Iterator[str]:
    points = [point for line in panel.lines for point in line.points]
    x_ticks, y_ticks = (_ticks(max(point[axis] for point in points)) for axis in (0, 1))
    top, foot, right = legend + _TOP, legend + _PANEL_HEIGHT - _BOTTOM, _PANEL_WIDTH - _RIGHT

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x = _LEFT + point[0] / x_ticks[-1] * (right - _LEFT)
        return x, foot - point[1] / y_ticks[-1] * (foot - top)

    for tick in x_ticks:
        x = at((tick, 0))[0]
        yield _rule(x, top, x, foot) + _text(x, foot + 16, f"{tick:g}", "middle")
    for tick in y_ticks:
        y = at((0, tick))[1]
        yield _rule(_LEFT, y, right, y) + _text(_LEFT - 6, y + 4, f"{tick:g}", "end")
    yield _text((_LEFT + right) / 2, foot + 36, panel.x, "middle")
    yield f'<g transform="translate(14 {(top + foot) / 2:.0f}) rotate(-90)">{_text(0, 0, panel.y, "middle")}</g>'
    for number, line in enumerate(panel.lines):
        places = [at(point) for point in line.points]
        legend_y = 4 + _LEGEND_PX * (number + 0.5)
        yield _series(number, places) + _series(number, [(_LEFT, legend_y), (_LEFT + 34, legend_y)])
        yield _text(_LEFT + 44, legend_y + 4, line.name, "start")


def _series(number: int, places: Sequence[tuple[float, float]]) -> str:
    colour, dash = _COLOURS[number], f' stroke-dasharray="{4 * number} 3"' if number else ""
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    shapes = "".join(_shape(number, x, y, colour, 4) for x, y in places)
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>{shapes}'


def _shape(number: int, x: float, y: float, colour: str, size: float) -> str:
    """Circle, square, triangle, diamond."""
    if number == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>'
    turns = ([(-1, -1), (1, -1), (1, 1), (-1, 1)], [(-1, 1), (0, -1), (1, 1)], [(-1, 0), (0, -1), (1, 0), (0, 1)])
    corners = " ".join(f"{x + size * right:.1f},{y + size * down:.1f}" for right, down in turns[number - 1])
    return f'<polygon points="{corners}" fill="{colour}"/>'


def _ticks(most: float) -> list[float]:
    """Return round numbers from 0 to at least the largest value, some `_TICKS` of them."""
    power = 10.0 ** math.floor(math.log10(most / _TICKS)) if most > 0 else 1.0
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step * _TICKS >= most)
    return [round(number * step, 9) for number in range(math.ceil(round(most / step, 9)) + 1)] if most > 0 else [0, 1]


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{_GRID}" stroke-width="0.5"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _file(title: str, description: str, height: int, parts: Iterator[str]) -> str:
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        ' role="img" aria-labelledby="title desc" font-family="sans-serif" font-size="13">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(description)}</desc>',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<g fill="{_INK}">',
        *parts,
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
