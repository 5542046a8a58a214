"""What a run trains on and what it is validated on."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from data.split import find_data, held_out_of
from utils.config import merge_config
from utils.errors import UserError
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


@pytest.mark.parametrize("limit, names", [(3, [0, 3, 6]), (10, range(10)), (99, range(10))])
def test_a_limit_takes_pairs_from_all_over_the_sets(made_sets, capsys, limit, names):
    config = merge_config({"data": {"root": str(made_sets), "train": ["TINY-TR"], "limit": limit}})
    training, _ = find_data(config, World())
    assert [pair.name for pair in training] == [f"{number:02d}" for number in names]
    assert f"(data.limit={limit} of 10)" in capsys.readouterr().out


def test_a_share_is_held_out_of_the_limited_pairs(made_sets):
    config = merge_config({"data": {"root": str(made_sets), "train": ["TINY-TR"], "limit": 5},
                           "val": {"fraction": 0.4}})
    training, validation = ({pair.name for pair in part} for part in find_data(config, World()))
    assert (len(training), len(validation)) == (3, 2)
    assert training | validation == {"00", "02", "04", "06", "08"}


@pytest.mark.parametrize("count, fraction, message", [
    (4, 0.1, "of 4 pairs, rounded, is none to validate on and 4 to train on; give a fraction from "
     "0.126 to 0.873"), (4, 0.9, "is 4 to validate on and none to train on"), (1, 0.5, "1 pair,")])
def test_a_held_out_share_of_no_pair_or_of_all_is_refused(count, fraction, message):
    with pytest.raises(UserError, match=message):
        held_out_of(count, fraction)


@pytest.mark.parametrize("count", [2, 3, 4, 7, 10, 1000, 10553])
def test_the_shares_that_the_message_names_hold_out_a_pair_and_leave_one(count):
    with pytest.raises(UserError) as error:
        held_out_of(count, 1e-9)
    least, most = map(float, re.search(r"from (\S+) to (\S+),", str(error.value)).groups())
    assert held_out_of(count, least) == 1
    assert least < most < 1
    assert held_out_of(count, most) < count
    assert held_out_of(count, 0.0) == 0


def test_a_validation_that_rounds_to_no_image_stops_the_run(made_sets):
    config = merge_config({"data": {"root": str(made_sets), "train": ["TINY-TR"]},
                           "val": {"fraction": 0.04}})
    with pytest.raises(UserError, match=r"val.fraction=0.04 of 10 pairs.* a fraction from 0.05"):
        find_data(config, World())
