"""The table of measures is the only place that names them, and metrics/ needs nothing else."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import eval as eval_script
import metrics
from metrics import CORE, MEASURES, PROFILES, Evaluator, lower_is_better
from metrics.compare import compare
from metrics.table import of_selection
from tests.maps import draw_map, draw_truth, scored
from utils.paths import DOCS, ROOT


@pytest.fixture
def added_measures(monkeypatch):
    """Two measures more in the table: ``missed`` of selections, ``area`` of levels."""
    def missed(confusion):
        return (confusion.objects - confusion.true) / confusion.pixels

    def area(batch):
        half = batch.at_half
        return {"area": (half.true + half.false)[:, 0] / half.pixels[:, 0]}

    monkeypatch.setitem(MEASURES, "missed", of_selection("missed", missed, "FN / all",
                                                         lower_is_better=True))
    monkeypatch.setitem(MEASURES, "area", metrics.Measure("area", ("area",), area, "P > 0.5"))


def test_a_measure_that_is_added_to_the_table_is_scored_and_compared(added_measures):
    random = np.random.default_rng(0)
    truths = [draw_truth(random, "blob", (20, 30)) for _ in range(5)]
    methods = [scored([(draw_map(random, "noise", truth), truth) for truth in truths],
                      measures=("missed", "MAE", "area")) for _ in range(2)]
    row = methods[0].compute()
    assert list(row) == ["MAE", "maxmissed", "meanmissed", "adpmissed", "binmissed", "area"]
    shares = [(truth > 128).mean() for truth in truths]
    assert row["maxmissed"] <= np.mean(shares) < 1  # at no threshold more than the whole object
    assert methods[0].curves()["missed"][-1] == 0  # everything is selected
    differences = {difference.measure: difference
                   for difference in compare(*(method.per_image for method in methods))}
    assert list(differences) == ["MAE", "area", "meanmissed", "adpmissed", "binmissed"]
    a, b = (np.array([numbers["meanmissed"] for numbers in method.per_image.values()])
            for method in methods)
    assert differences["meanmissed"].wins == (a < b).sum()  # lower is better
    assert lower_is_better("adpmissed") and not lower_is_better("area")


def test_a_measure_that_is_added_to_the_table_reaches_the_command_line(
        added_measures, sets, tmp_path, capsys):
    folder = tmp_path / "results/grey/TINY-TE"
    folder.mkdir(parents=True)
    for path in (sets / "TINY-TE/masks").iterdir():
        Image.fromarray(np.array(Image.open(path)) // 2).save(folder / path.name)
    arguments = ["--pred", str(tmp_path / "results"), "--root", str(sets), "--gpu", "cpu"]
    assert eval_script.main([*arguments, "--measures", "MAE", "missed", "--csv",
                             str(tmp_path / "rows.csv")]) == 0
    (row,) = csv.DictReader((tmp_path / "rows.csv").open())
    assert list(row)[6:] == ["MAE", "maxmissed", "meanmissed", "adpmissed", "binmissed"]
    assert "adpmissed" in capsys.readouterr().out
    assert eval_script.main([*arguments, "--measures", "all", "--json",
                             str(tmp_path / "rows.json")]) == 0
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert list(row)[-2:] == ["binmissed", "area"]
    assert eval_script.main([*arguments, "--measures", "missed", "--profile", "matlab"]) == 2


@pytest.mark.parametrize("profile", PROFILES)
def test_a_row_has_the_columns_of_the_table_in_their_order(profile):
    row = scored([np.zeros((2, 4, 5), np.uint8)], profile=profile).compute()
    assert list(row) == [column for name in PROFILES[profile].measures
                         for column in PROFILES[profile].columns(name)]
    assert list(Evaluator().per_image) == []


def test_columns_are_named_once_and_documented():
    columns = [column for measure in MEASURES.values() for column in measure.columns]
    assert len(set(columns)) == len(columns)
    assert CORE == ("MAE", "F", "wF", "S", "E")
    page = (DOCS / "evaluation.md").read_text()
    assert [name for name in MEASURES if f"`{name}`" not in page] == []


def test_errors_and_efforts_are_better_when_lower():
    columns = [column for measure in MEASURES.values() for column in measure.columns]
    assert [column for column in columns if lower_is_better(column)] == [
        "MAE", "maxBER", "meanBER", "adpBER", "binBER", "HCE"]


ALONE = """
import importlib.util, json, sys
import numpy as np
import metrics, metrics.compare
assert metrics.__file__.startswith(sys.argv[1]), metrics.__file__
assert importlib.util.find_spec("utils") is None and importlib.util.find_spec("scoring") is None
random = np.random.default_rng(0)
truth = np.zeros((40, 50), np.uint8)
truth[10:30, 15:35] = 255
maps = [np.clip(truth * 0.6 + random.normal(60, 30, truth.shape), 0, 255).astype(np.uint8)
        for _ in range(3)]
rows = []
for device in ("cpu", "cpu:0"):
    evaluator = metrics.Evaluator(device, measures=tuple(metrics.MEASURES))
    for number, prediction in enumerate(maps):
        evaluator.update(str(number), prediction, truth)
    rows.append(evaluator.compute())
assert max(abs(rows[0][column] - rows[1][column]) for column in rows[0]) < 1e-9
metrics.compare.compare(evaluator.per_image, evaluator.per_image)
print(json.dumps(rows[0]))
"""


def test_the_folder_scores_without_the_repository(tmp_path):
    shutil.copytree(ROOT / "metrics", tmp_path / "metrics",
                    ignore=shutil.ignore_patterns("__pycache__"))
    process = subprocess.run([sys.executable, "-c", ALONE, str(tmp_path)], cwd=tmp_path,
                             capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    row = json.loads(process.stdout)
    assert len(row) == 40 and 0 < row["MAE"] < 0.5 < row["maxF"] <= 1
