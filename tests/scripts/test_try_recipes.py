"""The trial of recipes on few images."""

from __future__ import annotations

import shutil
from argparse import Namespace

from scripts import try_recipes
from utils.config import load_config
from utils.recipes import recipe_path


def test_a_recipe_that_trains_and_predicts_has_a_row(made_sets, runs, tmp_path, capsys):
    for name, made in (("DUTS-TR", "TINY-TR"), ("ECSSD", "TINY-TE")):
        shutil.copytree(made_sets / made, tmp_path / name)
    words = ["paper/cpd_vgg", f"data.root={tmp_path}", "model.options.width=0.0625",
             "data.workers=0", "weights.backbone=none", "--size", "64", "--steps", "10", "--gpu",
             "cpu"]
    assert try_recipes.main([*words, "optim.lr=1e-3"]) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith("| paper/cpd_vgg | 64 | ") and row.endswith(" | 4 |")
    assert not list(runs.glob("try_*"))
    assert try_recipes.main([*words, "optim.lr=1e3"]) == 2
    assert "did not fall: paper/cpd_vgg" in capsys.readouterr().err
    (tmp_path / "DUTS-TR/images/03.jpg").unlink()
    (tmp_path / "DUTS-TR/masks/03.png").unlink()
    assert try_recipes.main(words) == 2
    assert "has 9 pairs, fewer than 10" in capsys.readouterr().err


def test_a_trial_keeps_all_pairs_for_training():
    """Also of a recipe that holds some out: of ten pairs, a twentieth is none."""
    path, args = recipe_path("tracer_te0"), Namespace(size=64, steps=10, overrides=[])
    assert load_config(path).val.fraction > 0
    assert load_config(path, try_recipes.settings_of(path, args)).val.fraction == 0
