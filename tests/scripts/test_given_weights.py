"""Which weights test.py takes, and with which configuration."""

from __future__ import annotations

import pytest
import torch
from omegaconf import DictConfig
from torch import nn

import model
import test as test_script
import train as train_script
from engine.checkpoint import save_checkpoint
from engine.trained import choose
from tests import small_runs
from tests.small_runs import train, words
from utils.config import load_config
from utils.errors import UserError
from utils.paths import CONFIGS

RECIPE = str(CONFIGS / "cpd_vgg.yaml")
SMALL = ["model.options.width=0.0625"]


def filled(config: DictConfig, value: float) -> dict:
    """The network's weights, all of one value."""
    return {key: torch.full_like(tensor, value)
            for key, tensor in model.from_recipe(config).state_dict().items()}


def given(*words: str) -> tuple[nn.Module, str]:
    """A parameter's first value after loading as test.py does, and the name of the file."""
    args = test_script.parse(list(words))
    trained = choose(args.config, args.checkpoint, args.official, args.overrides)
    network = model.from_recipe(trained.config)
    trained.load(network)
    return next(network.parameters()).flatten()[0].item(), trained.path.name


@pytest.fixture
def config() -> DictConfig:
    return load_config(RECIPE, SMALL)


def test_a_runs_folder_stands_for_its_best_else_its_last_checkpoint(tmp_path, config):
    with pytest.raises(UserError, match=f"neither best.pt nor last.pt in {tmp_path}. Name a run's"):
        given("--checkpoint", str(tmp_path))
    save_checkpoint(tmp_path / "last.pt", {"network": filled(config, 1)}, config)
    assert given("--checkpoint", str(tmp_path)) == (1, "last.pt")
    save_checkpoint(tmp_path / "best.pt", {"network": filled(config, 2)}, config)
    assert given("--checkpoint", str(tmp_path)) == (2, "best.pt")


@pytest.mark.parametrize("recipe", [[], ["--config", RECIPE, *SMALL]])
def test_the_average_is_tested_unless_a_key_is_given(tmp_path, config, recipe, capsys):
    average = {f"module.{key}": value for key, value in filled(config, 2).items()}
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"network": filled(config, 1), "average": {
        "n_averaged": torch.tensor(3), **average}}, config)
    capsys.readouterr()
    assert given("--checkpoint", str(path), *recipe)[0] == 2
    assert "average" in (first := "".join(capsys.readouterr())), first
    assert given("--checkpoint", str(path), *recipe, "weights.key=network")[0] == 1
    assert "weights under network" in capsys.readouterr().err
    assert given("--checkpoint", str(path), *recipe, "weights.key=average")[0] == 2


def test_a_key_of_the_recipe_is_not_one_of_its_runs_checkpoints(tmp_path):
    config = load_config(RECIPE, [*SMALL, "weights.key=params_ema", "weights.partial=true"])
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"network": filled(config, 1)}, config)
    assert given("--checkpoint", str(path))[0] == 1
    network = filled(config, 1)
    network.popitem()
    save_checkpoint(path, {"network": network}, config)
    with pytest.raises(UserError, match="1 tensors missing"):
        given("--checkpoint", str(path))
    assert given("--checkpoint", str(path), "weights.partial=true")[0] == 1


def test_a_recipe_of_another_network_is_refused_and_other_options_are_named(tmp_path, config,
                                                                            capsys):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"network": filled(config, 1)}, config)
    with pytest.raises(UserError, match=r"(?s)model\.name: 'cpd_vgg' in training, 'wssa' in .*"
                       "Leave --config out"):
        given("--checkpoint", str(path), "--config", str(CONFIGS / "wssa.yaml"), *SMALL)
    assert given("--checkpoint", str(path), "--config", RECIPE, *SMALL, "data.size=64")[0] == 1
    assert "data.size: 352 in training, 64 in" in capsys.readouterr().err
    assert given("--checkpoint", str(path), "--config", RECIPE, *SMALL)[0] == 1
    assert "note" not in capsys.readouterr().err


def test_weights_of_others_need_a_recipe(tmp_path, config):
    path = tmp_path / "weights.pth"
    torch.save({"net": filled(config, 1), "average": 0.5, "epoch": 3}, path)
    with pytest.raises(UserError, match="Name the recipe with --config"):
        given("--checkpoint", str(path))
    assert given("--checkpoint", str(path), "--config", RECIPE, *SMALL)[0] == 1


def test_official_weights_are_taken_by_the_recipes_list(runs, tmp_path, config, capsys):
    """From checkpoints/ or the folder that is named, with the recipe's configuration."""
    words = ["--config", RECIPE, "--official"]
    assert test_script.main([*words, "--gpu", "cpu"]) == 2
    assert f"file:    {runs / 'CPD.pth'}" in capsys.readouterr().err
    for folder, value in ((tmp_path, 1), (runs, 2)):
        torch.save({f"module.{key}": tensor for key, tensor in filled(config, value).items()},
                   folder / "CPD.pth")
    assert given(*words, *SMALL) == (2, "CPD.pth")
    assert given(*words, "--checkpoint", str(tmp_path), *SMALL) == (1, "CPD.pth")
    assert given("--official", *SMALL) == (2, "CPD.pth")  # of the default recipe


def test_training_starts_from_the_weights_that_are_chosen(made_sets, runs, tmp_path, capsys):
    path, config = tmp_path / "weights.pth", load_config(small_runs.RECIPE)
    torch.save({"params": filled(config, 1), "params_ema": filled(config, 0.01)}, path)
    start = [f"weights.network={path}", "train.steps=1"]
    assert train_script.main(words(made_sets, *start)) == 2
    assert "weights.key=params_ema" in capsys.readouterr().err
    assert train(made_sets, *start, "weights.key=params_ema") == 0
    torch.save({"trunk.conv1.conv1_1.weight": torch.ones(4, 3, 3, 3), "x": torch.ones(1)}, path)
    assert train(made_sets, *start, "--overwrite") == 2
    assert train(made_sets, *start, "--overwrite", "weights.partial=true") == 0
    assert "1 tensors are loaded" in (printed := capsys.readouterr().err)
    assert "batch norm" not in printed  # those of the network are new, and no export's
