"""The built-in sample and the map that sees no image."""

from __future__ import annotations

import numpy as np

from data import find_pairs
from data.catalog import known_sets
from data.pairing import list_images
from data.sample import centre_prior, draw_pair, write_sample


def test_the_sample_is_what_the_catalog_says(tmp_path):
    write_sample(tmp_path)
    for name in ("SAMPLE-TR", "SAMPLE-TE"):
        assert len(find_pairs(name, tmp_path)) == known_sets()[name].pairs
    assert {p.name for p in list_images(tmp_path / "SAMPLE-TE/masks")}


def test_the_sample_is_a_function_of_its_seed():
    first, again, second = (draw_pair(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert first[0].shape != second[0].shape or (first[0] != second[0]).any()
    assert set(np.unique(first[1])) == {0, 255}


def test_the_centre_prior_is_brightest_in_the_middle():
    prior = centre_prior(31, 21)
    assert prior[15, 10] == 255
    assert prior[0, 0] < 40
    assert (prior == prior[::-1, ::-1]).all()
