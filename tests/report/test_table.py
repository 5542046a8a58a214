"""The papers' table: from eval.py, and in every format."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import eval as eval_script
from report.protocols import COLUMNS
from report.recipes import Recipes
from report.table import FORMATS, Report, as_csv, as_json, origin_table, print_report
from report.tables import PREAMBLE
from scoring.jobs import find_jobs
from scoring.scores import read_scores
from utils.config import merge_config
from utils.origin import MapsOrigin, origin_of

from .made_rows import row, write_recipe

SETS = ("ECSSD", "SOD")


@pytest.fixture
def maps(sets, tmp_path) -> Path:
    """Two methods' maps: ``exact`` is the truth of two sets, ``grey`` a duller one of one."""
    folder = tmp_path / "maps"
    for method, name in (("exact", "TINY-TE"), ("exact", "TINY-TR"), ("grey", "TINY-TE")):
        (folder / method / name).mkdir(parents=True)
        for path in (sets / name / "masks").iterdir():
            with Image.open(path) as mask:
                pixels = np.array(mask)
            if method == "grey":
                pixels[::2] = 128
            Image.fromarray(pixels).save(folder / method / name / path.name)
    return folder


def table(sets, maps, *more) -> int:
    return eval_script.main(["--pred", str(maps), "--root", str(sets), "--gpu", "cpu", "--table",
                             *more])


def kept(results) -> list[dict]:
    return json.loads((results / "scores.json").read_text())


def keys(rows) -> list[tuple]:
    return [(row["method"], row["dataset"], row["profile"]) for row in rows]


# --- the file of all scores ---------------------------------------------------------------------


def test_every_score_is_kept_and_scoring_again_replaces_it(sets, maps, results):
    assert table(sets, maps) == 0
    first = kept(results)
    assert keys(first) == [("exact", "TINY-TE", "pysodmetrics"),
                           ("exact", "TINY-TR", "pysodmetrics"),
                           ("grey", "TINY-TE", "pysodmetrics")]
    assert first[0]["MAE"] == 0 and first[0]["images"] == 4
    assert first[0]["maps"] == str(maps / "exact/TINY-TE")
    assert first[0]["origin"] is None
    assert set(first[0]["scored"]) == {"date", "commit"}
    Image.fromarray(np.zeros_like(np.array(Image.open(maps / "grey/TINY-TE/00.png")))).save(
        maps / "grey/TINY-TE/00.png")
    assert table(sets, maps, "--data", "TINY-TE", "--profile", "matlab") == 0
    assert table(sets, maps / "grey", "--data", "TINY-TE") == 0
    second = kept(results)
    assert len(second) == 5
    assert [row["profile"] for row in second] == [
        "matlab", "pysodmetrics", "pysodmetrics", "matlab", "pysodmetrics"]
    assert second[1:3] == first[:2]  # the rest stays
    assert second[-1]["MAE"] > first[-1]["MAE"]


def test_a_methods_scores_under_all_profiles_are_of_the_same_maps(sets, maps, results, tmp_path,
                                                                 capsys):
    for profile in ("matlab", "tracer", "pysodmetrics"):
        assert table(sets, maps, "--profile", profile) == 0
    maps.rename(tmp_path / "moved")
    exact = tmp_path / "moved/exact"
    assert table(sets, exact, "--data", "TINY-TR") == 0
    assert eval_script.main(["--pred", str(exact / "TINY-TR"), "--gt",
                             str(sets / "TINY-TR/masks")]) == 0
    assert "of other maps" not in capsys.readouterr().err  # the same, elsewhere
    assert {row["maps"] for row in kept(results) if row["dataset"] == "TINY-TR"} == \
        {str(exact / "TINY-TR")}
    other = 255 - np.array(Image.open(exact / "TINY-TR/00.png"))
    Image.fromarray(other).save(exact / "TINY-TR/00.png")
    assert table(sets, exact, "--data", "TINY-TR") == 0
    assert "exact on TINY-TR kept before were of other maps or masks (profiles matlab, " \
        "pysodmetrics, tracer); they are not kept" in capsys.readouterr().err
    assert keys(kept(results)) == [
        *(("exact", "TINY-TE", profile) for profile in ("matlab", "pysodmetrics", "tracer")),
        ("exact", "TINY-TR", "pysodmetrics"),
        *(("grey", "TINY-TE", profile) for profile in ("matlab", "pysodmetrics", "tracer"))]


