"""How lines are told apart without colour, and labelled without a legend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes

#: Lines in print. Apart for the colour-blind, and at least 3.5:1 against white; the page brings
#: its own set for a dark background.
COLOURS = ("#0072b2", "#d55e00", "#007a5a", "#aa3377", "#8a6d00", "#555555")
INK, GRID = "#101112", "#d0d1d2"  # values that nothing else has: the page replaces them
_DASHES = ("solid", (0, (5, 2)), (0, (1, 1.3)), (0, (6, 2, 1.2, 2)), (0, (9, 3)),
           (0, (3, 1.5, 1, 1.5, 1, 1.5)), (0, (2.5, 2.5)))
_MARKERS = "os^DvPX<>"
_NAME = 20  # characters of a label

_SETTINGS = {
    "svg.fonttype": "none", "pdf.fonttype": 42, "text.parse_math": False, "font.size": 9,
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"],
    "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "axes.facecolor": "none", "figure.facecolor": "white", "path.simplify_threshold": 0.3,
}


@contextmanager
def settings(salt: str) -> Iterator[None]:
    """Matplotlib's settings for a figure: equal input gives equal bytes.

    Args:
        salt: ids in the SVG are made of it; figures of one page need different ones.
    """
    with matplotlib.rc_context(_SETTINGS | {"svg.hashsalt": salt}):
        yield


@dataclass(frozen=True)
class Style:
    """What tells the line of a method from the others: dashes and marker, and colour too."""

    colour: str
    dashes: object
    marker: str

    @property
    def line(self) -> dict:
        return {"color": self.colour, "linestyle": self.dashes, "linewidth": 1.6}


def style(number: int) -> Style:
    """The style of the method of that number; the first 42 differ."""
    return Style(COLOURS[number % len(COLOURS)], _DASHES[number % len(_DASHES)],
                 _MARKERS[number % len(_MARKERS)])


def short(name: str) -> str:
    """A name that fits beside the axes: what is too long loses its middle."""
    return name if len(name) <= _NAME else f"{name[:_NAME - 10]}…{name[-9:]}"


@dataclass(frozen=True)
class Label:
    """A text at the right edge, led to from a point of the line that it names."""

    text: str
    style: Style
    point: tuple[float, float]  # in data coordinates


def add_labels(axes: Axes, labels: Sequence[Label]) -> None:
    """Write the labels beside the axes, at the height of their points as far as there is room.

    A piece of the line stands before each, so that it can be found where lines run together.
    The limits of the axes must be final.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    points = [to_axes.transform(label.point) for label in labels]
    order = sorted(range(len(labels)), key=lambda i: -points[i][1])
    places = spread([points[i][1] for i in order], gap=0.3 / axes.figure.get_figheight())
    beside = {"transform": axes.transAxes, "clip_on": False}
    for i, height in zip(order, places, strict=True):
        label, (x, y) = labels[i], points[i]
        axes.plot([x, 1.015, 1.035], [y, height, height], color=INK, linewidth=0.5, alpha=0.45,
                  zorder=1, **beside)
        axes.plot([1.045, 1.145], [height, height], **label.style.line, **beside)
        axes.plot([1.095], [height], marker=label.style.marker, color=label.style.colour,
                  markersize=4, **beside)
        axes.text(1.16, height, label.text, va="center", fontsize=8, transform=axes.transAxes)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Falling heights, moved apart to at least ``gap`` and kept within [0, 1].

    Where that leaves too little room, they stand as far apart as they can.
    """
    if len(heights) > 1:
        gap = min(gap, 1 / (len(heights) - 1))
    places: list[float] = []
    for height in heights:
        places.append(min(height, 1.0) if not places else min(height, places[-1] - gap))
    floor = 0.0
    for i in reversed(range(len(places))):
        places[i] = min(max(places[i], floor), 1.0)
        floor = places[i] + gap
    return places
