"""``python -m report table``: what it prints and saves of the kept scores."""

from __future__ import annotations

import json

import pytest

from report import __main__ as report_script

from .made_rows import row


@pytest.fixture
def kept_rows(results) -> list[dict]:
    """Scores of two methods on two sets, kept where eval.py keeps them."""
    rows = [row(method, name, profile, images=count, MAE=mae + shift, maxF=.9 - mae - shift)
            for method, mae in (("a", .1), ("cpd-vgg", .05))
            for name, count in (("ECSSD", 1000), ("SOD", 300))
            for profile, shift in (("pysodmetrics", 0), ("matlab", .01))]
    results.mkdir()
    (results / "scores.json").write_text(json.dumps(rows))
    return rows


@pytest.fixture
def report_table(results, monkeypatch):
    """``python -m report table`` on those scores."""
    monkeypatch.setattr(report_script, "RESULTS", results)
    return lambda *words: report_script.main(["table", *words])


def test_the_command_reads_the_kept_scores_and_scores_nothing(kept_rows, report_table, tmp_path,
                                                              capsys):
    saved = tmp_path / "out/table.json"
    assert report_table("--save", str(saved)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "cpd-vgg against CPD-VGG" in out and "a is held against no paper" in out
    parts = json.loads(saved.read_text())
    assert parts["rows"] == kept_rows
    assert {(r["method"], r["measure"], r["ours"]) for r in parts["averages"]} == {
        ("a", "MAE", "0.100"), ("a", "maxF", "0.800"), ("cpd-vgg", "MAE", "0.050"),
        ("cpd-vgg", "maxF", "0.850")}


def test_the_command_takes_sets_methods_and_a_profile(kept_rows, report_table, tmp_path):
    saved = tmp_path / "table.json"
    assert report_table("--data", "datasets/ECSSD", "--methods", "cpd-vgg", "a", "--profile",
                        "matlab", "--save", str(saved)) == 0
    parts = json.loads(saved.read_text())
    assert [(r["method"], r["dataset"], r["measure"], r["ours"]) for r in parts["scores"]] == [
        ("cpd-vgg", "ECSSD", "MAE", "0.060"), ("cpd-vgg", "ECSSD", "maxF", "0.840"),
        ("a", "ECSSD", "MAE", "0.110"), ("a", "ECSSD", "maxF", "0.790")]
    assert {r["dataset"] for r in parts["comparisons"]} == {"ECSSD"}


def test_a_method_that_is_named_twice_is_shown_once(kept_rows, report_table, tmp_path):
    saved = tmp_path / "table.json"
    assert report_table("--methods", "a", "--methods", "a", "--save", str(saved)) == 0
    assert json.loads(saved.read_text())["rows"] == [row for row in kept_rows
                                                     if row["method"] == "a"]


def test_the_command_names_the_closest_definition_of_a_chosen_recipe(kept_rows, report_table,
                                                                     paper, capsys):
    paper.write_text(paper.read_text().replace("TINY-TE", "SOD"))
    assert report_table("--closest", "--methods", "a", "--reported", str(paper)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "scores under profile" in out
    assert "what the numbers of A paper agree with best: a" in out


@pytest.mark.parametrize("words, message", [
    (["--save", "t.doc"], ".md, .tex, .csv, .json"), (["--methods", "b"], "--methods b: no scores"),
    (["--data", "HKU-IS"], "no scores to make a table of"), (["--reported", "wsa"], "'wssa'"),
    (["--reported", "b=wssa"], "b has no scores")])
def test_mistakes_of_the_command(kept_rows, report_table, capsys, words, message):
    assert report_table(*words) == 2
    assert message in capsys.readouterr().err


def test_without_kept_scores_there_is_no_table(report_table, capsys):
    assert report_table() == 2
    assert "score some maps first" in capsys.readouterr().err