def test_rows_of_json_can_be_read_too(sets, maps, results, tmp_path):
    assert table(sets, maps, "--json", str(tmp_path / "rows.json")) == 0
    (results / "scores.json").write_text((tmp_path / "rows.json").read_text())
    assert table(sets, maps / "exact", "--data", "TINY-TR") == 0
    assert len(read_scores(results / "scores.json")) == 3


def test_a_set_has_one_name_however_its_folder_is_called(sets, maps, results, capsys,
                                                         monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # a narrower table is turned on its side
    (maps / "exact/TINY-TR").rename(maps / "exact/ecssd")
    assert eval_script.main(["--pred", str(maps / "exact/ecssd"), "--gt",
                             str(sets / "TINY-TR/masks")]) == 0
    assert keys(kept(results)) == [("exact", "ECSSD", "pysodmetrics")]
    jobs, missing = find_jobs(maps, None, [], sets)
    assert [job.cell for job in jobs] == [("exact", "TINY-TE"), ("grey", "TINY-TE")]
    assert missing == [("exact", "ECSSD")]  # the set is not there
    capsys.readouterr()
    assert table(sets, maps) == 2
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "│ ECSSD " in line
               and "exact" in line)
    assert not any(character.isdigit() for character in line)


def test_rows_that_say_not_which_maps_they_are_of_go_with_a_note(sets, maps, results, capsys):
    assert table(sets, maps / "exact", "--data", "TINY-TE") == 0
    (row,) = kept(results)
    old = {key: value for key, value in row.items() if key != "content"}
    for profile, has_note in (("pysodmetrics", False), ("matlab", True)):
        (results / "scores.json").write_text(json.dumps([old | {"profile": profile}]))
        capsys.readouterr()
        assert table(sets, maps / "exact", "--data", "TINY-TE") == 0
        assert ("may be of other maps" in capsys.readouterr().err) == has_note
        assert [row["profile"] for row in kept(results)] == ["pysodmetrics"]


def test_the_kept_file_is_not_written_as_a_list_of_this_runs_rows(sets, maps, results, capsys):
    assert table(sets, maps, "--json", str(results / "scores.json")) == 2
    assert "keeps all scores there by itself" in capsys.readouterr().err


# --- the table of eval.py -----------------------------------------------------------------------


def test_maps_of_others_are_held_against_a_paper(sets, maps, paper, results, tmp_path, capsys):
    saved = tmp_path / "out/table.json"
    assert table(sets, maps, "--reported", f"exact={paper}", "--save", str(saved),
                 str(tmp_path / "table.tex"), f"data.root={sets}") == 0
    assert ("exact", "TINY-TE", "tracer") in keys(kept(results))
    assert ("exact", "TINY-TE", "matlab") in keys(kept(results))
    assert len(kept(results)) == 5  # other profiles only where a reported number needs them
    parts = json.loads(saved.read_text())
    assert [(r["dataset"], r["measure"], r["profile"], r["ours"], r["within_third_digit"])
            for r in parts["comparisons"]] == [
        ("TINY-TE", "adpF", "matlab", "1.000", True), ("TINY-TE", "MAE", "tracer", "0.000", None),
        ("ECSSD", "MAE", "pysodmetrics", "", None)]
    assert parts["missing"] == [{"cell": "grey on TINY-TR"}]
    assert parts["rows"] == kept(results)
    out = capsys.readouterr().out
    for phrase in ("exact against A paper (recipe paper)", "F is held against adpF",
                   "maps of others", "not scored under profile pysodmetrics: ECSSD",
                   "missing: grey on TINY-TR", "grey is held against no paper",
                   "1 of 1 verified numbers are within"):
        assert phrase in " ".join(out.split()), phrase
    assert (tmp_path / "table.tex").read_text().count(r"\toprule") == 3


