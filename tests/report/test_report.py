"""The papers' numbers beside ours: what counts as a match, ranks, averages, and every format."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.style import Style
from scipy.stats import rankdata

from metrics import PROFILES
from metrics.protocols import CORE_COLUMNS, PROTOCOLS, candidates, lower_is_better
from report.closest import closest_of, closest_sheet
from report.files import Report, as_csv, as_json, as_latex, as_markdown
from report.recipes import Recipe, Recipes
from report.reproduction import HALF, Comparison, compare_with_papers
from report.sheets import (
    BEST,
    PREAMBLE,
    SECOND,
    UNSURE,
    Cell,
    Sheet,
    escape_latex,
    latex,
    markdown,
    terminal,
)
from report.standings import marks, missing, ranks, standings_of, standings_sheet
from utils.errors import UserError
from utils.schema import Reported

SETS = ("ECSSD", "SOD")


def row(method="ours", dataset="ECSSD", profile="pysodmetrics", images=1000, **scores) -> dict:
    return {"method": method, "dataset": dataset, "images": images, "expected": images,
            "profile": profile} | scores


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    return write_recipe(tmp_path / "paper.yaml")


def write_recipe(path: Path, *more: str) -> Recipe:
    rows = ["{dataset: ECSSD, measure: maxF, value: .936, source: README, verified: true, "
            "protocol: cpd}",
            "{dataset: ECSSD, measure: MAE, value: .0400, digits: 4, source: memory, "
            "protocol: cpd}",
            "{dataset: SOD, measure: E, value: .5, source: 50% & more_, verified: true, "
            "protocol: adaptive}", *more]
    path.write_text("name: paper\npaper: A paper\nreported:\n" + "".join(f"- {r}\n" for r in rows))
    return Recipe(path)


def compared(value, digits, score, verified=True, images=1000) -> Comparison:
    reported = Reported("ECSSD", "maxF", value, digits, "README", verified, "cpd")
    return Comparison("ours", None, reported, row(maxF=score, images=images))


# --- recipes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("change, said", [
    ("measure: maxf", "did you mean 'maxF'"), ("protocol: matlb", "protocol 'matlb'"),
    ("protocol: ''", "known: cpd, minet"), ("measure: wF, protocol: tracer", "measure 'wF'"),
    ("measure: adpF, protocol: tracer", "measure 'adpF'"), ("measure: F", "measure 'F'"),
    ("digits: 2", "digits = 2"), ("value: .93612", "with 3 digits"), ("value: 93.6", "in [0, 1]"),
    ("dataset: ''", "dataset is empty"), ("source: ''", "source is empty")])
def test_wrong_reported_numbers_are_errors_at_load(tmp_path, change, said):
    entry = {"dataset": "ECSSD", "measure": "maxF", "value": "0.936", "source": "README",
             "protocol": "cpd"} | dict(pair.split(": ", 1) for pair in change.split(", "))
    path = tmp_path / "paper.yaml"
    path.write_text("reported:\n- {" + ", ".join(f"{k}: {v}" for k, v in entry.items()) + "}\n")
    with pytest.raises(UserError, match=re.escape(said)):
        Recipe(path)


def test_every_protocol_names_a_profile_and_measures_that_it_has():
    for protocol in PROTOCOLS.values():
        assert protocol.profile in PROFILES
        assert set(protocol.named.values()) <= protocol.family.keys() <= set(CORE_COLUMNS)


def test_a_method_finds_its_recipe(tmp_path, recipe):
    assert Recipes().of("wssa", None).name == "wssa"
    assert Recipes().of("CPD-VGG", None).name == "cpd_vgg"
    assert Recipes().of("trial", {"paper": "CPD-R, CVPR 2019, arXiv 1904.08739"}).name == \
        "cpd_resnet"
    assert Recipes().of("trial", {"paper": ""}) is None
    assert Recipes(["wssa"]).of("trial", None).name == "wssa"
    assert Recipes([f"a=b={tmp_path / 'paper.yaml'}"]).of("a=b", None).paper == "A paper"
    chosen = Recipes(["wssa=scwssod"])
    assert (chosen.of("wssa", None).name, chosen.of("cpd_vgg", None).name) == \
        ("scwssod", "cpd_vgg")


@pytest.mark.parametrize("choices, said", [
    (["wsa"], "did you mean 'wssa'"), (["A=nothing"], "no such recipe"), (["x.yaml"], "not found"),
    (["A=wssa", "A=cpd_vgg"], "A has another"), (["wssa", "cpd_vgg"], "METHOD=RECIPE"),
    (["ours2=wssa"], "did you mean 'ours'"), (["wssa"], "say whose the recipe is")])
def test_recipes_that_cannot_be_used_are_refused(choices, said):
    with pytest.raises(UserError, match=re.escape(said)):
        Recipes(choices).require(["ours", "theirs"])


# --- a number of a paper against ours -----------------------------------------------------------


@pytest.mark.parametrize("value, digits, score, within, difference", [
    (.936, 3, .93551, True, "+0.000"), (.936, 3, .93649, True, "+0.000"),
    (.936, 3, .93651, False, "+0.001"), (.936, 3, .9354, False, "-0.001"),
    (.8650, 4, .86544, True, "+0.0004"), (.8650, 4, .86456, True, "-0.0004"),
    (.8650, 4, .86546, False, "+0.0005"), (.8650, 4, .865607, False, "+0.0006"),
    (.04, 3, .0404, True, "+0.000"), (.5, 3, float("nan"), False, ""),
    (.5, 3, float("inf"), False, "")])
def test_within_the_third_digit(value, digits, score, within, difference):
    found = compared(value, digits, score)
    assert (found.within, found.difference_text) == (within, difference)


numbers = st.floats(0, 1)


@given(st.integers(0, 1000), numbers, st.booleans(), st.sampled_from([1000, 998]))
def test_unverified_and_partial_numbers_never_match(thousandths, score, verified, images):
    found = compared(thousandths / 1000, 3, score, verified, images)
    assert found.within == (verified and images == 1000
                            and f"{score:.3f}" == f"{thousandths / 1000:.3f}")


@given(st.integers(0, 10000), numbers)
def test_four_digits_match_when_the_printed_numbers_are_less_than_half_a_thousandth_apart(n, score):
    found = compared(n / 10000, 4, score)
    assert found.within == (abs(round(float(found.ours_text) * 10000) - n) < 5)
    assert (abs(found.difference) < HALF) == found.within


def test_reported_numbers_are_held_against_their_protocols_profile(recipe):
    rows = [row(maxF=.936, MAE=.04), row("ours", "SOD", images=300, adpE=.9),
            row("ours", "SOD", "matlab", images=300, adpE=.5004)]
    first, second, third = compare_with_papers(rows, {"ours": recipe})
    assert (first.within, second.within, third.within) == (True, False, True)
    assert (third.measure, third.profile, third.ours_text) == ("adpE", "matlab", "0.500")
    assert [c.row for c in compare_with_papers(rows[:1], {"ours": recipe}, ["SOD"])] == [None]


# --- many methods -------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), st.sampled_from(["MAE", "maxF"]))
def test_ranks_and_marks_know_which_direction_is_better(values, measure):
    texts = {str(i): f"{value / 100:.3f}" for i, value in enumerate(values)}
    signed = values if lower_is_better(measure) else [-value for value in values]
    assert list(ranks(texts, measure).values()) == list(rankdata(signed))
    found = marks(texts, measure)
    order = sorted(set(signed))
    for i, value in enumerate(signed) if len(values) > 1 else ():
        assert found[str(i)] == (BEST if value == order[0] else
                                 SECOND if value == order[1] else "")
    assert len(values) > 1 or found == {}


def test_averages_are_over_the_sets_that_all_have_and_missing_cells_are_named():
    rows = [row("a", "ECSSD", MAE=.1, maxF=.8), row("b", "ECSSD", MAE=.3, maxF=.9),
            row("a", "SOD", MAE=.3, maxF=.6), row("b", "SOD", MAE=.1, maxF=.5),
            row("a", "HKU-IS", MAE=.01, maxF=.99), row("a", "ECSSD", "matlab", MAE=.9, maxF=.1)]
    found = standings_of(rows, "pysodmetrics")
    assert found.common == ["ECSSD", "SOD"]
    assert found.average_texts("MAE") == {"a": "0.200", "b": "0.200"}
    assert (found.rank("a", found.common), found.rank("b", found.common)) == (1.5, 1.5)
    assert [found.rank(method, ["HKU-IS"]) for method in "ab"] == [None, None]
    assert missing(found) == ["b on HKU-IS"]
    sheet = standings_sheet(found, "pysodmetrics", "")
    assert "missing: b on HKU-IS" in sheet.notes
    assert any("2 data sets that all methods have: ECSSD, SOD" in note for note in sheet.notes)


def test_scores_of_a_part_of_the_images_are_not_ranked():
    rows = [row("a", images=1000, MAE=.2), row("b", images=1000, MAE=.1) | {"images": 998},
            row("c", images=1000, MAE=.3), row("d", images=500, MAE=.01)]
    found = standings_of(rows, "pysodmetrics")
    assert found.texts("ECSSD", "MAE") == {"a": "0.200", "c": "0.300"}
    notes = " ".join(standings_sheet(found, "pysodmetrics", "").notes)
    assert "b on ECSSD (998/1000), d on ECSSD (500)" in notes


def test_a_measure_that_only_some_methods_have_is_an_empty_cell():
    rows = [row("a", MAE=.2, maxF=.9), row("b", MAE=.1)]
    found = standings_of(rows, "pysodmetrics")
    assert missing(found) == ["b on ECSSD in maxF"]
    (group,) = standings_sheet(found, "pysodmetrics", "").groups
    assert [cell.text for cell in group[1]] == ["ECSSD", "b", "1000", "0.100", "", ""]


def test_what_could_not_be_scored_has_an_empty_line_and_takes_no_part():
    rows = [row(method, name, MAE=.1) for method in "ab" for name in SETS]
    found = standings_of(rows, "pysodmetrics", [("c", "ECSSD"), ("a", "HKU-IS")])
    sheet = standings_sheet(found, "pysodmetrics", "")
    texts = [[[cell.text for cell in line] for line in group] for group in sheet.groups]
    assert texts[0][2] == ["ECSSD", "c", "", "", ""]
    assert texts[2] == [["HKU-IS", method, "", "", ""] for method in "abc"]
    assert [line[:2] for line in texts[3]] == [["average", "a"], ["average", "b"]]
    assert "missing: c on ECSSD, c on SOD, a on HKU-IS, b on HKU-IS, c on HKU-IS" in sheet.notes


def test_the_ranks_of_the_averages_are_shown_and_saved():
    """A mean rank over data sets and measures: of b (2, 2) on the one and (1, 2) on the other."""
    rows = [row("a", "ECSSD", MAE=.1, maxF=.9), row("b", "ECSSD", MAE=.2, maxF=.8),
            row("a", "SOD", MAE=.4, maxF=.7), row("b", "SOD", MAE=.3, maxF=.6)]
    report = Report()
    report.add_tables(rows, {}, [], "pysodmetrics")
    sheet = next(sheet for sheet in report.sheets if "rank" in sheet.headings)
    column = sheet.headings.index("rank")
    shown = {(line[0].text, line[1].text): line[column].text
             for group in sheet.groups for line in group}
    assert shown == {("ECSSD", "a"): "1.00", ("ECSSD", "b"): "2.00", ("SOD", "a"): "1.50",
                     ("SOD", "b"): "1.50", ("average", "a"): "1.25", ("average", "b"): "1.75"}
    assert {(record["method"], record["measure"]): record["rank"]
            for record in json.loads(as_json(report))["averages"]} == {
        ("a", "MAE"): 1.25, ("a", "maxF"): 1.25, ("b", "MAE"): 1.75, ("b", "maxF"): 1.75}


# --- which definition agrees best ---------------------------------------------------------------


def test_the_closest_definition_is_named(recipe):
    rows = [row(profile=profile, maxF=.9 + shift, meanF=.936 + shift, adpF=.8, wF=.7, MAE=.04)
            for profile, shift in (("pysodmetrics", .001), ("matlab", .0001), ("tracer", .01))]
    found = closest_of(rows, "ours", recipe)
    best = found["maxF"][0]
    assert (best.measure, best.profile, round(best.distance, 6)) == ("meanF", "matlab", .0001)
    assert len(found["MAE"]) == 3
    sheet = closest_sheet(rows, "ours", recipe)
    assert any(note.startswith("maxF agrees best with meanF of profile matlab: mean |difference| "
                               "0.0001 over ECSSD") for note in sheet.notes)
    assert any("pysodmetrics and MAE of profile matlab" in note for note in sheet.notes)
    assert "E" not in found
    assert closest_sheet([], "ours", recipe) is None


def test_of_some_images_no_closest_definition_is_named(recipe):
    rows = [row(images=3, maxF=.936), row(dataset="SOD", images=300, profile="matlab", adpE=.5)]
    sheet = closest_sheet(rows, "ours", recipe)
    assert list(closest_of(rows, "ours", recipe)) == ["E"]
    said = "ours on ECSSD (3) is left out: scores of some images say nothing here"
    assert said in sheet.notes
    with pytest.raises(UserError, match=r"nothing is left: ours on ECSSD \(3\) is left out"):
        Report().add_closest(rows[:1], {"ours": recipe})
    report = Report()
    report.add_closest([*rows[:1], row("other", maxF=.9)], dict.fromkeys(("ours", "other"), recipe))
    assert len(report.sheets) == 1
    assert f"--closest: {said}" in report.sheets[-1].notes


def test_the_closest_of_unverified_numbers_is_grey_too(recipe):
    rows = [row(maxF=.936, meanF=.9, MAE=.04)]
    lines = {cells[1].text: cells for group in closest_sheet(rows, "ours", recipe).groups
             for cells in group}
    assert {name: (cells[0].mark, cells[-1].text) for name, cells in lines.items()} == {
        "maxF": (BEST, "←"), "meanF": ("", ""), "MAE": (UNSURE, "←")}
    report = Report()
    report.add_closest(rows, {"ours": recipe})
    assert [(r["measure"], r["reported"], r["ours"], r["verified"], r["nearest"])
            for r in report.records["closest"]] == [
        ("maxF", "0.936", "0.9360", True, True), ("meanF", "0.936", "0.9000", True, False),
        ("MAE", "0.0400", "0.0400", False, True)]


def test_what_a_paper_may_mean():
    assert ("tracer", "maxF") in candidates("F")
    assert ("tracer", "adpF") not in candidates("F")
    assert {measure for _, measure in candidates("E")} == {"maxE", "meanE", "adpE"}
    assert len(candidates("Sm")) == 3


# --- formats ------------------------------------------------------------------------------------


def unescaped(line: str, sign: str) -> int:
    return len(re.findall(rf"(?<!\\)(?:\\\\)*{re.escape(sign)}", line))


@given(st.text())
def test_latex_sets_any_text_as_it_is(text):
    escaped = escape_latex(text)
    plain = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum|textbar|textless|textgreater|"
                   r"textendash|dots)\{\}|\\[&%$#_{}]|\{[\[*]\}|\$(-|\\checkmark|\\leftarrow)\$|-\{\}",
                   "", escaped)
    assert not set(plain) & set("\\{}&%$#_~^[*|<>\"\n\r\x00")
    assert "--" not in escaped


@given(st.lists(st.lists(st.text(), min_size=3, max_size=3), max_size=4),
       st.sampled_from(["", BEST, SECOND, UNSURE]), st.text())
def test_tables_keep_their_shape_whatever_stands_in_them(rows, mark, note):
    sheet = Sheet("t", ["a", "b", "c"], [[[Cell(text, mark) for text in line] for line in rows]],
                  notes=[note])
    body = latex(sheet).split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert len(body) == len(rows)
    for line in body:
        assert line.endswith(r" \\")
        assert unescaped(line, "&") == 2
        assert unescaped(line, "{") == unescaped(line, "}")
        assert not line.startswith(("[", "*"))
    piped = [line for line in markdown(sheet).splitlines() if line.startswith("|")]
    assert [unescaped(line, "|") for line in piped] == [4] * (len(rows) + 2)


@given(st.lists(st.tuples(*[numbers] * 3), min_size=2, max_size=4))
def test_all_formats_hold_the_same_numbers(tmp_path_factory, scores):
    recipe = write_recipe(tmp_path_factory.mktemp("recipe") / "paper.yaml")
    rows = [row(f"m_{i}|&", dataset, images=count, maxF=f, MAE=mae, adpE=e)
            for i, (f, mae, e) in enumerate(scores) for dataset, count in zip(SETS, (1000, 300),
                                                                             strict=True)]
    rows += [line | {"profile": "matlab"} for line in rows]
    report = Report()
    report.add_tables(rows, {"m_0|&": recipe}, [], "pysodmetrics")
    found = list(csv.DictReader(io.StringIO(as_csv(report))))
    parts = json.loads(as_json(report))
    for part in ("comparisons", "scores", "averages"):
        mine = [record for record in found if record["part"] == part]
        assert [(r["ours"], float(r["score"])) for r in mine] == \
            [(r["ours"], r["score"]) for r in parts[part]]
        assert all(r["ours"] == f"{r['score']:.{len(r['ours']) - 2}f}" for r in parts[part])
    expected = sorted(r["ours"] for part in ("comparisons", "scores", "averages")
                      for r in parts[part])
    number = r"(?<![\w.+$-])\d\.\d{3,4}(?![\w.])"
    for text in (as_markdown(report), as_latex(report)):
        shown = re.findall(number, "\n".join(line for line in text.splitlines()
                                             if line.startswith("|") or line.endswith(r"\\")))
        assert sorted(shown) == sorted(expected + [r["reported"] for r in parts["comparisons"]])


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex with booktabs")
def test_latex_compiles_and_stays_within_the_line(recipe, tmp_path):
    report, names = Report(), ("plain", "odd_%&#$^~\\{} -- [x] *", "rather long " * 8)
    report.add_tables([row(name, dataset, **dict.fromkeys(CORE_COLUMNS, .5)) for name in names
                       for dataset in SETS], dict.fromkeys(names, recipe), [], "pysodmetrics")
    (tmp_path / "tables.tex").write_text(as_latex(report), encoding="utf-8")
    (tmp_path / "paper.tex").write_text("\\documentclass{article}\n" + PREAMBLE.removeprefix("% ")
                                        + "\n\\begin{document}\\input{tables}\\end{document}\n")
    done = subprocess.run(["pdflatex", "-halt-on-error", "paper.tex"], cwd=tmp_path, text=True,
                          capture_output=True, encoding="latin-1")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_unverified_numbers_are_grey_and_marked_in_every_format(recipe):
    report = Report()
    report.add_tables([row(maxF=.936, MAE=.04)], {"ours": recipe}, ["ECSSD"], "pysodmetrics")
    assert r"\textcolor{gray}{0.0400} & \textcolor{gray}{0.0400}" in as_latex(report)
    assert r"\textcolor{gray}{?} \\" in as_latex(report)
    assert r"0.936 & 0.936 & +0.000 & $\checkmark$ \\" in as_latex(report)
    assert "<sub>?</sub> |" in as_markdown(report)
    first, second = json.loads(as_json(report))["comparisons"]
    assert (first["within_third_digit"], second["within_third_digit"]) == (True, None)
    notes = json.loads(as_json(report))["notes"]
    assert any(note.startswith("1 of 1 verified numbers are within") and "1 reported numbers are "
               "not verified" in note for note in notes)


def test_unverified_numbers_are_grey_in_the_terminal(recipe):
    report = Report()
    report.add_tables([row(maxF=.936, MAE=.04)], {"ours": recipe}, ["ECSSD"], "pysodmetrics")
    styles = styles_in_terminal(report.sheets[0])
    for text in ("0.0400", "?"):  # the numbers of the row, and the sign at its end
        red, green, blue = styles[text].color.get_truecolor()
        assert 64 < red == green == blue < 192
    assert [styles[text].color for text in ("0.936", "✓")] == [None, None]


def test_best_and_second_best_look_different_in_the_terminal():
    cells = [Cell("1", BEST), Cell("2", SECOND), Cell("3")]
    styles = styles_in_terminal(Sheet("t", ["a", "b", "c"], [[cells]]))
    assert [(bool(styles[text].bold), bool(styles[text].underline)) for text in "123"] == [
        (True, False), (False, True), (False, False)]


def styles_in_terminal(sheet: Sheet) -> dict[str, Style]:
    """Text of each cell → how it is printed."""
    segments = Console(width=1000).render(terminal(sheet))
    return {segment.text.strip(): segment.style or Style.null() for segment in segments}
