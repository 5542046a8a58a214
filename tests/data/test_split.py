"""What a run trains on and what it is validated on."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from data.split import find_data
from utils.config import merge_config
from utils.world import World

from .made import save


@pytest.mark.parametrize("edges, source", [("auto", "mask"), ("mask_canny", "mask_canny"),
                                           ("files", "files"), ("none", None)])
def test_a_held_out_share_leaves_the_others_their_edges(sets, capsys, edges, source):
    if edges == "files":
        for mask in (sets / "TINY-TR/masks").iterdir():
            save(sets / "TINY-TR/edges" / mask.name, np.array(Image.open(mask)))
    config = merge_config({"data": {"root": str(sets), "train": ["TINY-TR"], "edges": edges},
                           "val": {"fraction": 0.2}})
    training, validation = find_data(config, World())
    assert (len(training), len(validation)) == (8, 2)
    assert all((pair.edge is not None) == (edges == "files") for pair in training)
    log = capsys.readouterr().out
    assert (f"edges: {source}" in log) if source else ("edges:" not in log)


def test_a_held_out_share_follows_the_seed_and_is_not_trained_on(made_sets):
    parts = []
    for seed in (1, 1, 2):
        config = merge_config({"data": {"root": str(made_sets), "train": ["TINY-TR"]},
                               "seed": seed, "val": {"fraction": 0.3}})
        training, validation = ([pair.name for pair in part] for part in find_data(config, World()))
        assert len(validation) == 3
        assert sorted(training + validation) == [f"{number:02d}" for number in range(10)]
        parts.append(validation)
    assert parts[0] == parts[1] != parts[2]
