"""Small charts as inline SVG; colours come from the page's style sheet, by class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asr_ligru.score.markup import Markup, element

COLORS = 8  # classes c0 to c7
_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 30, 44
_TICKS = 5
_LABELS = 12  # more would cover each other
_LABEL_HEIGHT = 18
_BAR_LEFT, _BAR_RIGHT, _BAR_HEIGHT = 170, 60, 26
_BAR_LABEL = 17  # letters


@dataclass(frozen=True)
class Series:
    """Points of one colour.

    Attributes:
        name: for the tooltip and, in a scatter chart, the label beside the first point.
        color: index of its colour.
        points: (x, y), finite.
        bars: (low, high) of y for each point, or empty.
    """

    name: str
    color: int
    points: tuple[tuple[float, float], ...]
    bars: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Bar:
    """One bar of a bar chart.

    Attributes:
        label: at its left.
        parts: (index of colour, value >= 0) of what it is put together from.
        tooltip: all there is to say.
    """

    label: str
    parts: tuple[tuple[int, float], ...]
    tooltip: str

    @property
    def total(self) -> float:
        """Return its length."""
        return sum(value for _, value in self.parts)


@dataclass(frozen=True)
class Axis:
    """One direction of a chart: values ``low`` to ``high`` onto pixels ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def pixel(self, value: float) -> float:
        """Return where ``value`` lies; values outside lie on the border."""
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, self._inside(value)))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def _inside(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def ticks(self) -> list[float]:
        """Return round values between low and high."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            values = [digit * 10.0**power for power in decades for digit in (1, 2, 5)]
        else:
            step = nice_step((self.high - self.low) / _TICKS)
            first = math.ceil(self.low / step - 1e-9)
            values = [step * n for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [value for value in values if self.low <= value * (1 + 1e-9) and value <= self.high * (1 + 1e-9)]


def nice_step(rough: float) -> float:
    """Return the next of ..., 1, 2, 5, 10, ... at or above ``rough`` > 0."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough * (1 - 1e-9))


def line_chart(series: Sequence[Series], x_title: str, y_title: str) -> Markup:
    """Return one line for each series, y on a logarithmic scale.

    Args:
        series: at least one point above zero among them.
        x_title: below the x axis.
        y_title: above the y axis.
    """
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for _, y in one.points if y > 0]
    x_axis = _x_axis(min(xs), max(xs))
    y_axis = Axis(min(ys) / 1.15, max(ys) * 1.15, _HEIGHT - _BOTTOM, _TOP, log=True)
    lines = [_line(one, x_axis, y_axis) for one in series]
    return _svg(f"{y_title} by {x_title}", *_frame(x_axis, y_axis, x_title, y_title), *lines)


def scatter_chart(series: Sequence[Series], x_title: str, y_title: str) -> Markup:
    """Return labelled points with their intervals, both axes from zero.

    Args:
        series: at least one point among them.
        x_title: below the x axis.
        y_title: above the y axis.
    """
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for values in (one.points, one.bars) for pair in values for y in pair[1:]]
    x_axis = _x_axis(0.0, 1.15 * max(xs))
    y_axis = Axis(0.0, 1.08 * max(ys) or 1.0, _HEIGHT - _BOTTOM, _TOP)
    dots = [_dots(one, x_axis, y_axis) for one in series]
    labels = _labels(series, x_axis, y_axis) if len(series) <= _LABELS else []
    return _svg(f"{y_title} by {x_title}", *_frame(x_axis, y_axis, x_title, y_title), *dots, *labels)


def bar_chart(bars: Sequence[Bar], title: str) -> Markup:
    """Return horizontal bars below each other, their parts side by side, the total behind.

    Args:
        bars: at least one.
        title: of the values, above them.
    """
    longest = max(bar.total for bar in bars) or 1.0
    scale = (_WIDTH - _BAR_LEFT - _BAR_RIGHT) / longest
    rows = [_bar(bar, _TOP + n * _BAR_HEIGHT, scale) for n, bar in enumerate(bars)]
    heading = element("text", title, x=8, y=16)
    return _svg(title, heading, *rows, height=_TOP + len(bars) * _BAR_HEIGHT + 6)


def _bar(bar: Bar, y: float, scale: float) -> Markup:
    label = bar.label if len(bar.label) <= _BAR_LABEL else f"{bar.label[: _BAR_LABEL - 1]}…"
    parts = [element("title", bar.tooltip), element("text", label, x=_BAR_LEFT - 8, y=y + 17, text_anchor="end")]
    x = float(_BAR_LEFT)
    for color, value in bar.parts:
        parts.append(element("rect", x=x, y=y + 3, width=value * scale, height=_BAR_HEIGHT - 6, class_=f"c{color}"))
        x += value * scale
    parts.append(element("text", f"{bar.total:.1f}", x=x + 6, y=y + 17))
    return element("g", *parts)


def _x_axis(low: float, high: float) -> Axis:
    return Axis(low, high if high > low else low + 1.0, _LEFT, _WIDTH - _RIGHT)


def _svg(label: str, *children: str, height: float = _HEIGHT) -> Markup:
    return element("svg", *children, viewBox=f"0 0 {_WIDTH} {height}", role="img", aria_label=label)


def _frame(x_axis: Axis, y_axis: Axis, x_title: str, y_title: str) -> list[Markup]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts: list[Markup] = []
    for tick in y_axis.ticks():
        y = y_axis.pixel(tick)
        parts.append(element("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(element("text", f"{tick:g}", x=_LEFT - 8, y=y + 4, text_anchor="end"))
    for tick in x_axis.ticks():
        parts.append(element("text", f"{tick:g}", x=x_axis.pixel(tick), y=bottom + 18, text_anchor="middle"))
    parts.append(element("line", x1=_LEFT, x2=right, y1=bottom, y2=bottom, class_="axis"))
    parts.append(element("text", x_title, x=right, y=_HEIGHT - 6, text_anchor="end"))
    parts.append(element("text", y_title, x=8, y=16))
    return parts


def _line(series: Series, x_axis: Axis, y_axis: Axis) -> Markup:
    path = " ".join(f"{x_axis.pixel(x):.1f},{y_axis.pixel(y):.1f}" for x, y in series.points)
    title = element("title", series.name)
    return element("polyline", title, points=path, class_=f"line c{series.color % COLORS}")


def _dots(series: Series, x_axis: Axis, y_axis: Axis) -> Markup:
    parts = [element("title", series.name)]
    for (x, _), (low, high) in zip(series.points, series.bars, strict=False):
        px = x_axis.pixel(x)
        parts.append(element("line", x1=px, x2=px, y1=y_axis.pixel(low), y2=y_axis.pixel(high), class_="bar"))
    parts += [element("circle", cx=x_axis.pixel(x), cy=y_axis.pixel(y), r=5) for x, y in series.points]
    return element("g", *parts, class_=f"c{series.color % COLORS}")


def _labels(series: Sequence[Series], x_axis: Axis, y_axis: Axis) -> list[Markup]:
    """Return the series' names beside their first points, pushed down where they would cover each other."""
    places = sorted(
        (y_axis.pixel(one.points[0][1]), x_axis.pixel(one.points[0][0]), one.name, one.color) for one in series
    )
    labels, free = [], 0.0
    for y, x, name, color in places:
        free = max(free, y + 4)
        left = x > _LEFT + 0.6 * (_WIDTH - _LEFT)
        place = {"x": x - 10, "text_anchor": "end"} if left else {"x": x + 10}
        labels.append(element("text", name, y=free, class_=f"label c{color % COLORS}", **place))
        free += _LABEL_HEIGHT
    return labels
