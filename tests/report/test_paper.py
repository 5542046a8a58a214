"""``python -m report table --layout paper``: what stands in the table, and in its files."""

from __future__ import annotations

import csv
import io
import json
import re
import sys

import pytest

from report import __main__ as report_script
from report.paper import venue_of
from report.paper_rows import printed

from .made_rows import row

RECIPE = """name: old
paper: "OldNet², CVPR 2019, arXiv 1904.08739"
reported:
- {dataset: ECSSD, measure: maxF, value: .94, source: its README, verified: true, protocol: cpd}
- {dataset: ECSSD, measure: F, value: .999, source: a guess, protocol: minet}
- {dataset: ECSSD, measure: E, value: .95, source: its table, verified: true, protocol: minet}
- {dataset: SOD, measure: maxF, value: .97, source: its table, verified: true, protocol: tracer}
- {dataset: SOD, measure: MAE, value: .0855, digits: 4, source: b, verified: true, protocol: u2net}
- {dataset: SOD, measure: MAE, value: .01, source: a guess, protocol: cpd}
"""


@pytest.fixture
def kept() -> list[dict]:
    """Scores of three methods; of c a part of ECSSD's images, and nothing of SOD."""
    rows = [row("a", "ECSSD", MAE=.0404, maxF=.9361, adpF=.90, Sm=1.0),
            row("b_1", "ECSSD", MAE=.0396, maxF=.9299, adpF=.91, Sm=.90),
            row("a", "SOD", images=300, MAE=.10, maxF=.85),
            row("b_1", "SOD", images=300, MAE=.09, maxF=.80),
            row("c", "ECSSD", MAE=.0001, maxF=.9999) | {"images": 20},
            row("a", "ECSSD", "matlab", MAE=.0404)]
    rows[0] |= {"scored": {"date": "2026-11-21T22:08:28Z", "commit": "e9e1358" + "0" * 33},
                "origin": {"checkpoint": "/home/me/secret/checkpoints/a/best.pt", "kept": 3,
                           "sha256": "ab" * 32, "commit": "c" * 40, "finished": False}}
    return rows


@pytest.fixture
def table(results, monkeypatch, tmp_path, kept):
    """The command on those scores, at a width at which the table is not turned."""
    results.mkdir()
    (results / "scores.json").write_text(json.dumps(kept))
    (tmp_path / "old.yaml").write_text(RECIPE)
    monkeypatch.setattr(report_script, "RESULTS", results)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    return lambda *words: report_script.main(["table", "--layout", "paper", *words])


def body(latex: str) -> list[list[str]]:
    """The cells of the lines between the rules."""
    lines = latex.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert all(line.endswith(r" \\") for line in lines)
    return [[cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r" \\"))]
            for line in lines]


def test_a_booktabs_table_of_methods_by_sets_and_measures(table, tmp_path):
    assert table("--sets", "ECSSD", "SOD", "--columns", "maxF", "MAE", "--methods",
                 r"a=A~\cite{a}", "b_1", "--published", "old.yaml", "--venue", "b_1=ICCV & 20",
                 "--save", "t.tex") == 0
    text = (tmp_path / "t.tex").read_text()
    assert body(text) == [
        ["OldNet$^2$$^\\dagger$", "CVPR 2019", r"\textbf{.940}", r"\textendash{}",
         r".970$^\ddagger$", r"\textbf{.086}"],
        [r"A~\cite{a}", "", r"\underline{.936}", r"\textbf{.040}", r"\textbf{.850}", ".100"],
        [r"b\_1", r"ICCV \& 20", ".930", r"\textbf{.040}", r"\underline{.800}",
         r"\underline{.090}"]]
    lines = text.splitlines()
    assert r" &  & \multicolumn{2}{c}{ECSSD} & \multicolumn{2}{c}{SOD} \\" in lines
    assert r"\cmidrule(lr){3-4}\cmidrule(lr){5-6}" in lines
    assert r"Method & Venue & $F_\beta^{\max}$\,$\uparrow$ & MAE\,$\downarrow$ & " \
           r"$F_\beta^{\max}$\,$\uparrow$ & MAE\,$\downarrow$ \\" in lines
    assert r"\begin{tabular}{llcccc}" in lines
    bare = re.sub(r"%.*|\\[{}]", "", text)
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    for kind in ("table", "tabular", "minipage"):
        assert text.count(rf"\begin{{{kind}}}") == text.count(rf"\end{{{kind}}}") == 1


