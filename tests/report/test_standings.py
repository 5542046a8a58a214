"""Many methods on many data sets: ranks, marks and averages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from metrics import lower_is_better
from report.standings import marks, ranks, standings_of, standings_table
from report.tables import BEST, SECOND

from .made_rows import row

SETS = ("ECSSD", "SOD")


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), st.sampled_from(["MAE", "maxF"]))
def test_ranks_and_marks_know_which_direction_is_better(values, measure):
    texts = {str(i): f"{value / 100:.3f}" for i, value in enumerate(values)}
    signed = values if lower_is_better(measure) else [-value for value in values]
    assert list(ranks(texts, measure).values()) == list(rankdata(signed))
    marked = marks(texts, measure)
    order = sorted(set(signed))
    for i, value in enumerate(signed) if len(values) > 1 else ():
        assert marked[str(i)] == (BEST if value == order[0] else
                                 SECOND if value == order[1] else "")
    assert len(values) > 1 or marked == {}


def test_averages_are_over_the_sets_that_all_have_and_missing_cells_are_named():
    rows = [row("a", "ECSSD", MAE=.1, maxF=.8), row("b", "ECSSD", MAE=.3, maxF=.9),
            row("a", "SOD", MAE=.3, maxF=.6), row("b", "SOD", MAE=.1, maxF=.5),
            row("a", "HKU-IS", MAE=.01, maxF=.99), row("a", "ECSSD", "matlab", MAE=.9, maxF=.1)]
    standings = standings_of(rows, "pysodmetrics")
    assert standings.common == ["ECSSD", "SOD"]
    assert {r["method"]: r["ours"] for r in standings.averages() if r["measure"] == "MAE"} == {
        "a": "0.200", "b": "0.200"}
    assert [standings.rank(method, standings.common) for method in "ab"] == [1.5, 1.5]
    assert [standings.rank(method, ["HKU-IS"]) for method in "ab"] == [None, None]
    assert standings.missing() == ["b on HKU-IS"]
    table = standings_table(standings)
    assert "missing: b on HKU-IS" in table.notes
    assert any("2 data sets that all methods have: ECSSD, SOD" in note for note in table.notes)


def test_scores_of_a_part_of_the_images_are_not_ranked():
    rows = [row("a", images=1000, MAE=.2), row("b", images=1000, MAE=.1) | {"images": 998},
            row("c", images=1000, MAE=.3), row("d", images=500, MAE=.01)]
    standings = standings_of(rows, "pysodmetrics")
    assert standings.printed["ECSSD", "MAE"] == {"a": "0.200", "c": "0.300"}
    notes = " ".join(standings_table(standings).notes)
    assert "b on ECSSD (998/1000), d on ECSSD (500)" in notes


def test_a_measure_that_only_some_methods_have_is_an_empty_cell():
    rows = [row("a", MAE=.2, maxF=.9), row("b", MAE=.1)]
    standings = standings_of(rows, "pysodmetrics")
    assert standings.missing() == ["b on ECSSD in maxF"]
    (group,) = standings_table(standings).groups
    assert [cell.text for cell in group[1]] == ["ECSSD", "b", "1000", "0.100", "", ""]


def test_what_could_not_be_scored_has_an_empty_line_and_takes_no_part():
    rows = [row(method, name, MAE=.1) for method in "ab" for name in SETS]
    standings = standings_of(rows, "pysodmetrics", [("c", "ECSSD"), ("a", "HKU-IS")])
    table = standings_table(standings)
    texts = [[[cell.text for cell in line] for line in group] for group in table.groups]
    assert texts[0][2] == ["ECSSD", "c", "", "", ""]
    assert texts[2] == [["HKU-IS", method, "", "", ""] for method in "abc"]
    assert [line[:2] for line in texts[3]] == [["average", "a"], ["average", "b"]]
    assert "missing: c on ECSSD, c on SOD, a on HKU-IS, b on HKU-IS, c on HKU-IS" in table.notes
