"""Figures of a data set: what is drawn, read back from matplotlib, is what the evaluators say."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from PIL import Image

from metrics import PROFILES
from report import __main__ as report_script
from report.curves import draw_curves, draw_set, inline_svg, size_curve
from report.drawing import spread, style
from report.methods import SetScores, score_sets

SET = "SMALL-TE"
IMAGES = 10  # two groups by object size
KINDS = ("precision_recall", "F_threshold", "E_threshold", "MAE_size", "Sm_size", "distributions")
#: By how many pixels a method's objects are too large; where F is highest differs with it.
METHODS = {"broad": 5, "exact": 0, "narrow": -5}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with datasets/ and maps/: boxes, the smaller the later their names come, and maps
    that fall off around the boxes' edges."""
    folder, random = tmp_path_factory.mktemp("figures"), np.random.default_rng(0)
    y, x = np.mgrid[:48, :64]
    for number in range(IMAGES):
        half = 22 - 2 * number
        depth = half - np.maximum(abs(y - 24), abs(x - 30))  # pixels from the edge, inwards
        noise = random.normal(0, 8, depth.shape)
        files = {f"datasets/{SET}/masks": 255 * (depth > 0),
                 f"datasets/{SET}/images": np.repeat(255 * (depth > 0)[..., None], 3, axis=2)}
        files |= {f"maps/{method}/{SET}": 128 + 9 * (depth + more) + noise
                  for method, more in METHODS.items()}
        for where, values in files.items():
            (folder / where).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(
                folder / where / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def scored(made) -> SetScores:
    (scores,), refused = score_sets(made / "maps", made / "datasets")
    assert refused == 0
    return scores


@pytest.fixture(scope="module")
def sizes(scored) -> dict[str, float]:
    return scored.object_sizes(PROFILES["pysodmetrics"])


@pytest.fixture(scope="module")
def drawn(scored, sizes) -> dict[str, list[Axes]]:
    """Figure → its axes."""
    return {figure.key: figure.drawing.axes for figure in draw_set(scored, sizes)}


def lines_of(axes: Axes) -> list:
    """The lines in data coordinates; what stands beside the axes is left out."""
    return [line for line in axes.lines if line.get_transform() is axes.transData]


def labels_of(axes: Axes) -> dict[str, tuple]:
    """Text beside the axes → the point, in data coordinates, from which a line leads to it, and
    colour and marker of the sample before it."""
    to_data = axes.transAxes + axes.transData.inverted()
    labels = {}
    for text in axes.texts:
        height = text.get_position()[1]
        leader, mark = (line for line in axes.lines if line.get_transform() is axes.transAxes
                           and line.get_ydata()[-1] == height)
        point = to_data.transform((leader.get_xdata()[0], leader.get_ydata()[0]))
        labels[text.get_text()] = (tuple(point), mark.get_color(), mark.get_marker())
    return labels


def look(number: int) -> tuple[str, str]:
    return style(number)["color"], style(number)["marker"]


def expect_line(line, x, y, number: int) -> None:
    np.testing.assert_allclose(line.get_xdata(), x)
    np.testing.assert_allclose(line.get_ydata(), y)
    assert (line.get_color(), line.get_marker()) == look(number)


def expect_label(axes: Axes, text: str, point, number: int) -> None:
    place, colour, marker = labels_of(axes)[text]
    assert place == pytest.approx(point)
    assert (colour, marker) == look(number)


def test_the_made_maps_tell_all_curves_and_measures_apart(scored):
    """Else the tests below would not see one drawn in place of another."""
    for method in scored.methods:
        curves = method.evaluator.curves()
        for first, second in itertools.combinations(("precision", "recall", "F", "E"), 2):
            assert abs(curves[first] - curves[second]).max() > 0.1
        highest = {name: int(values.argmax()) for name, values in curves.items()}
        assert highest.pop("F") not in {0, len(curves["F"]) - 1, *highest.values()}
        for row in method.evaluator.per_image.values():
            assert len({round(row[name], 3) for name in ("MAE", "maxF", "wF", "Sm", "maxE")}) == 5


# --- curves over the threshold --------------------------------------------------------------------


def test_precision_over_recall_marked_where_f_is_highest(scored, drawn):
    (axes,) = drawn["precision_recall"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("recall", "precision")
    for method, line in zip(scored.methods, lines_of(axes), strict=True):
        curves = method.evaluator.curves()
        expect_line(line, curves["recall"], curves["precision"], method.number)
        best = int(curves["F"].argmax())
        assert line.get_markevery() == [best]
        expect_label(axes, f"{method.row['maxF']:.3f}  {method.name}"[1:],
                     (curves["recall"][best], curves["precision"][best]), method.number)


@pytest.mark.parametrize("family", ["F", "E"])
def test_f_and_e_over_the_threshold_marked_where_they_are_highest(scored, drawn, family):
    (axes,) = drawn[f"{family}_threshold"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("threshold", f"{family}-measure")
    for method, line in zip(scored.methods, lines_of(axes), strict=True):
        values = method.evaluator.curves()[family]
        thresholds = np.linspace(255, 0, len(values))
        expect_line(line, thresholds, values, method.number)
        assert line.get_markevery() == [int(values.argmax())]
        expect_label(axes, f"{method.row[f'max{family}']:.3f}  {method.name}"[1:],
                     (thresholds[1], values[1]), method.number)


# --- single images --------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["MAE", "Sm"])
def test_means_over_object_size(scored, sizes, drawn, measure):
    (axes,) = drawn[f"{measure}_size"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("object, % of the image", measure)
    names = sorted(sizes, key=sizes.get)
    groups = names[:IMAGES // 2], names[IMAGES // 2:]
    x = [np.mean([100 * sizes[name] for name in group]) for group in groups]
    for method, line in zip(scored.methods, lines_of(axes), strict=True):
        scores = method.evaluator.per_image
        y = [np.mean([scores[name][measure] for name in group]) for group in groups]
        expect_line(line, x, y, method.number)
        expect_label(axes, method.name, (x[-1], y[-1]), method.number)


def test_distributions_are_those_of_their_measures(scored, drawn):
    columns = drawn["distributions"]
    assert [axes.get_title() for axes in columns] == ["MAE", "maxF", "wF", "Sm", "maxE"]
    assert [text.get_text() for text in columns[0].get_yticklabels()] == list(METHODS)
    for axes in columns:
        filled = [patch.get_data() for patch in axes.patches if patch.get_fill()]
        bars = sorted(lines_of(axes), key=lambda line: (-line.get_ydata()[0], line.get_xdata()[0]))
        assert len(bars) == 2 * len(METHODS)
        for place, (method, steps) in enumerate(zip(scored.methods, filled, strict=True)):
            scores = [row[axes.get_title()] for row in method.evaluator.per_image.values()]
            limits = steps.edges[0], steps.edges[-1]
            counts, _ = np.histogram(np.clip(scores, *limits), len(steps.values), limits)
            np.testing.assert_allclose(steps.values + place, 0.8 * counts / counts.max())
            assert steps.baseline == -place
            low, high = bars[2 * place].get_xdata(), bars[2 * place + 1].get_xdata()
            assert (low[0], high[1]) == pytest.approx(np.quantile(scores, (0.25, 0.75)))
            assert (low[1] + high[0]) / 2 == pytest.approx(np.median(scores))


def test_scores_by_object_size():
    areas = {f"{i}": i / 100 for i in range(51)}
    scores = {name: share / 2 for name, share in areas.items()}
    sizes, means = size_curve(scores, areas)
    assert len(sizes) == 10
    np.testing.assert_allclose(sizes, [3 + 5 * k for k in range(10)])  # "0" has no object
    np.testing.assert_allclose(means, sizes / 200)
    assert size_curve({"1": 0.5}, areas).shape == (2, 0)


# --- how they look --------------------------------------------------------------------------------


def test_methods_are_told_apart_without_colour():
    assert len({(s["linestyle"], s["marker"]) for s in map(style, range(42))}) == 42
    assert len({style(number)["linestyle"] for number in range(6)}) == 6


def test_a_method_looks_the_same_where_others_are_missing(scored, sizes):
    *figures, distributions = draw_set(replace(scored, methods=scored.methods[1:]), sizes)
    for figure in figures:
        assert [(line.get_color(), line.get_marker())
                for line in lines_of(figure.drawing.axes[0])] == \
            [look(number) for number in (1, 2)]
    for axes in distributions.drawing.axes:
        assert [to_hex(patch.get_facecolor()) for patch in axes.patches if patch.get_fill()] == \
            [style(number)["color"] for number in (1, 2)]


def test_figures_of_a_page_take_its_colours_and_share_no_ids(scored, sizes):
    first, second, *_ = draw_set(scored, sizes)
    svg = inline_svg(first, "here")
    for colour in ("currentColor", "var(--grid)", *(f"var(--line-{i})" for i in range(3))):
        assert f": {colour}" in svg
    assert "width=" not in svg[:svg.index(">")]
    # Of three methods one is solid; each has a curve, and a sample before its label.
    dashes = re.findall(r"stroke-dasharray: ([^;\"]+)", svg)
    assert sorted(map(dashes.count, set(dashes))) == [2, 2]
    assert set(re.findall(r'id="([^"]+)"', svg)).isdisjoint(
        re.findall(r'id="([^"]+)"', inline_svg(second, "there")))


def test_labels_move_apart_and_stay_inside():
    places = spread([0.9, 0.9, 0.89, 0.1, 0.02], gap=0.06)
    assert places[0] == pytest.approx(0.9)
    assert all(a - b >= 0.06 - 1e-12 for a, b in itertools.pairwise(places))
    assert all(0 <= place <= 1 for place in spread([0.5] * 40, gap=0.06))
    low = spread([0.01, 0.01, 0.01], gap=0.06)
    assert low == pytest.approx([0.12, 0.06, 0])


# --- which there are, and their files -------------------------------------------------------------


@pytest.mark.parametrize("profile, figures", [("matlab", 6), ("tracer", 5)])
def test_other_profiles(made, profile, figures):
    (scores,), _ = score_sets(made / "maps", made / "datasets", profile=profile)
    drawn = draw_set(scores, scores.object_sizes(PROFILES[profile]))
    assert len(drawn) == figures
    of_means = profile == "matlab"  # whose maxF is that of the means
    for method, *lines in zip(scores.methods, *(lines_of(figure.drawing.axes[0])
                                                for figure in drawn[:2]), strict=True):
        (r, p), (best,) = lines[0].get_data(), lines[0].get_markevery()
        f = 1.3 * p * r / (.3 * p + r)
        for highest in (f[best], max(lines[1].get_ydata())):
            assert (highest == pytest.approx(method.row["maxF"], abs=1e-12)) == of_means
    assert drawn[1].text.startswith("F of the mean" if of_means else "Mean F of all")


def test_sets_whose_names_give_one_file_name_have_figures_of_their_own(scored, sizes, tmp_path,
                                                                       monkeypatch):
    named = [replace(scored, name=name) for name in ("A B", "A_B")]
    monkeypatch.setattr(report_script, "scored_as_asked", lambda *_: (named, 0))
    figure = draw_curves(SET, scored.methods)[0]
    monkeypatch.setattr("report.curves.draw_set", lambda *_: [figure])
    assert report_script.main(["curves", "--out", str(tmp_path), "--formats", "pdf"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "A_B_2_precision_recall.pdf", "A_B_precision_recall.pdf"]


def test_figures_for_papers(made, tmp_path, capsys):
    assert report_script.main(["curves", "--pred", str(made / "maps"), "--root",
                               str(made / "datasets"), "--out", str(tmp_path / "out"),
                               "--formats", "pdf", "png", "--formats", "svg"]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{SET}_{kind}.{suffix}" for kind in KINDS for suffix in ("pdf", "png", "svg")}
    assert len(capsys.readouterr().out.splitlines()) == 18
    with Image.open(tmp_path / f"out/{SET}_precision_recall.png") as picture:
        assert picture.width == 1280
    assert (tmp_path / f"out/{SET}_F_threshold.pdf").read_bytes().startswith(b"%PDF")