def test_where_the_numbers_are_from_stands_in_comments(table, tmp_path):
    assert table("--columns", "MAE", "--methods", "a", "--published", "old.yaml",
                 "--save", "t.tex", "t.md") == 0
    text = (tmp_path / "t.tex").read_text()
    comments = [line for line in text.splitlines() if line.startswith("% ")]
    assert "% profile pysodmetrics: PySODMetrics 1.6.2" in comments
    assert ("% a, on ECSSD: method a, 1000 images; scored 2026-11-21 by commit e9e1358000; maps of "
            "a/best.pt, SHA-256 abababababab, by commit cccccccccc; the run that made the maps is "
            "unfinished; 3 maps are of an earlier run") in comments
    assert ("% a, on SOD: method a, 300 images; who made the maps is not recorded") in comments
    assert "% OldNet² †, on SOD: recipe old, MAE .086 from b (protocol u2net)" in comments
    assert any(line.startswith("% protocol u2net: taken to be the MATLAB") for line in comments)
    assert "/home/me" not in text
    markdown = (tmp_path / "t.md").read_text()
    assert "<!--\nprofile pysodmetrics" in markdown and markdown.endswith("-->\n")


def test_numbers_that_cannot_be_ranked_have_a_sign_and_a_note(table, capsys):
    assert table("--sets", "ECSSD", "SOD", "--columns", "maxF", "adpF", "--methods", "a",
                 "--published", "old.yaml") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "│ OldNet² † │ CVPR 2019 │ .940 │ .999‡ │ .970‡ │" in out
    assert "‡ not verified, so not ranked: OldNet² adpF on ECSSD" in out
    assert "‡ by other definitions (those of profile tracer), so not ranked: OldNet² maxF on " \
           "SOD" in out
    assert "– no number:" in out and "a on SOD in adpF" in out


def test_a_measure_that_its_source_does_not_name_is_not_ranked(table, kept, results, capsys):
    kept[0]["adpE"] = .94
    (results / "scores.json").write_text(json.dumps(kept))
    assert table("--sets", "ECSSD", "--columns", "adpE", "--methods", "a", "--published",
                 "old.yaml") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "│ .950‡ │ │ a │ │ .940 │" in out
    assert "‡ of an E whose kind its source does not tell, so not ranked: OldNet² adpE" in out


def test_labels_are_not_read_as_options_of_the_rule_before_them(table, tmp_path):
    assert table("--sets", "ECSSD", "--columns", "MAE", "--methods", "a= [x]", "b_1=*Ours",
                 "--save", "t.tex") == 0
    assert [line for line, _ in body((tmp_path / "t.tex").read_text())] == ["{} [x]", "{}*Ours"]


def test_names_do_not_end_the_comment_of_markdown(table, kept, results, tmp_path):
    (results / "scores.json").write_text(json.dumps([row("a--->b", "ECSSD", MAE=.1)]))
    assert table("--save", "t.md") == 0
    comment = (tmp_path / "t.md").read_text().partition("<!--\n")[2]
    assert "method a- - ->b" in comment and comment.find("-->") == len(comment) - 4


