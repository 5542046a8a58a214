"""The file of measured speeds: written row by row, read with all its keys, shown as a table."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks import train as benchmark
from report import speeds
from utils.errors import UserError
from utils.paths import CONFIGS, ROOT


def side(step: float, infer: float, mib: float) -> dict:
    """One side of a measurement, as ``benchmarks.train.measure`` gives it."""
    parts = dict.fromkeys(speeds.STEP, step / 4)
    return {"device": "cpu, bf16", "machine": "A CPU", "batch": 4, "size": "160", "parts": parts,
            "step": step, "infer": infer, "mib": mib, "losses": [1.0]}


SESSION = {"date": "2026-11-28", "commit": "0123456789abcdef+changes"}
ROW = benchmark.row_of(side(2, .5, 1000), side(1, .25, 900)) | SESSION


def test_a_row_holds_images_a_second_of_both_sides():
    assert ROW["training"] == {"plain": 2.0, "here": 4.0, "ratio": 2.0}
    assert ROW["inference"] == {"plain": 8.0, "here": 16.0, "ratio": 2.0}
    assert (ROW["memory"], ROW["seconds"]["update"]) == (.9, .25)


def test_rows_are_kept_until_their_recipe_is_measured_again(tmp_path):
    path = tmp_path / "speeds.json"
    assert speeds.read_speeds(path) == {}
    speeds.add_speed(path, "wssa", ROW)
    speeds.add_speed(path, "cpd_vgg", ROW)
    speeds.add_speed(path, "wssa", ROW | {"batch": 2})
    rows = speeds.read_speeds(path)
    assert list(rows) == ["cpd_vgg", "wssa"]
    assert rows == {"cpd_vgg": ROW, "wssa": ROW | {"batch": 2}}


@pytest.mark.parametrize(("content", "message"), [
    ("{", "cannot be read as rows of"), ("[]", "lacks size, batch"),
    (json.dumps({"wssa": ROW | {"training": {"plain": 1.0}, "torch": None}}),
     r"the row 'wssa' lacks torch, training\.here, training\.ratio;"),
])
def test_a_file_that_is_none_of_speeds_is_an_error(tmp_path, content, message):
    path = tmp_path / "speeds.json"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        speeds.read_speeds(path)


def test_the_table_tells_where_rows_were_measured():
    slow = ROW | {"training": {"plain": 2.0, "here": 3.0, "ratio": 1.5}, "torch": "", "commit": ""}
    lines = speeds.table({"wssa": slow, "a": ROW, "b": ROW}).splitlines()
    assert lines[2] == ("| a | 160, 4 | 2.00 | 4.00 | 2.00 | 8.00 | 16.00 | 2.00 | 0.90 "
                        "| 0.250 0.250 0.250 0.250 |")
    assert ("The ratio is 1.50 to 2.00 in training and 2.00 to 2.00 in inference. The rows were "
            "measured") in lines
    version = ROW["torch"]
    assert lines[-2:] == [
        f"- on 2026-11-28 at 0123456789+changes, A CPU, {ROW['cores']} cores, cpu, bf16, torch "
        f"{version}: a, b",
        f"- on 2026-11-28 at not noted, A CPU, {ROW['cores']} cores, cpu, bf16, torch not noted: "
        "wssa"]


def test_recipes_are_kept_under_their_names_in_configs(monkeypatch):
    assert benchmark.name_of(CONFIGS / "paper/cpd_vgg.yaml") == "paper/cpd_vgg"
    monkeypatch.chdir(ROOT)
    assert benchmark.name_of((CONFIGS / "wssa.yaml").relative_to(ROOT)) == "wssa"


def test_a_recipe_from_elsewhere_is_kept_under_its_files_name(tmp_path):
    """Which has no folder of the machine, and is no name in configs/."""
    assert benchmark.name_of(tmp_path / "wssa.yaml") == "wssa.yaml"


@pytest.mark.parametrize("words", [["--without", "memory"], ["train.compile=true"]])
def test_only_what_recipes_give_is_kept(words, tmp_path, capsys):
    path = tmp_path / "speeds.json"
    assert benchmark.main(["--config", "wssa", "--save", str(path), *words]) == 2
    assert "--save keeps what the recipes give" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize(("file", "message"), [
    ("none/speeds.json", "no folder .*none"), ("speeds.json", "cannot be read as rows of")])
def test_a_file_that_cannot_be_kept_is_an_error_before_anything_is_measured(
        tmp_path, monkeypatch, capsys, file, message):
    monkeypatch.setattr(benchmark, "in_a_process", None)
    (tmp_path / "speeds.json").write_text("{")
    assert benchmark.main(["--config", "wssa", "--save", str(tmp_path / file)]) == 2
    assert re.search(message, capsys.readouterr().err)
