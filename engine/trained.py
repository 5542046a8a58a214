"""Which weights run, and with which configuration: those of a run, of a paper, or of anybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from omegaconf import DictConfig
from torch import nn

import model
from utils.config import flat, load_config
from utils.errors import UserError, list_problems, nearest
from utils.files import sha256_of
from utils.official import official_file
from utils.paths import CHECKPOINTS
from utils.recipes import is_recipe, recipe_names
from utils.weights import load_weights
from utils.weights_file import note, read_hashed

from .checkpoint import configuration_of, tested_weights

DEFAULT_RECIPE = "cpd_vgg"
OFFICIAL = "official"  # in place of a file of weights


@dataclass(frozen=True)
class Trained:
    """Weights that are read, and not yet in a network.

    Attributes:
        config: the configuration that runs them.
        load: puts them into the configuration's network.
        path: the file that they are from.
        sha256: of that file.
    """

    config: DictConfig
    load: Callable[[nn.Module], None]
    path: Path
    sha256: str

    def build(self) -> nn.Module:
        """The network with its weights."""
        network = model.from_recipe(self.config)
        self.load(network)
        return network


@dataclass(frozen=True)
class TrainedElsewhere(Trained):
    """A network that export.py wrote, which is run as it is."""

    network: nn.Module

    def build(self) -> nn.Module:
        return self.network


def find(source: str | Path, weights: str | Path | None = None,
         overrides: Sequence[str] = ()) -> Trained:
    """The weights that one word names.

    Args:
        source: a recipe, of which the run in ``checkpoints/`` is taken, else the official weights;
            or a checkpoint of train.py, or its run's folder.
        weights: others' weights for the recipe ``source``, or ``official``.

    Raises:
        UserError: there are none, or they cannot be read.
    """
    if not is_recipe(source):
        if weights is not None or not Path(source).exists():
            what = "no such file or folder, and no recipe" if weights is None else \
                "no recipe, for which weights could be given"
            raise UserError(f"{source}: {what}; of the recipes in configs/, "
                            f"{nearest(str(source), recipe_names())}")
        return choose(None, Path(source), overrides=overrides)
    if weights is not None and str(weights) != OFFICIAL:
        return choose(str(source), Path(weights), overrides=overrides)
    folder = CHECKPOINTS / load_config(source, overrides).name
    has_run = any((folder / name).is_file() for name in ("best.pt", "last.pt"))
    if has_run and weights is None:
        return choose(str(source), None, overrides=overrides)
    try:
        return choose(str(source), None, True, overrides)
    except UserError as error:
        beside = "" if has_run else f"there is no run in {folder}, and "
        raise UserError(f"{beside}{error}\nA file elsewhere: Predictor({str(source)!r}, "
                        "weights=FILE)") from None


def choose(recipe: str | None, given: Path | None, official: bool = False,
           overrides: Sequence[str] = ()) -> Trained:
    """The weights that test.py's arguments name; what they are is printed.

    A checkpoint of train.py runs with its own configuration, other weights with a ``recipe``.

    Args:
        recipe: --config.
        given: --checkpoint, a file or a folder; without it the recipe's run is taken.
        official: --official.
        overrides: ``key=value`` words, which change either configuration.

    Raises:
        UserError: there are none, they cannot be read, or they are of another network.
    """
    if official:
        recipe = recipe or DEFAULT_RECIPE
        given = official_file(recipe, given)
    if given is None:
        path = find_run(recipe or DEFAULT_RECIPE, overrides)
    else:
        path = _checkpoint_in(given) if given.is_dir() else given
    by_recipe = given is not None and recipe is not None
    if path.suffix == ".onnx" and not by_recipe:
        return _exported(path, overrides)
    content, sha256 = read_hashed(path, of_others=by_recipe)
    if by_recipe:
        config = load_config(recipe, overrides)
        _compare_recipes(content, config, path, recipe)
        print(f"weights: {path}, configuration: {recipe}")
    else:
        config = configuration_of(content, path, overrides)
        print(f"weights and configuration: {path}")
    # A recipe's own weights.key and weights.partial are on the file that its training starts from.
    overridden = {word.partition("=")[0] for word in overrides}
    key = config.weights.key if overridden & {"weights", "weights.key"} else ""
    partially = config.weights.partial and bool(overridden & {"weights", "weights.partial"})
    source = content if key else averaged(content)
    return Trained(config, partial(load_weights, source=source, key=key, partial=partially,
                                   origin=str(path)), path, sha256)


def _exported(path: Path, overrides: Sequence[str]) -> Trained:
    from .exported import OnnxNetwork  # which needs this file

    if not path.is_file():
        raise UserError(f"{path}: file not found")
    network = OnnxNetwork(path, overrides)
    print(f"network and configuration: {path}, by onnxruntime")
    return TrainedElsewhere(network.config, lambda _: None, path, sha256_of(path), network)


def averaged(content: dict) -> dict:
    """Of a file's content, the moving average where a run of train.py kept one, which is printed;
    else all of it."""
    if "network" not in content or not isinstance(content.get("average"), dict):
        return content
    print("of its weights the moving average (train.ema); weights.key=network: the last ones")
    return tested_weights(content)


def _compare_recipes(content: dict, config: DictConfig, path: Path, recipe: str) -> None:
    """Note what a recipe does otherwise than the one that a checkpoint of train.py was trained by.

    Raises:
        UserError: the recipe is one of another network.
    """
    trained = content.get("config")
    if "network" not in content or not isinstance(trained, dict):
        return
    before, now = flat(trained), flat(config)
    differences = {key: f"{key}: {before.get(key)!r} in training, {now.get(key)!r} in {recipe}"
                   for key in sorted(before.keys() | now.keys())
                   if key.startswith(("model.", "data.size", "data.mean", "data.std"))
                   and before.get(key) != now.get(key)}
    problems = list(differences.values())
    if "model.name" in differences:
        raise UserError(list_problems(f"{path} was trained by another recipe", problems,
                                      "Leave --config out: a checkpoint of train.py brings its own "
                                      "configuration."))
    if problems:
        note(list_problems(f"{path} was trained by another recipe", problems,
                           "Without --config it runs as it was trained."))


def find_run(recipe: str, overrides: Sequence[str]) -> Path:
    """The best, else the last checkpoint of the recipe's run.

    Raises:
        UserError: it has none.
    """
    return _checkpoint_in(CHECKPOINTS / load_config(recipe, overrides).name,
                          f"Train them (python train.py --config {recipe}), or name a file with "
                          "--checkpoint.")


def _checkpoint_in(folder: Path,
                   advice: str = "Name a run's folder, or a file of weights.") -> Path:
    """The best, else the last checkpoint of a run's folder.

    Raises:
        UserError: the folder holds neither; ``advice`` ends the message.
    """
    for path in (folder / "best.pt", folder / "last.pt"):
        if path.is_file():
            return path
    raise UserError(f"no weights: neither best.pt nor last.pt in {folder}. {advice}")