def test_scores_of_a_part_are_refused_or_marked(table, tmp_path, capsys):
    words = ["--sets", "ECSSD", "--columns", "MAE", "maxF", "--save", "t.csv"]
    assert table(*words) == 2
    error = capsys.readouterr().err
    assert "c on ECSSD (20/1000)" in error and "--allow-partial" in error
    assert not (tmp_path / "t.csv").exists()
    assert table(*words, "--allow-partial") == 0
    assert "‡ of a part of the set's images, so not ranked: c on ECSSD (20/1000)" in \
        capsys.readouterr().out
    lines = list(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text())))
    assert [(line["method"], line["ECSSD MAE"], line["ECSSD maxF"]) for line in lines] == [
        ("a", ".040", ".936"), ("b_1", ".040", ".930"), ("c", ".000‡", "1.000‡")]
    assert "20/1000 images" in lines[2]["sources"]


def test_sets_that_lie_on_disk_in_part_are_partial_too(table, results, kept, capsys):
    kept = [each | {"images": 16, "expected": 16} for each in kept if each["dataset"] == "ECSSD"]
    (results / "scores.json").write_text(json.dumps(kept))
    assert table("--methods", "a") == 2
    assert "a on ECSSD (16, which are not those of the published set)" in capsys.readouterr().err


def test_markdown_and_digits(table, tmp_path):
    assert table("--sets", "ECSSD", "--columns", "Sm", "MAE", "--digits", "4", "--methods",
                 r"b_1=\textbf{Ours}", "a", "--save", "t.md") == 0
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert lines[:4] == ["| method | ECSSD Sm ↑ | ECSSD MAE ↓ |", "| --- | --: | --: |",
                         "| Ours | <u>.9000</u> | **.0396** |", "| a | **1.0000** | <u>.0404</u> |"]


def test_published_numbers_get_no_digits_that_were_not_printed(table, capsys):
    assert table("--sets", "ECSSD", "SOD", "--columns", "maxF", "MAE", "--digits", "5",
                 "--published", "old.yaml") == 0
    assert "│ .940 │ – │ .970‡ │ .0855 │" in " ".join(capsys.readouterr().out.split())