def test_one_folder_against_one_folder(sets, maps, paper, capsys):
    assert eval_script.main(["--pred", str(maps / "exact/TINY-TE"), "--gt",
                             str(sets / "TINY-TE/masks"), "--reported", str(paper)]) == 0
    out = capsys.readouterr().out
    assert "exact against A paper" in out and "ECSSD" not in out


def test_without_maps_the_table_is_of_what_was_scored_before(sets, maps, results, capsys):
    arguments = ["--root", str(sets), "--table"]
    assert eval_script.main(arguments) == 2
    assert "folder not found" in capsys.readouterr().err
    assert table(sets, maps) == 0
    assert eval_script.main([*arguments, "--data", "TINY-TR"]) == 0
    captured = capsys.readouterr()
    assert "nothing is scored now" in captured.err
    assert "TINY-TR" in captured.out
    assert eval_script.main([*arguments, "--data", "SAMPLE-TE"]) == 2
    assert "no scores to make a table of" in capsys.readouterr().err
    assert eval_script.main(["--root", str(sets)]) == 2


def test_what_could_not_be_scored_now_is_not_shown_from_before(sets, maps, capsys):
    assert table(sets, maps) == 0
    (maps / "exact/TINY-TR/00.png").unlink()
    capsys.readouterr()
    assert table(sets, maps) == 2
    captured = capsys.readouterr()
    assert "missing: exact on TINY-TR, grey on TINY-TR" in captured.out  # the cells are empty
    assert not re.search(r"TINY-TR .*\d", captured.out) and "TINY-TR" in captured.err
    assert table(sets, maps / "exact", "--data", "TINY-TR") == 2
    assert "not given: 1 of 1 score, because" in capsys.readouterr().err
    assert table(sets, maps, "--allow-missing") == 0
    assert "9/10" in capsys.readouterr().out


@pytest.mark.parametrize("arguments, message", [
    (["--save", "table.doc"], ".md, .tex, .csv, .json"), (["--save", "table"], "extension"),
    (["--reported", "nothing"], "no such recipe"), (["--reported", "wssa"], "METHOD=RECIPE"),
    (["--reported", "exat=wssa"], "did you mean 'exact'"),
    (["--closest"], "none of the methods has reported numbers")])
def test_wrong_arguments(sets, maps, capsys, arguments, message):
    assert table(sets, maps, *arguments) == 2
    assert message in capsys.readouterr().err


def test_the_closest_definition_is_found_under_all_profiles(sets, maps, paper, results, capsys):
    assert table(sets, maps / "grey", "--data", "TINY-TE", "--closest", "--reported",
                 str(paper)) == 0
    assert {profile for _, _, profile in keys(kept(results))} == {
        "pysodmetrics", "matlab", "salmetric", "tracer"}
    out = " ".join(capsys.readouterr().out.split())
    assert "F agrees best with" in out and "grey against A paper" in out


def test_measures_that_are_left_out_are_empty_cells(sets, maps, paper, capsys):
    assert table(sets, maps, "--measures", "MAE", "--reported", f"exact={paper}") == 0
    assert "left out by --measures: adpF on TINY-TE" in " ".join(capsys.readouterr().out.split())


def test_scores_of_before_are_left_out_where_the_maps_cannot_be_scored_now(capsys):
    print_report([row("a", MAE=.1), row("b", MAE=.2)], Recipes(), sets=(), profile="pysodmetrics",
                 without=[("a", "ECSSD")], table=True, closest=False, save=())
    out = capsys.readouterr().out
    assert "0.200" in out and "0.100" not in out and "missing: a on ECSSD" in out


# --- what made the maps -------------------------------------------------------------------------


