"""How lines are told apart without colour, and labelled without a legend."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from .tables import one_line

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


def settings(salt: str) -> AbstractContextManager[None]:
    """Matplotlib's settings for a figure: equal input gives equal bytes.

    Args:
        salt: ids in the SVG are made of it; figures of one page need different ones.
    """
    return matplotlib.rc_context(_SETTINGS | {"svg.hashsalt": salt})


def style(number: int) -> dict:
    """Keywords of ``plot`` for the method of that number: dashes and marker, and colour too, tell
    it from the others; the first 42 differ."""
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": _DASHES[number % len(_DASHES)],
            "marker": _MARKERS[number % len(_MARKERS)], "linewidth": 1.6}


def short(name: str) -> str:
    """A name that fits beside the axes: what is too long loses its middle."""
    name = one_line(name)
    return name if len(name) <= _NAME else f"{name[:_NAME - 10]}…{name[-9:]}"


def add_labels(axes: Axes,
               labels: Sequence[tuple[str, int, tuple[float, float]]]) -> None:
    """Write labels beside the axes, at the height of their points as far as there is room.

    A piece of the line stands before each, so that it can be made out where lines run together.
    The limits of the axes must be final.

    Args:
        labels: text, number of the method, and the point of its line, in data coordinates, from
            which a thin line leads to the text.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    placed = sorted(((*to_axes.transform(point), text, number) for text, number, point in labels),
                    key=lambda label: -label[1])
    heights = spread([y for _, y, *_ in placed], gap=0.3 / axes.figure.get_figheight())
    beside = {"transform": axes.transAxes, "clip_on": False}
    for height, (x, y, text, number) in zip(heights, placed, strict=True):
        axes.plot([x, 1.015, 1.035], [y, height, height], color=INK, linewidth=0.5, alpha=0.45,
                  zorder=1, **beside)
        axes.plot([1.045, 1.095, 1.145], [height] * 3, **style(number), markevery=[1],
                  markersize=4, **beside)
        axes.text(1.16, height, text, va="center", fontsize=8, transform=axes.transAxes)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Falling heights, moved apart to at least ``gap`` and kept within [0, 1].

    Where that leaves too little room, they stand as far apart as they can.
    """
    if len(heights) > 1:
        gap = min(gap, 1 / (len(heights) - 1))
    steps = gap * np.arange(len(heights))
    down = np.minimum.accumulate(np.minimum(heights, 1) + steps) - steps
    up = np.maximum.accumulate((np.maximum(down, 0) + steps)[::-1])[::-1] - steps
    return np.minimum(up, 1).tolist()
