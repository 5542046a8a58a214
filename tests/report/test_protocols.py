"""Protocols of published numbers, and what a paper's measure may be."""

from __future__ import annotations

import itertools

from metrics import PROFILES
from report.protocols import COLUMNS, PROTOCOLS, candidates, columns_of


def test_every_protocol_names_a_profile_and_measures_that_it_has():
    for protocol in PROTOCOLS.values():
        assert protocol.profile in PROFILES
        columns = set(columns_of(PROFILES[protocol.profile]))
        assert set(protocol.named.values()) <= columns <= set(itertools.chain(*COLUMNS.values()))


def test_what_a_paper_may_mean():
    assert ("tracer", "maxF") in candidates("F")
    assert ("tracer", "adpF") not in candidates("F")
    assert {measure for _, measure in candidates("E")} == {"maxE", "meanE", "adpE"}
    assert len(candidates("Sm")) == 3
