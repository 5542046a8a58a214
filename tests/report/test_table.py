"""eval.py --table: what is kept in results/scores.json, and the report that is made of it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import eval as eval_script
from scoring import ScoringOptions
from scoring.jobs import find_jobs
from scoring.scores import read_scores
from utils.origin import MapsOrigin, origin_of


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


@pytest.fixture
def recipe(tmp_path) -> Path:
    path = tmp_path / "paper.yaml"
    path.write_text("name: paper\npaper: A paper\nreported:\n"
                    "- {dataset: TINY-TE, measure: F, value: 1, source: a, verified: true, "
                    "protocol: adaptive}\n"
                    "- {dataset: TINY-TE, measure: MAE, value: .1, source: b, protocol: tracer}\n"
                    "- {dataset: ECSSD, measure: MAE, value: .1, source: b, protocol: cpd}\n")
    return path


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
    assert table(sets, exact, "--data", "TINY-TR", "--no-cache") == 0
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


def test_a_set_has_one_name_however_its_folder_is_called(sets, maps, results, tmp_path, capsys):
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
    for profile, said in (("pysodmetrics", False), ("matlab", True)):
        (results / "scores.json").write_text(json.dumps([old | {"profile": profile}]))
        capsys.readouterr()
        assert table(sets, maps / "exact", "--data", "TINY-TE") == 0
        assert ("may be of other maps" in capsys.readouterr().err) == said
        assert [one["profile"] for one in kept(results)] == ["pysodmetrics"]


def test_the_kept_file_is_not_written_as_a_list_of_this_runs_rows(sets, maps, results, capsys):
    assert table(sets, maps, "--json", str(results / "scores.json")) == 2
    assert "keeps all scores there by itself" in capsys.readouterr().err


# --- the table ----------------------------------------------------------------------------------


def test_maps_of_others_are_held_against_a_paper(sets, maps, recipe, results, tmp_path, capsys):
    saved = tmp_path / "out/table.json"
    assert table(sets, maps, "--reported", f"exact={recipe}", "--save", str(saved),
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
    for said in ("exact against A paper (recipe paper)", "F is held against adpF", "maps of others",
                 "not scored under profile pysodmetrics: ECSSD", "missing: grey on TINY-TR",
                 "grey is held against no paper", "1 of 1 verified numbers are within"):
        assert said in " ".join(out.split()), said
    assert (tmp_path / "table.tex").read_text().count(r"\toprule") == 3


def test_one_folder_against_one_folder(sets, maps, recipe, capsys):
    assert eval_script.main(["--pred", str(maps / "exact/TINY-TE"), "--gt",
                             str(sets / "TINY-TE/masks"), "--reported", str(recipe)]) == 0
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
    assert "1 of 1 scores are not given" in capsys.readouterr().err
    assert table(sets, maps, "--allow-missing") == 0
    assert "9/10" in capsys.readouterr().out


@pytest.mark.parametrize("arguments, said", [
    (["--save", "table.doc"], ".md, .tex, .csv, .json"), (["--save", "table"], "extension"),
    (["--reported", "nothing"], "no such recipe"), (["--reported", "wssa"], "METHOD=RECIPE"),
    (["--reported", "exat=wssa"], "did you mean 'exact'"),
    (["--closest"], "none of the methods has reported numbers")])
def test_wrong_arguments(sets, maps, capsys, arguments, said):
    assert table(sets, maps, *arguments) == 2
    assert said in capsys.readouterr().err


def test_the_closest_definition_is_found_under_all_profiles(sets, maps, recipe, results, capsys):
    assert table(sets, maps / "grey", "--data", "TINY-TE", "--closest", "--reported",
                 str(recipe)) == 0
    assert {profile for _, _, profile in keys(kept(results))} == {"pysodmetrics", "matlab",
                                                                 "tracer"}
    out = " ".join(capsys.readouterr().out.split())
    assert "F agrees best with" in out and "grey against A paper" in out


def test_measures_that_are_left_out_are_empty_cells(sets, maps, recipe, capsys):
    assert table(sets, maps, "--measures", "MAE", "--reported", f"exact={recipe}") == 0
    assert "left out by --measures: adpF on TINY-TE" in " ".join(capsys.readouterr().out.split())


def test_profiles_that_lack_a_measure_are_scored_without_it():
    options = ScoringOptions(measures=("MAE", "F", "E", "AUC"))
    assert options.under("tracer").measures == ("MAE", "F")


# --- what made the maps -------------------------------------------------------------------------


@pytest.fixture
def origin(tmp_path) -> MapsOrigin:
    (tmp_path / "best.pt").write_bytes(b"weights")
    config = SimpleNamespace(name="trial", paper="CPD-VGG, CVPR 2019, arXiv 1904.08739")
    return MapsOrigin(tmp_path / "best.pt", config, torch.device("cpu"))


def test_the_table_quotes_what_made_the_maps(sets, maps, origin, capsys, results):
    origin.begin(maps / "exact/TINY-TE")
    assert not origin_of(maps / "exact/TINY-TE")["finished"]
    assert table(sets, maps) == 0
    assert "unfinished" in capsys.readouterr().out
    origin.end(maps / "exact/TINY-TE")
    assert table(sets, maps) == 0
    out = " ".join(capsys.readouterr().out.split())
    digest = hashlib.sha256(b"weights").hexdigest()
    assert digest[:12] in out and "complete" in out and str(origin.entry["checkpoint"]) in out
    assert "exact has no scores on the sets that recipe cpd_vgg reports" in out  # by its paper
    assert kept(results)[0]["origin"]["sha256"] == digest
    assert origin_of(maps / "exact/TINY-TR") is None


def test_kept_maps_of_other_weights_are_counted(maps, origin, tmp_path):
    folder = maps / "exact/TINY-TE"
    origin.begin(folder, kept=3)
    origin.end(folder)
    assert origin_of(folder)["kept"] == 3
    origin.begin(folder, kept=4)  # by the same weights, so still those three
    assert origin_of(folder)["kept"] == 3
    origin.entry["sha256"] = "other"
    origin.begin(folder, kept=4)
    assert origin_of(folder)["kept"] == 4


def test_a_damaged_origin_is_said_and_no_obstacle(sets, maps, capsys):
    (maps / "exact/origin.json").write_text("{")
    assert table(sets, maps) == 0
    captured = capsys.readouterr()
    assert "not known what made the maps" in captured.err
    (maps / "exact/origin.json").write_text('{"TINY-TE": 3}')
    assert table(sets, maps) == 0


def test_the_published_maps_of_wssa(shared, capsys):
    """16 of the 1000: the table names its protocol, and too few images are no match."""
    folder = shared / "data/mini"
    assert eval_script.main(["--pred", str(folder / "maps/WSSA/ECSSD"), "--gt",
                             str(folder / "ECSSD/ground_truth_mask"), "--closest",
                             "--table"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "WSSA against WSSA, CVPR 2020" in out
    assert "protocol adaptive, F, E, MAE" in out
    assert "other than all images" in out
    assert "0 of 0 verified" in out and "✓ │" not in out