def test_a_workbook_has_numbers_that_look_as_printed(table, tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    assert table("--sets", "ECSSD", "SOD", "--columns", "maxF", "MAE", "--methods", "a", "b_1==1+1",
                 "c", "--allow-partial", "--save", "t.xlsx") == 0
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    sheet = book["table"]
    assert [str(cells) for cells in sheet.merged_cells.ranges] == ["B1:C1", "D1:E1"]
    assert [cell.value for cell in sheet[2]] == ["method", "maxF ↑", "MAE ↓", "maxF ↑", "MAE ↓"]
    assert [cell.value for cell in sheet[4]] == ["=1+1", .93, .04, .8, .09]
    assert sheet["A4"].data_type == "s"
    assert [cell.value for cell in sheet[5]] == ["c", 1.0, 0.0, "–", "–"]
    assert [sheet[name].number_format for name in ("B3", "B5", "C5")] == [
        ".000", '0.000"‡"', '.000"‡"']
    assert [sheet[name].font.b for name in ("B3", "B4")] == [True, False]
    assert [sheet[name].font.u for name in ("B3", "B4")] == [None, "single"]
    assert any("20/1000" in str(cell.value) for cell in book["provenance"]["A"])


def test_a_head_over_a_single_column_is_not_merged(table, tmp_path):
    """Excel takes a merged range of one cell for damage, and offers to repair the file."""
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    assert table("--sets", "ECSSD", "SOD", "--columns", "MAE", "--methods", "a", "--save",
                 "t.xlsx") == 0
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx")["table"]
    assert not sheet.merged_cells.ranges
    assert [cell.value for cell in sheet[1]] == [None, "ECSSD", "SOD"]


def test_without_openpyxl_nothing_is_written(table, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert table("--methods", "a", "--save", "t.tex", "t.xlsx") == 2
    assert "pip install openpyxl" in capsys.readouterr().err
    assert not (tmp_path / "t.tex").exists()


@pytest.mark.parametrize("words, message", [
    (["--methods", "b1"], "--methods b1: no scores of it are kept; did you mean 'b_1'?"),
    (["--methods", "b_1", "--profile", "matlab"], "--profile shows those under pysodmetrics"),
    (["--methods", "a", "--sets", "ECSD"], "--sets ECSD: no row has numbers on it; did you mean"),
    (["--methods", "a", "--columns", "mxF"], "--columns mxF: did you mean 'maxF'?"),
    (["--methods", "a", "--columns", "HCE"], "--columns HCE: no row has it; eval.py --measures"),
    (["--methods", "a", "--sets", "SOD", "--columns", "maxF", "Sm"], "--columns Sm: no row has"),
    (["--methods", "a", "b_1", "--columns", "Sm"], "--sets SOD: no row has numbers of it"),
    (["--methods", "a", "b_1", "--sets", "SOD", "--columns", "Sm"], "a has no numbers on SOD in"),
    (["--methods", "a", "--venue", "A=X"], "--venue A=X: no row is of A; did you mean 'a'?"),
    (["--methods", "a", "--venue", "X"], "--venue X: give NAME=TEXT"),
    (["--published", "cpdvgg"], "did you mean 'cpd_vgg'?"),
    (["--methods", "a", "--digits", "9"], "--digits 9: tables have 2 to 6"),
    (["--methods", "a", "--save", "t.json"], "one of .tex, .md, .csv, .xlsx"),
    (["--methods", "a", "--closest"], "--closest is a table of its own"),
    (["--methods", "a=A & B"], "the label has a bare &")])
def test_mistakes_are_named(table, capsys, words, message):
    assert table(*words) == 2
    assert message in capsys.readouterr().err


def test_methods_that_nobody_named_may_lack_the_sets(table, capsys):
    assert table("--sets", "SOD", "--columns", "MAE") == 0
    shown = capsys.readouterr()
    assert re.findall(r"^│ (\w+) ", shown.out, re.M) == ["a", "b_1"]
    assert "left out, without numbers on these sets and measures: c" in shown.err
    assert table("--sets", "SOD", "--columns", "MAE", "--methods", "a", "c") == 2
    assert "c has no numbers on SOD in MAE" in capsys.readouterr().err


def test_options_of_this_layout_are_not_taken_silently_by_the_other(table, capsys):
    for words in (["--columns", "MAE"], ["--digits", "4"], ["--allow-partial"]):
        assert report_script.main(["table", *words]) == 2
        assert f"{words[0]} is an option of --layout paper" in capsys.readouterr().err


def test_without_scores_recipes_alone_make_a_table(table, results, capsys):
    (results / "scores.json").unlink()
    assert table("--venue", "none") == 2
    assert "score some maps first, or name recipes with --published" in capsys.readouterr().err
    assert table("--published", "cpd_vgg=CPD", "egnet_vgg", "--sets", "ECSSD", "--columns", "wF",
                 "MAE", "--venue", "none") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "│ CPD † │ .894 │ .040 │ │ EGNet on VGG-16 † │ .892 │ .041 │" in out


@pytest.mark.parametrize("value, digits, text", [
    (.9364, 3, ".936"), (1, 3, "1.000"), (0, 3, ".000"), (12.34567, 2, "12.35"), (-.5, 3, "-.500"),
    (10.5, 2, "10.50")])
def test_scores_are_printed_as_papers_do(value, digits, text):
    assert printed(value, digits) == text


@pytest.mark.parametrize("paper, venue", [
    ("CPD-VGG, CVPR 2019, arXiv 1904.08739", "CVPR 2019"),
    ("LDF, first round, CVPR 2020", "CVPR 2020"),
    ("SCWSSOD on VGG-16, which the paper does not have", ""), ("", "")])
def test_the_venue_of_a_recipe(paper, venue):
    assert venue_of(paper) == venue
