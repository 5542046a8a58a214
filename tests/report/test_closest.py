"""Which definition a paper's numbers agree with best."""

from __future__ import annotations

import pytest

from report.closest import closest_of, closest_table
from report.recipes import Recipe
from report.table import Report
from report.tables import BEST, UNSURE
from utils.errors import UserError

from .made_rows import row


def test_the_closest_definition_is_named(recipe):
    rows = [row(profile=profile, maxF=.9 + shift, meanF=.936 + shift, adpF=.8, wF=.7, MAE=.04)
            for profile, shift in (("pysodmetrics", .001), ("matlab", .0001), ("tracer", .01))]
    closest = closest_of(rows, "ours", recipe)
    best = closest[0]
    assert (best["measure"], best["profile"], round(best["mean_difference"], 6)) == \
        ("meanF", "matlab", .0001)
    assert [r["paper_measure"] for r in closest].count("MAE") == 3
    table = closest_table(closest, "ours", recipe)
    assert any(note.startswith("maxF agrees best with meanF of profile matlab: mean |difference| "
                               "0.0001 over ECSSD") for note in table.notes)
    assert any("pysodmetrics and MAE of profile matlab" in note for note in table.notes)
    assert {r["paper_measure"] for r in closest} == {"maxF", "MAE"}
    assert closest_of([], "ours", recipe) == []


def test_candidates_are_compared_on_the_same_sets(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text("reported:\n" + "".join(
        f"- {{dataset: {name}, measure: MAE, value: .04, source: a, protocol: cpd}}\n"
        for name in ("ECSSD", "SOD")))
    rows = [row(profile="pysodmetrics", MAE=.05), row(dataset="SOD", profile="tracer", images=300,
                                                      MAE=.04),
            row(profile="matlab", MAE=.06)]
    closest = closest_of(rows, "ours", Recipe(path))
    assert [(r["profile"], r["dataset"], r["nearest"]) for r in closest] == [
        ("pysodmetrics", "ECSSD", True), ("matlab", "ECSSD", False)]


def test_of_some_images_no_closest_definition_is_named(recipe):
    rows = [row(images=3, maxF=.936), row(dataset="SOD", images=300, profile="matlab", adpE=.5)]
    assert {r["paper_measure"] for r in closest_of(rows, "ours", recipe)} == {"E"}
    note = "ours on ECSSD (3) is left out: scores of some images say nothing here"
    with pytest.raises(UserError, match=r"nothing is left: ours on ECSSD \(3\) is left out"):
        Report().add_closest(rows[:1], {"ours": recipe})
    for scores, recipes in ((rows, {"ours": recipe}), ([*rows[:1], row("theirs", maxF=.9)],
                                                       {"ours": recipe, "theirs": recipe})):
        report = Report()
        report.add_closest(scores, recipes)
        (table,) = report.tables
        assert table.notes[-1] == f"--closest: {note}"


def test_the_closest_of_unverified_numbers_is_grey_too(recipe):
    rows = [row(maxF=.936, meanF=.9, MAE=.04)]
    table = closest_table(closest_of(rows, "ours", recipe), "ours", recipe)
    lines = {cells[1].text: cells for group in table.groups for cells in group}
    assert {name: (cells[0].mark, cells[-1].text) for name, cells in lines.items()} == {
        "maxF": (BEST, "←"), "meanF": ("", ""), "MAE": (UNSURE, "←")}
    report = Report()
    report.add_closest(rows, {"ours": recipe})
    assert [(r["measure"], r["reported"], r["ours"], r["verified"], r["nearest"])
            for r in report.records["closest"]] == [
        ("maxF", "0.936", "0.9360", True, True), ("meanF", "0.936", "0.9000", True, False),
        ("MAE", "0.0400", "0.0400", False, True)]
