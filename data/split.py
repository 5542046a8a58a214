"""The pairs that a run trains on, and those that it is validated on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from omegaconf import DictConfig

from utils.errors import UserError, counted
from utils.paths import ROOT
from utils.world import World

from .checked import Checked
from .edges import edge_source, find_masks
from .map_sizes import SCORED, with_map_sizes
from .pairing import Names, Pair
from .soundness import require_sound
from .weak import find_scribbles


def codings_of(pairs: Iterable[Pair]) -> dict[str, str]:
    """Folder of masks → how they are coded, in words, of the pairs that have masks."""
    return {str(pair.mask.parent): str(pair.codings["mask"]) for pair in pairs
            if "mask" in pair.codings}


def find_data(config: DictConfig, world: World,
              checked: Checked | None = None) -> tuple[list[Pair], list[Pair]]:
    """Training and validation pairs; how many they are, and counts that surprise, are printed.

    Args:
        checked: see ``soundness.require_sound``, which reads those of the validation.
    """
    root = ROOT / config.data.root
    names = Names.of(config.data)
    find, more = (find_scribbles, {}) if config.data.target == "scribble" else \
        (find_masks, {"options": config.data, "maps": True})
    training = [pair for spec in config.data.train
                for pair in find(spec, root, config.data.edges, names, **more)]
    whole, training = len(training), evenly_spaced(training, config.data.limit)
    edges = config.data.edges if config.val.watch == "loss" else "none"
    validation = [pair for spec in config.val.data
                  for pair in find_masks(spec, root, edges, names, config.data)]
    if held_out := held_out_of(len(training), config.val.fraction):
        order = np.random.default_rng(config.seed).permutation(len(training))
        validation = [training[i] for i in sorted(order[:held_out])]
        training = [training[i] for i in sorted(order[held_out:])]
    if not training:
        raise UserError("there are no pairs to train on; check data.train")
    limited = f" (data.limit={config.data.limit} of {whole})" if config.data.limit else ""
    print(f"data: {counted(len(training), 'pair')} to train on, {len(validation)} to validate on"
          f"{limited}")
    if config.data.edges != "none":
        print(f"edges: {edge_source(config.data.edges, training)}")
    if validation and edges != "none":
        print(f"edges of the validation: {edge_source(edges, validation)}")
    require_sound(validation, "validation data", world=world, checked=checked)
    return training, with_map_sizes(validation, "validation data", SCORED, quiet=not world.main)


def evenly_spaced(pairs: list[Pair], limit: int | None) -> list[Pair]:
    """At most ``limit`` of the pairs, in their order; all without a limit."""
    if limit is None or limit >= len(pairs):
        return pairs
    return [pairs[number * len(pairs) // limit] for number in range(limit)]


def held_out_of(count: int, fraction: float) -> int:
    """How many of ``count`` pairs the share ``fraction`` is, rounded; 0 only where it is 0.

    Raises:
        UserError: it rounds to no pair, or to all of them.
    """
    number = round(count * fraction)
    if not fraction or not count or 0 < number < count:
        return number
    least, most = .505 / count, int(1000 - 505 / count) / 1000  # beyond .5, which rounds to even
    fit = f"give a fraction from {least:.3g} to {most:g}, " if count > 1 else ""
    raise UserError(f"val.fraction={fraction:g} of {counted(count, 'pair')}, rounded, is "
                    f"{number or 'none'} to validate on and {count - number or 'none'} to train "
                    f"on; {fit}name a set in val.data, or give val.fraction=0 for no validation")
