"""The pairs that a run trains on, and those that it is validated on."""

from __future__ import annotations

import numpy as np
from omegaconf import DictConfig

from utils.errors import UserError
from utils.paths import ROOT
from utils.world import World

from .edges import edge_source, find_masks
from .pairing import Names, Pair
from .soundness import require_sound
from .weak import find_scribbles


def find_data(config: DictConfig, world: World) -> tuple[list[Pair], list[Pair]]:
    """Training and validation pairs; how many they are, and counts that surprise, are printed."""
    root = ROOT / config.data.root
    find = find_scribbles if config.data.target == "scribble" else find_masks
    names = Names.of(config.data)
    training = [pair for spec in config.data.train
                for pair in find(spec, root, config.data.edges, names)]
    edges = config.data.edges if config.val.watch == "loss" else "none"
    validation = [pair for spec in config.val.data for pair in find_masks(spec, root, edges, names)]
    held_out = round(len(training) * config.val.fraction)
    if held_out:
        order = np.random.default_rng(config.seed).permutation(len(training))
        validation = [training[i] for i in sorted(order[:held_out])]
        training = [training[i] for i in sorted(order[held_out:])]
    if not training:
        raise UserError("no training pairs are left; check data.train and val.fraction")
    print(f"data: {len(training)} pairs to train on, {len(validation)} to validate on")
    if config.data.edges != "none":
        print(f"edges: {edge_source(config.data.edges, training)}")
    if validation and edges != "none":
        print(f"edges of the validation: {edge_source(edges, validation)}")
    require_sound(validation, "validation data", world=world)
    return training, validation
