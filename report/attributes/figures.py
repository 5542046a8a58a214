"""Figures of scores over attributes: means of groups with their intervals, and single images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.figure
import matplotlib.lines
import matplotlib.ticker
import numpy as np

from ..curves import Figure
from ..drawing import INK, settings, short, style
from ..tables import one_line
from .analysis import Scores
from .kept import SetAttributes
from .statistics import spearman
from .table import ATTRIBUTES, FLAG, NUMBER

_COLUMNS = 4
_PANEL = (2.15, 1.6)  # inches
_HEAD = 0.3  # inches above the panels
_JITTER = 0.25  # of flags and counts, so that points do not hide each other


def draw_groups(dataset: str, measure: str, means: Sequence[Mapping],
                numbers: Mapping[str, int], zero: bool = False) -> Figure:
    """Mean score of the groups of every attribute, a line for each method, with 95 % intervals.

    Args:
        means: records of ``group_means``.
        numbers: method → number, which gives it its look; those of the records, in their order.
        zero: the records are of the advantages of a method; the line of no difference is drawn.
    """
    own = [record for record in means if record["measure"] == measure]
    names = list(dict.fromkeys(record["attribute"] for record in own))
    methods = [name for name in numbers if any(r["method"] == name for r in own)]
    with settings(f"{dataset} groups {measure}"):
        what = f"advantage in {measure}" if zero else measure
        drawing, panels = _sheet(f"{one_line(dataset)}: {what} by quartile and by flag", names,
                                 keys=len(methods))
        limits = _limits([r[key] for r in own for key in ("low", "mean", "high")] + [0] * zero)
        for panel, name in zip(panels, names, strict=True):
            of_name = [record for record in own if record["attribute"] == name]
            ticks = {r["group"]: r["values"] if ATTRIBUTES[name].kind == FLAG
                     else f"{r['middle']:.2g}" for r in of_name}
            for place, method in enumerate(methods):
                _line(panel, [r for r in of_name if r["method"] == method], numbers[method],
                      0.12 * (place - (len(methods) - 1) / 2) / max(1, len(methods) / 4))
            panel.set_xticks(list(ticks), list(ticks.values()))
            panel.set(xlim=(0.6, max(ticks) + 0.4), ylim=limits)
            panel.grid(axis="x", visible=False)
            if zero:
                panel.axhline(0, color=INK, linewidth=0.7)
        _legend(drawing, methods, numbers)
    return Figure(f"quartiles_{measure}", f"{what} by attribute",
                  f"Mean {what} of the images of each quartile of an attribute, or of each flag, "
                  "with its 95 % bootstrap interval; below each its median value.", drawing)


def draw_scatter(dataset: str, method: str, number: int, measure: str, scores: Scores,
                 attributes: SetAttributes) -> Figure:
    """A point for each image, for every attribute, with Spearman's ρ below."""
    images = list(scores)
    y = np.array([scores[image][measure] for image in images], dtype=np.float64)
    columns = {name: attributes.column(name, images) for name in ATTRIBUTES}
    names = [name for name, values in columns.items() if not np.isnan(values).all()]
    random = np.random.default_rng(0)
    title = f"{one_line(dataset)}, {short(method)}: {measure} of single images"
    with settings(f"{dataset} scatter {measure} {number}"):
        drawing, panels = _sheet(title, names)
        for panel, name in zip(panels, names, strict=True):
            attribute, known = ATTRIBUTES[name], ~np.isnan(columns[name])
            x = columns[name][known]
            whole = attribute.counts or attribute.kind != NUMBER
            spread = random.uniform(-_JITTER, _JITTER, len(x)) if whole else 0
            panel.plot(x + spread, y[known], "o", markersize=1.8, markeredgewidth=0, alpha=0.4,
                       color=style(number)["color"], rasterized=True)
            rho = spearman(x, y[known])
            text = "" if math.isnan(rho) else f"ρ {rho:+.2f}".replace("-", "−")
            # Within the panel it would hide points, those of the worst images among them.
            panel.set_xlabel("   ".join(filter(None, (attribute.unit, text))))
            panel.set_ylim(_limits(y))
            if attribute.kind == FLAG:
                panel.set(xlim=(-0.6, 1.6))
                panel.set_xticks([0, 1], ["no", "yes"])
            elif whole:
                panel.set(xlim=(x.min() - 0.6, x.max() + 0.6))
                panel.xaxis.set_major_locator(
                    matplotlib.ticker.MaxNLocator(integer=True, min_n_ticks=1))
    return Figure(f"scatter_{measure}", f"{measure} and attributes",
                  f"A point for each image; ρ is Spearman's correlation with {measure}.", drawing)


def _sheet(title: str, names: Sequence[str], keys: int = 0):
    """A figure with a panel for each attribute, named above it, and room for a legend of so many
    ``keys``."""
    rows = max(1, math.ceil(len(names) / _COLUMNS))
    head = _HEAD + 0.2 * math.ceil(keys / _COLUMNS)
    width, height = _COLUMNS * _PANEL[0], rows * _PANEL[1] + head
    drawing = matplotlib.figure.Figure(figsize=(width, height))
    drawing.text(0.02 * _PANEL[0] / width, 1 - 0.08 / height, title, fontsize=10, va="top")
    panels = []
    for place, name in enumerate(names):
        row, column = divmod(place, _COLUMNS)
        panel = drawing.add_axes(((column + 0.2) * _PANEL[0] / width,
                                  ((rows - 1 - row) + 0.25) * _PANEL[1] / height,
                                  0.76 * _PANEL[0] / width, 0.62 * _PANEL[1] / height))
        attribute = ATTRIBUTES[name]
        panel.set_title(attribute.label, fontsize=7.5, loc="left", pad=3)
        panel.set_xlabel(attribute.unit, fontsize=6.5, labelpad=1)
        panel.tick_params(labelsize=6.5, length=2, pad=2)
        panels.append(panel)
    return drawing, panels


def _line(panel, records: Sequence[Mapping], number: int, shift: float) -> None:
    """Means of a method with their intervals, moved aside by ``shift``."""
    x = np.array([record["group"] for record in records]) + shift
    low, mean, high = (np.array([record[key] for record in records])
                       for key in ("low", "mean", "high"))
    look = style(number)
    panel.plot(x, mean, **look | {"linewidth": 1.1}, markersize=3)
    panel.vlines(x, low, high, color=look["color"], linewidth=0.9)


def _legend(drawing, methods: Sequence[str], numbers: Mapping[str, int]) -> None:
    height = drawing.get_figheight()
    handles = [matplotlib.lines.Line2D([], [], **style(numbers[name]), markersize=4)
               for name in methods]
    drawing.legend(handles, list(map(short, methods)), loc="upper left", ncols=_COLUMNS,
                   bbox_to_anchor=(0.005, 1 - 0.24 / height), frameon=False, fontsize=7.5,
                   handlelength=3, borderaxespad=0)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Limits with a little room; NaN are left out."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.06 * (high - low) or 0.05
    return low - room, high + room