@pytest.fixture
def origin(tmp_path) -> MapsOrigin:
    config = merge_config({"name": "trial", "paper": "CPD-VGG, CVPR 2019, arXiv 1904.08739"})
    return MapsOrigin(tmp_path / "best.pt", "5f3a" * 16, config, torch.device("cpu"))


def test_the_table_quotes_what_made_the_maps(sets, maps, origin, capsys, results, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    origin.begin(maps / "exact/TINY-TE")
    assert not origin_of(maps / "exact/TINY-TE")["finished"]
    assert table(sets, maps) == 0
    assert "unfinished" in capsys.readouterr().out
    origin.end(maps / "exact/TINY-TE")
    assert table(sets, maps) == 0
    out = " ".join(capsys.readouterr().out.split())
    digest = "5f3a" * 16
    assert digest[:12] in out and "complete" in out and str(origin.entry["checkpoint"]) in out
    assert "exact has no scores on the sets that recipe cpd_vgg reports" in out  # by its paper
    assert kept(results)[0]["origin"]["sha256"] == digest
    assert origin_of(maps / "exact/TINY-TR") is None


def test_the_table_quotes_every_commit_that_scored():
    old, new = ({"date": f"2026-0{month}-01T00:00:00Z", "commit": commit}
                for month, commit in ((1, 40 * "a"), (2, f"{40 * 'b'}+changes")))
    rows = [row(MAE=.1, maxF=.5, scored=new | {"earlier": {"maxF": old}}),
            row(profile="tracer", MAE=.1, scored=old)]
    ((line,),) = origin_table(rows).groups
    assert [cell.text for cell in line[7:9]] == ["bbbbbbbbbb+changes, aaaaaaaaaa", "2026-02-01"]


def test_a_table_without_scores_of_the_profile_names_those_that_are_kept():
    report = Report()
    report.add_tables([row(profile="tracer", MAE=.1)], {}, (), "matlab")
    assert "no scores under the profile matlab; --profile shows those under tracer" in \
        report.tables[-1].notes


def test_a_damaged_origin_is_said_and_no_obstacle(sets, maps, capsys):
    (maps / "exact/origin.json").write_text("{")
    assert table(sets, maps) == 0
    captured = capsys.readouterr()
    assert "origin.json cannot be read" in captured.err
    for entry in ("3", '{"sha256": [1], "checkpoint": {}, "commit": 3, "kept": "x", "paper": [2]}'):
        (maps / "exact/origin.json").write_text(f'{{"TINY-TE": {entry}}}')
        assert table(sets, maps) == 0


def test_the_published_maps_of_wssa(shared, capsys):
    """16 of the 1000: the table names its protocol, and too few images are no match."""
    folder = shared / "data/mini"
    assert eval_script.main(["--pred", str(folder / "maps/WSSA/ECSSD"), "--gt",
                             str(folder / "ECSSD/ground_truth_mask"), "--closest",
                             "--table"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "WSSA against WSSA, CVPR 2020" in out
    assert "protocol adaptive, MAE" in out and "protocol minet, F, E" in out
    assert "other than all images" in out
    assert "0 of 0 verified" in out and "✓ │" not in out


# --- formats ------------------------------------------------------------------------------------


def test_the_ranks_of_the_averages_are_shown_and_saved():
    """A mean rank over data sets and measures: of b (2, 2) on the one and (1, 2) on the other."""
    rows = [row("a", "ECSSD", MAE=.1, maxF=.9), row("b", "ECSSD", MAE=.2, maxF=.8),
            row("a", "SOD", MAE=.4, maxF=.7), row("b", "SOD", MAE=.3, maxF=.6)]
    report = Report()
    report.add_tables(rows, {}, [], "pysodmetrics")
    table = next(table for table in report.tables if "rank" in table.headings)
    column = table.headings.index("rank")
    shown = {(line[0].text, line[1].text): line[column].text
             for group in table.groups for line in group}
    assert shown == {("ECSSD", "a"): "1.00", ("ECSSD", "b"): "2.00", ("SOD", "a"): "1.50",
                     ("SOD", "b"): "1.50", ("average", "a"): "1.25", ("average", "b"): "1.75"}
    assert {(record["method"], record["measure"]): record["rank"]
            for record in json.loads(as_json(report))["averages"]} == {
        ("a", "MAE"): 1.25, ("a", "maxF"): 1.25, ("b", "MAE"): 1.75, ("b", "maxF"): 1.75}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=2, max_size=4))
def test_all_formats_hold_the_same_numbers(tmp_path_factory, scores):
    recipe = write_recipe(tmp_path_factory.mktemp("recipe") / "paper.yaml")
    rows = [row(f"m_{i}|&", dataset, images=count, maxF=f, MAE=mae, adpE=e)
            for i, (f, mae, e) in enumerate(scores) for dataset, count in zip(SETS, (1000, 300),
                                                                             strict=True)]
    rows += [line | {"profile": "matlab"} for line in rows]
    report = Report()
    report.add_tables(rows, {"m_0|&": recipe}, [], "pysodmetrics")
    records = list(csv.DictReader(io.StringIO(as_csv(report))))
    parts = json.loads(as_json(report))
    for part in ("comparisons", "scores", "averages"):
        mine = [record for record in records if record["part"] == part]
        assert [(r["ours"], float(r["score"])) for r in mine] == \
            [(r["ours"], r["score"]) for r in parts[part]]
        assert all(r["ours"] == f"{r['score']:.{len(r['ours']) - 2}f}" for r in parts[part])
    expected = sorted(r["ours"] for part in ("comparisons", "scores", "averages")
                      for r in parts[part])
    number = r"(?<![\w.+$-])\d\.\d{3,4}(?![\w.])"
    for text in (FORMATS[".md"](report), FORMATS[".tex"](report)):
        shown = re.findall(number, "\n".join(line for line in text.splitlines()
                                             if line.startswith("|") or line.endswith(r"\\")))
        assert sorted(shown) == sorted(expected + [r["reported"] for r in parts["comparisons"]])


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex with booktabs")
def test_latex_compiles_and_stays_within_the_line(recipe, tmp_path):
    report, names = Report(), ("plain", "odd_%&#$^~\\{} -- [x] *", "rather long " * 8)
    scores = dict.fromkeys(itertools.chain(*COLUMNS.values()), .5)
    report.add_tables([row(name, dataset, **scores) for name in names for dataset in SETS],
                      dict.fromkeys(names, recipe), [], "pysodmetrics")
    (tmp_path / "tables.tex").write_text(FORMATS[".tex"](report), encoding="utf-8")
    (tmp_path / "paper.tex").write_text("\\documentclass{article}\n" + PREAMBLE.removeprefix("% ")
                                        + "\n\\begin{document}\\input{tables}\\end{document}\n")
    process = subprocess.run(["pdflatex", "-halt-on-error", "paper.tex"], cwd=tmp_path, text=True,
                          capture_output=True, encoding="latin-1")
    assert process.returncode == 0, process.stdout[-2000:]
    assert "Overfull" not in process.stdout


def test_unverified_numbers_are_grey_and_marked_in_every_format(recipe):
    report = Report()
    report.add_tables([row(maxF=.936, MAE=.04)], {"ours": recipe}, ["ECSSD"], "pysodmetrics")
    assert r"\textcolor{gray}{0.0400} & \textcolor{gray}{0.0400}" in FORMATS[".tex"](report)
    assert r"\textcolor{gray}{?} \\" in FORMATS[".tex"](report)
    assert r"0.936 & 0.936 & +0.000 & $\checkmark$ \\" in FORMATS[".tex"](report)
    assert "<sub>?</sub> |" in FORMATS[".md"](report)
    first, second = json.loads(as_json(report))["comparisons"]
    assert (first["within_third_digit"], second["within_third_digit"]) == (True, None)
    notes = json.loads(as_json(report))["notes"]
    assert any(note.startswith("1 of 1 verified numbers are within") and "never a match (?, grey): "
               "1 reported number" in note for note in notes)
