"""What a run is made of, before its first step: configuration, data, weights, checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import torch
from omegaconf import DictConfig

import model
from data import Pair
from data.checked import Checked
from data.fingerprint import fingerprint
from data.joint import find_edge_pairs
from data.loader import training_loader
from data.native import require_one_by_one, require_sizes
from data.split import find_data
from utils.config import flat
from utils.errors import UserError
from utils.weights import initialise, read_file
from utils.world import World

from .checkpoint import checkpoint_to_resume, require_same_pairs
from .contents import part_of, require_alike
from .norm import synchronise
from .precision import Precision
from .run import Run
from .seed import set_seed
from .summary import print_summary
from .views import require_views


class Start(NamedTuple):
    """How a run is to begin: on from its last checkpoint, if there is one or only with one, or
    anew in place of an earlier run of its name."""

    resume: bool = False
    resume_if_any: bool = False
    overwrite: bool = False


class Prepared(NamedTuple):
    """A run before its first step, or its next.

    Attributes:
        training, validation: the pairs that it is trained and validated on.
        anew: whether it begins, rather than goes on from a checkpoint.
    """

    run: Run
    training: list[Pair]
    validation: list[Pair]
    anew: bool


def prepare(config: DictConfig, device: torch.device, world: World, folder: Path,
            checked: Checked, start: Start) -> Prepared:
    """The run of a folder, new or as its checkpoint left it. Nothing is written there.

    Args:
        checked: remembers which training files were sound.

    Raises:
        UserError: a configuration, files or weights that do not fit, or a checkpoint of another
            run.
    """
    precision = Precision(config.train.precision, device)
    print(f"device: {device}, precision: {precision.name}, processes: {world.size}, "
          f"threads of each: {torch.get_num_threads()}")
    require_text(config)
    require_one_by_one(config)
    require_views(config)
    objective = model.objective_of(config)
    with world.main_first():
        path = checkpoint_to_resume(folder, config, *start) if world.main else None
    path = world.gather(path)[0]
    resumed = read_file(path) if path else None
    set_seed(config.seed)
    network = model.from_recipe(config)
    with world.main_first():
        model.require_outputs(network, objective)
    training, validation = find_data(config, world, checked)
    edges = find_edge_pairs(config)
    pairs = {use: fingerprint(members, world) for use, members in
             (("training", [*training, *edges]), ("validation", validation))}
    if resumed is not None:
        with world.main_first():
            require_same_pairs(resumed.get("pairs"), pairs, path)
            with part_of(path, "network"):
                require_alike(resumed["network"], network.state_dict())
    with world.main_first():
        initialise(network, config.weights, resumed)
        if resumed is None and config.weights.backbone != "none" and not config.weights.network:
            model.note_convention(network, config)
    if config.train.sync_norm and world.size > 1:
        network = synchronise(network, device)
    network = precision.place(network)
    with world.main_first():
        loader = training_loader(training, config.data, config.train.batch, config.seed, device,
                                 world.rank, world.size, objective.targets, edges)
    loader.data.require_layers(objective.targets)
    loader.data.require_sound("training data", world, checked)
    require_sizes([*training, *edges, *validation], config.data.size, network.require_size)
    if world.rank:  # dropout must draw other units in each process
        set_seed(config.seed + world.rank)
    run = Run(config, network, objective, loader, folder, precision, world, pairs)
    if world.main:
        print_summary(network, loader.data.usual_size)
    if resumed is not None:  # before the folder is written to: what does not fit changes nothing
        run.restore(resumed, path)
    return Prepared(run, training, validation, anew=resumed is None)


def require_text(config: DictConfig) -> None:
    """Raise a UserError if a value is a file's name that is not UTF-8: a run keeps its
    configuration as YAML, which has no such text."""
    for key, value in flat(config).items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise UserError(f"{key} = {value}: this name is not UTF-8 and cannot be kept with the "
                            "run; rename the file or folder, or name a link to it") from None
