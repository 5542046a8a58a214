"""Figures of a data set: curves over the threshold, scores of single images."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import matplotlib.figure
import numpy as np

from metrics import Evaluator
from scoring.scores import Row

from .drawing import COLOURS, GRID, INK, add_labels, settings, short, style
from .methods import Method, SetScores
from .tables import DRAWN, one_line

_WIDTH = 6.4  # inches
_BINS = 40  # of a distribution
_SIZES = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)  # % of the image, where an axis has ticks
_GROUPS = 10  # of images by object size
_SMALL_GROUP = 5  # images; fewer say nothing about a size
_PLAIN = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None},
          "png": {"Software": DRAWN}}  # no date and no version: the same input, the same bytes


@dataclass(frozen=True)
class Figure:
    """A drawing, and what it shows in words; ``key`` is for file names."""

    key: str
    title: str
    text: str
    drawing: matplotlib.figure.Figure


class Scored(Protocol):
    """What a line of a curve is drawn of, such as a ``Method``: its name, its number among the
    methods, which gives the line its look, and its scores."""

    name: str
    number: int
    evaluator: Evaluator
    row: Row


def draw_set(scores: SetScores, areas: Mapping[str, float]) -> list[Figure]:
    """All figures of a data set, of the methods whose scores are given.

    Args:
        areas: image → share of its pixels that is foreground, in [0, 1].
    """
    methods = scores.given
    if not methods:
        return []
    name = one_line(scores.title)
    with settings(name):
        figures = draw_curves(name, methods)
        figures += filter(None, (_over_size(name, methods, areas, measure)
                                 for measure in ("MAE", "Sm")))
        figures.append(_distributions(name, methods))
    return figures


def draw_curves(name: str, methods: Sequence[Scored]) -> list[Figure]:
    """Precision over recall, and F and E over the threshold where they were measured.

    Args:
        name: of the data set.
    """
    with settings(name):
        return [_precision_recall(name, methods),
                *(_over_threshold(name, methods, family) for family in ("F", "E")
                  if family in methods[0].evaluator.curves())]


def _axes(methods: Sequence[Scored], title: str, x: str, y: str):
    """Axes with room for the labels beside them."""
    height = max(3.4, 0.3 * len(methods) + 1.1)
    drawing = matplotlib.figure.Figure(figsize=(_WIDTH, height))
    axes = drawing.add_axes((0.11, 0.46 / height, 0.53, 1 - 0.76 / height))
    axes.set_title(title, fontsize=10, loc="left")
    axes.set(xlabel=x, ylabel=y)
    return drawing, axes


def _precision_recall(dataset: str, methods: Sequence[Scored]) -> Figure:
    drawing, axes = _axes(methods, f"{dataset}: precision and recall", "recall", "precision")
    axes.set(xlim=(0, 1))
    lines = []
    for evaluator in (method.evaluator for method in methods):
        curves, best = evaluator.curves(), int(evaluator.curve("F").argmax())
        lines.append((curves["recall"], curves["precision"], best))
    _plot(axes, methods, lines, "maxF", [best for *_, best in lines])
    return Figure("precision_recall", "Precision and recall", "Mean precision over mean recall at "
                 "all thresholds; the mark is where F is highest, the number is the table's maxF.",
                  drawing)


def _over_threshold(dataset: str, methods: Sequence[Scored], family: str) -> Figure:
    drawing, axes = _axes(methods, f"{dataset}: {family}-measure", "threshold",
                         f"{family}-measure")
    axes.set(xlim=(0, 255), xticks=range(0, 256, 51))
    lines = []
    for values in (method.evaluator.curve(family) for method in methods):
        thresholds = 255 * (1 - np.arange(len(values)) / (len(values) - 1))
        lines.append((thresholds, values, int(values.argmax())))
    averaged = "F of the mean precision and recall" \
        if family == "F" and methods[0].evaluator.profile.f_of_means \
        else f"Mean {family} of all images"
    # The first of the thresholds, 255, selects next to nothing: the second tells more.
    _plot(axes, methods, lines, f"max{family}", [1] * len(lines))
    return Figure(f"{family}_threshold", f"{family}-measure over the threshold",
                 f"{averaged} at each of the thresholds; the mark is the highest point, the "
                 f"number the table's max{family}.", drawing)


def _plot(axes, methods: Sequence[Scored], lines: Sequence[tuple[np.ndarray, np.ndarray, int]],
          measure: str, labelled: Sequence[int]) -> None:
    """Lines of x, y and the index of the point that is marked, each with its method's name and
    score beside the axes, led to from the point ``labelled``."""
    axes.set(ylim=(0, 1.005))
    labels = []
    for method, (x, y, best), point in zip(methods, lines, labelled, strict=True):
        axes.plot(x, y, **style(method.number), markevery=[best], markersize=5)
        score = f"{method.row[measure]:.3f}".removeprefix("0")
        labels.append((f"{score}  {short(method.name)}", method.number,
                       (float(x[point]), float(y[point]))))
    add_labels(axes, labels)


def _distributions(dataset: str, methods: Sequence[Method]) -> Figure:
    first = next(iter(methods[0].evaluator.per_image.values()))
    measures = [name for name in ("MAE", "maxF", "wF", "Sm", "maxE") if name in first]
    height = max(3.4, 0.42 * len(methods) + 0.95)
    drawing = matplotlib.figure.Figure(figsize=(_WIDTH, height))
    pitch = (_WIDTH - 1.6) / len(measures)
    for column, measure in enumerate(measures):
        axes = drawing.add_axes(((1.5 + pitch * column) / _WIDTH, 0.46 / height,
                                (pitch - 0.14) / _WIDTH, 1 - 0.98 / height))
        axes.set_title(measure, fontsize=9)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        scores = [np.array([row[measure] for row in method.evaluator.per_image.values()])
                  for method in methods]
        limits = _limits(np.concatenate(scores))
        for place, (method, values) in enumerate(zip(methods, scores, strict=True)):
            _ridge(axes, values, limits, -place, style(method.number)["color"])
        axes.set(xlim=limits, ylim=(0.8 - len(methods), 0.95))
        axes.set_xticks(limits, [f"{limit:.1f}" for limit in limits])
        for text, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
            text.set_horizontalalignment(side)
        names = [short(method.name) for method in methods] if column == 0 else []
        axes.set_yticks([0.2 - number for number in range(len(names))], names, fontsize=8)
        axes.tick_params(axis="y", length=0)
    drawing.text(1.5 / _WIDTH, 1 - 0.1 / height, f"{dataset}: scores of single images", fontsize=10,
                va="top")
    return Figure("distributions", "Scores of single images", "How many images have which score; "
                 "the bar spans the middle half of the images, its gap is the median. The first "
                 "and the last step count what lies beyond, too.", drawing)


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Tenths between which all but the outermost hundredths of the scores lie."""
    low, high = np.quantile(np.clip(values, 0, 1), (0.01, 0.99))
    low = np.floor(10 * low) / 10
    return low, max(np.ceil(10 * high) / 10, low + 0.1)


