"""Records of runs, and the page that is made of them."""

from __future__ import annotations

import json
import re

import pytest

from report.__main__ import main
from report.records import KEYS, differences, document, read_records
from reproduce import write_record
from utils.config import load_config
from utils.errors import UserError
from utils.paths import CONFIGS, DOCS, ROOT

RECORD = {
    "run": "trial", "recipe": "configs/demo.yaml", "paper": "", "date": "2026-01-01T00:00:00Z",
    "configuration": {}, "machine": {"processor": "P", "cores": 2},
    "origin": {"command": ["reproduce.py", "configs/demo.yaml"],
               "commit": "0123456789abcdef+changes", "torch": "2.8.0",
               "checkpoint": "best.pt", "sha256": "f" * 64, "steps": 308},
    "scores": [{"dataset": "SOD", "profile": "pysodmetrics", "images": 300, "expected": 300,
                "measures": {"MAE": 0.0364, "maxF": 0.9299}},
               {"dataset": "ECSSD", "profile": "pysodmetrics", "images": 1000, "expected": 1000,
                "measures": {"MAE": 0.05}}],
    "comparisons": [{"method": "trial", "dataset": "ECSSD", "measure": "MAE",
                     "profile": "pysodmetrics", "images": 1000, "expected": 1000, "score": 0.05,
                     "paper_measure": "MAE", "reported": "0.050", "ours": "0.050",
                     "difference": "+0.000", "within_third_digit": True, "verified": True,
                     "source": "README", "protocol": "cpd", "recipe": "demo"}],
    "times": {"train": 64.6, "test": None, "eval": 0.0}}


def test_the_committed_page_is_what_the_committed_records_hold(tmp_path):
    """``python -m report records`` writes it anew."""
    out = tmp_path / "reproduction.md"
    assert main(["records", "--out", str(out)]) == 0
    assert out.read_bytes() == (DOCS / "reproduction.md").read_bytes()
    for path in (DOCS / "records").glob("*.json"):
        assert not re.search(r'["=:,[]/', path.read_text()), "a folder of the machine"


def test_the_page_holds_scores_papers_numbers_and_what_made_them():
    text = document({"name": RECORD})
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()
            if line.startswith("| 2026")]
    assert rows == [
        ["2026-01-01", "name", "ECSSD", "MAE", "MAE", "pysodmetrics", "1000", "0.050", "0.050",
         "+0.000", "✓"],
        ["2026-01-01", "name", "SOD", "MAE", "", "pysodmetrics", "300", "", "0.036", "", ""],
        ["2026-01-01", "name", "SOD", "maxF", "", "pysodmetrics", "300", "", "0.930", "", ""]]
    assert ("commit 0123456789+changes; 308 steps; train 0:01:05, test not timed, eval 0:00:00; "
            "processor P, cores 2; torch 2.8.0; best.pt with SHA-256 ffffffffffff") in text


def test_the_newest_run_comes_first_and_each_recipe_has_a_table():
    text = document({"old": RECORD, "new": RECORD | {"date": "2026-02-01T00:00:00Z"},
                     "trial": RECORD | {"recipe": "configs/another.yaml"}})
    assert [line for line in text.splitlines() if line.startswith("## ")] == \
        ["## another", "## demo"]
    assert text.index("| new |") < text.index("| old |")


def test_a_record_knows_how_its_run_differs_from_its_recipe():
    from omegaconf import OmegaConf

    config = OmegaConf.to_container(load_config(CONFIGS / "demo.yaml", [
        "train.epochs=3", "data.root=/elsewhere", "data.workers=1"]))
    recipe = load_config(CONFIGS / "demo.yaml")
    assert differences(RECORD | {"configuration": config}) == {
        "train.epochs": (recipe.train.epochs, 3)}
    with pytest.raises(UserError, match=r"gone\.yaml"):
        differences(RECORD | {"configuration": config, "recipe": "configs/gone.yaml"})


@pytest.mark.parametrize("word, left", [
    (str(ROOT / "configs/demo.yaml"), "configs/demo.yaml"), ("../x/y.yaml", "../x/y.yaml"),
    ("/home/someone/my sets/ECSSD", "…/ECSSD"), ("data.root=/mnt/sets", "data.root=…/sets"),
    ("test.data=[/a/b,ECSSD,/c/d:/e/f]", "test.data=[…/b,ECSSD,…/d:…/f]"),
    ("~/x.yaml", "…/x.yaml"), ("~someone/x.yaml", "…/x.yaml"), ("file=/x.pth", "file=…/x.pth"),
    ("https://arxiv.org/abs/1904.08739", "https://arxiv.org/abs/1904.08739")])
def test_a_record_holds_no_folders_of_the_machine(tmp_path, word, left):
    write_record(tmp_path / "x.json", RECORD | {"paper": word})
    assert read_records(tmp_path)["x"] == RECORD | {"paper": left}


def test_what_is_no_record_is_refused(tmp_path):
    with pytest.raises(UserError, match="no records"):
        read_records(tmp_path / "none")
    bent = [RECORD | change for change in (
        {"scores": [3]}, {"comparisons": [{}]}, {"times": {"train": "x"}}, {"origin": {}},
        {"scores": [RECORD["scores"][0] | {"measures": {"MAE": "x"}}]},
        {"times": {"train": 1e300}}, {"origin": RECORD["origin"] | {"commit": 3}})]
    for content, message in (("[1", "cannot be read as a record"), ("[1]", "it has no run, recipe"),
                             ("[" * 100_000, "cannot be read as a record"),
                             (json.dumps(RECORD | {"times": []}), "it has no times."),
                             *((json.dumps(record), "no sound scores") for record in bent)):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(UserError, match=message):
            read_records(tmp_path)
    assert set(RECORD) == set(KEYS)


def test_a_folder_without_records_costs_no_page(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("of other records")
    assert main(["records", "--records", str(tmp_path), "--out", str(page)]) == 2
    assert "no records (.json) in this folder" in capsys.readouterr().err
    assert page.read_text() == "of other records"


def test_reproduce_has_moved(capsys):
    assert main(["reproduce", "configs/demo.yaml", "--gpu", "0"]) == 2
    assert "python reproduce.py configs/demo.yaml --gpu 0" in capsys.readouterr().err
