"""Recipes' reported numbers: what is wrong with them, and whose a method is held against."""

from __future__ import annotations

import re

import pytest

from report.recipes import Recipe, Recipes
from utils.config import load_config
from utils.errors import UserError
from utils.paths import CONFIGS


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_reported_numbers_of_every_recipe_can_be_held_against_ours(path):
    assert Recipe(path).name == path.stem


def test_no_two_recipes_have_one_name_of_a_paper():
    """Maps of a run with a name of its own are held against the recipe whose paper they name."""
    papers = [load_config(path).paper for path in CONFIGS.glob("*.yaml")]
    assert len(set(papers) - {""}) == len([paper for paper in papers if paper])


@pytest.mark.parametrize("change, message", [
    ("measure: maxf", "did you mean 'maxF'"), ("protocol: matlb", "protocol 'matlb'"),
    ("protocol: ''", "known: cpd, minet"), ("measure: wF, protocol: tracer", "measure 'wF'"),
    ("measure: adpF, protocol: tracer", "measure 'adpF'"), ("measure: F", "measure 'F'"),
    ("digits: 2", "digits = 2"), ("value: .93612", "with 3 digits"), ("value: 93.6", "from 0 to 1"),
    ("dataset: ''", "dataset is empty"), ("source: ''", "source is empty")])
def test_wrong_reported_numbers_are_errors(tmp_path, change, message):
    entry = {"dataset": "ECSSD", "measure": "maxF", "value": "0.936", "source": "README",
             "protocol": "cpd"} | dict(pair.split(": ", 1) for pair in change.split(", "))
    path = tmp_path / "paper.yaml"
    path.write_text("reported:\n- {" + ", ".join(f"{k}: {v}" for k, v in entry.items()) + "}\n")
    with pytest.raises(UserError, match=re.escape(message)):
        Recipe(path)


def test_a_method_finds_its_recipe(tmp_path, recipe):
    assert Recipes().of("wssa", None).name == "wssa"
    assert Recipes().of("CPD-VGG", None).name == "cpd_vgg"
    assert Recipes().of("trial", {"paper": "CPD-R, CVPR 2019, arXiv 1904.08739"}).name == \
        "cpd_resnet"
    assert Recipes().of("trial", {"paper": ""}) is None
    assert Recipes(["wssa"]).of("trial", None).name == "wssa"
    assert Recipes([f"a=b={tmp_path / 'paper.yaml'}"]).of("a=b", None).paper == "A paper"
    chosen = Recipes(["wssa=scwssod"])
    assert (chosen.of("wssa", None).name, chosen.of("cpd_vgg", None).name) == \
        ("scwssod", "cpd_vgg")


@pytest.mark.parametrize("choices, message", [
    (["wsa"], "did you mean 'wssa'"), (["A=nothing"], "no such recipe"), (["x.yaml"], "not found"),
    (["A=wssa", "A=cpd_vgg"], "A has another"), (["wssa", "cpd_vgg"], "METHOD=RECIPE"),
    (["ours2=wssa"], "did you mean 'ours'"), (["wssa"], "say whose the recipe is")])
def test_recipes_that_cannot_be_used_are_refused(choices, message):
    with pytest.raises(UserError, match=re.escape(message)):
        Recipes(choices).require(["ours", "theirs"])