def _ridge(axes, values: np.ndarray, limits: tuple[float, float], base: float,
           colour: str) -> None:
    """A histogram that stands on ``base``, 0.8 high, on a bar from quartile to quartile."""
    counts, edges = np.histogram(np.clip(values, *limits), _BINS, limits)
    heights = base + 0.8 * counts / counts.max()
    axes.stairs(heights, edges, baseline=base, fill=True, color=colour, alpha=0.3)
    axes.stairs(heights, edges, baseline=base, color=colour, linewidth=0.9)
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    gap = 0.012 * (limits[1] - limits[0])
    for start, end in ((low, middle - gap), (middle + gap, high)):
        if start < end:
            axes.plot([start, end], [base - 0.09] * 2, color=colour, linewidth=3.2,
                      solid_capstyle="butt")


def _over_size(dataset: str, methods: Sequence[Method], areas: Mapping[str, float],
               measure: str) -> Figure | None:
    """None where there are too few images."""
    lines = []
    for method in methods:
        scores = {name: row[measure] for name, row in method.evaluator.per_image.items()
                  if measure in row}
        if (line := size_curve(scores, areas)).size:
            lines.append((method, line))
    if not lines:
        return None
    drawing, axes = _axes(methods, f"{dataset}: {measure} and the size of the object",
                         "object, % of the image", measure)
    for method, line in lines:
        axes.plot(*line, **style(method.number), markersize=4)
    axes.set_xscale("log")
    left, right = axes.get_xlim()
    sizes = [size for size in _SIZES if left <= size <= right]
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.set_xticks([], minor=True)
    if measure == "MAE":
        axes.set_ylim(bottom=0)
    drawing.draw_without_rendering()  # settles the limits
    add_labels(axes, [(short(method.name), method.number, tuple(line[:, -1]))
                      for method, line in lines])
    return Figure(f"{measure}_size", f"{measure} and the size of the object",
                 f"Mean {measure} of groups of equally many images, from the smallest objects to "
                 "the largest; images without an object are left out.", drawing)


def size_curve(scores: Mapping[str, float], areas: Mapping[str, float]) -> np.ndarray:
    """Mean sizes and mean scores of groups of images by object size.

    Returns:
        float64 (2, groups): percent of the image, score. At most ten groups of at least five
        images each; empty when there are fewer images that have an object.
    """
    names = sorted((name for name in scores if areas[name] > 0), key=lambda n: (areas[n], n))
    groups = min(_GROUPS, len(names) // _SMALL_GROUP)
    if groups == 0:
        return np.empty((2, 0))
    values = np.array([[100 * areas[name], scores[name]] for name in names])
    return np.array([part.mean(axis=0) for part in np.array_split(values, groups)]).T


def to_bytes(figure: Figure, kind: str, dpi: int = 200) -> bytes:
    """The figure as ``pdf``, ``png`` or ``svg``; ``dpi`` is that of pixels."""
    file = io.BytesIO()
    with settings(figure.key):
        figure.drawing.savefig(file, format=kind, dpi=dpi, metadata=_PLAIN[kind])
    return file.getvalue()


def inline_svg(figure: Figure, salt: str) -> str:
    """The figure for a page: SVG that takes its colours from the page's style sheet.

    Ink is ``currentColor``, the grid ``var(--grid)``, lines ``var(--line-0)`` and on.

    Args:
        salt: different for each figure of a page.
    """
    file = io.StringIO()
    with settings(salt):
        figure.drawing.savefig(file, format="svg", metadata=_PLAIN["svg"], transparent=True)
    svg = file.getvalue()
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r' id="(figure|axes|patch|text|line2d|matplotlib|xtick|ytick|legend)[\w.]*"', "",
                 svg)
    for colour, variable in ((INK, "currentColor"), (GRID, "var(--grid)"),
                             *((c, f"var(--line-{i})") for i, c in enumerate(COLOURS))):
        svg = svg.replace(f": {colour}", f": {variable}")
    return re.sub(r"\n\s*", "\n", svg)
