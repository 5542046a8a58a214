"""Which folders hold maps of which method and set."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from scoring.jobs import find_jobs
from scoring.layout import methods_in
from utils.errors import UserError


def make(root: Path, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True)
        Image.new("L", (2, 2)).save(root / folder / "a.png")


def layout(pred: Path, root: Path, data=(), names=None) -> dict[str, list[str]]:
    """Method → its sets."""
    return {method: sorted(folders) for method, folders in methods_in(pred, data, root, names)}


def test_sets_of_methods_and_methods_of_sets(tmp_path, sets, capsys):
    make(tmp_path / "plain", "m/ECSSD", "m/TINY-TE", "n/ECSSD")
    make(tmp_path / "turned", "ECSSD/m", "TINY-TE/m", "ECSSD/n", "ECSSD/input")
    expected = {"m": ["ECSSD", "TINY-TE"], "n": ["ECSSD"]}
    assert layout(tmp_path / "plain", sets) == expected
    assert capsys.readouterr().err == ""
    assert layout(tmp_path / "turned", sets) == expected
    assert "read as <set>/<method>/ for the sets ECSSD, TINY-TE" in capsys.readouterr().err
    assert layout(tmp_path / "turned", sets, names=["n"]) == {"n": ["ECSSD"]}
    with pytest.raises(UserError, match="did you mean 'm'"):
        layout(tmp_path / "turned", sets, names=["mm"])


def test_both_orders_side_by_side(tmp_path, sets):
    make(tmp_path / "r", "m/TINY-TE", "ECSSD/n")
    assert layout(tmp_path / "r", sets) == {"m": ["TINY-TE"], "n": ["ECSSD"]}


def test_a_methods_own_folder(tmp_path, sets):
    make(tmp_path, "m/ECSSD", "k/TINY-TE", "j/new")
    (tmp_path / "m/ECSSD/old").mkdir()
    assert layout(tmp_path / "m", sets) == {"m": ["ECSSD"]}
    assert layout(tmp_path / "k", sets) == {"k": ["TINY-TE"]}
    assert layout(tmp_path / "j", sets, data=["/x/new"]) == {"j": ["new"]}
    (tmp_path / "e/ECSSD").mkdir(parents=True)
    assert layout(tmp_path / "e", sets) == {"e": ["ECSSD"]}  # whose maps are missing


def test_a_folder_under_the_root_that_is_no_set_may_be_a_method(tmp_path, sets):
    make(sets, "m/TINY-TE")
    assert layout(sets, sets)["m"] == ["TINY-TE"]


def test_two_names_of_sets_can_be_read_both_ways(tmp_path, sets):
    make(tmp_path, "ECSSD/SOD")
    with pytest.raises(UserError, match="ECSSD/SOD --gt MASKS --name METHOD --set SET"):
        layout(tmp_path, sets)


def test_maps_of_turned_folders_are_scored(tmp_path, sets):
    make(tmp_path / "r", "TINY-TE/m")
    (job,), missing = find_jobs(tmp_path / "r", None, [], sets)
    assert (job.cell, job.maps, missing) == (("m", "TINY-TE"), tmp_path / "r/TINY-TE/m", [])
