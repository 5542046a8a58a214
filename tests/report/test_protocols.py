"""Protocols of published numbers, and what a paper's measure may be."""

from __future__ import annotations

import itertools

import numpy as np

from metrics import CORE, PROFILES, Evaluator
from report.protocols import COLUMNS, PROTOCOLS, candidates, columns_of, same_definition


def test_every_protocol_names_a_profile_and_measures_that_it_has():
    for protocol in PROTOCOLS.values():
        assert protocol.profile in PROFILES
        columns = set(columns_of(PROFILES[protocol.profile]))
        assert set(protocol.guessed) <= set(protocol.named)
        assert set(protocol.named.values()) <= columns <= set(itertools.chain(*COLUMNS.values()))


def test_what_a_paper_may_mean():
    assert ("tracer", "maxF") in candidates("F")
    assert ("tracer", "adpF") not in candidates("F")
    assert {measure for _, measure in candidates("E")} == {"maxE", "meanE", "adpE"}
    assert len(candidates("Sm")) == 3


def test_scores_of_the_same_definition_are_the_same_numbers():
    random, scores = np.random.default_rng(0), {}
    maps = [(random.integers(20, 230, (24, 32), np.uint8),
             np.uint8(255) * (random.random((24, 32)) < share)) for share in (.1, .6)]
    for name, profile in PROFILES.items():
        evaluator = Evaluator(profile=name, measures=tuple(
            measure for measure in profile.measures if measure in CORE))
        for number, pair in enumerate(maps):
            evaluator.update(str(number), *pair)
        scores[name] = evaluator.compute()
    same = {(a, b, column) for a in PROFILES for b in PROFILES for column in scores[a]
            if a < b and same_definition(column, PROFILES[a], PROFILES[b])}
    assert same == {("matlab", "pysodmetrics", column)
                    for column in ("MAE", "meanF", "adpF", "wF", "Sm")}
    for a, b, column in same:
        assert scores[a][column] == scores[b][column]
    assert not same_definition("binIoU", PROFILES["matlab"], PROFILES["pysodmetrics"])
    assert same_definition("binIoU", PROFILES["pysodmetrics"], PROFILES["pysodmetrics"])
