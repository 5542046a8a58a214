"""The papers' numbers beside ours: what counts as a match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.comparison import compare_with_papers, comparison_of
from utils.schema import ReportedNumber

from .made_rows import row


def compared(value, digits, score, verified=True, images=1000) -> dict:
    reported = ReportedNumber("ECSSD", "maxF", value, digits, "README", verified, "cpd")
    return comparison_of("ours", "paper", reported, row(maxF=score, images=images))


@pytest.mark.parametrize("value, digits, score, within, difference", [
    (.936, 3, .93551, True, "+0.000"), (.936, 3, .93649, True, "+0.000"),
    (.936, 3, .93651, False, "+0.001"), (.936, 3, .9354, False, "-0.001"),
    (.8650, 4, .86544, True, "+0.0004"), (.8650, 4, .86456, True, "-0.0004"),
    (.8650, 4, .86546, False, "+0.0005"), (.8650, 4, .865607, False, "+0.0006"),
    (.04, 3, .0404, True, "+0.000"), (.5, 3, float("nan"), None, ""),
    (.5, 3, float("inf"), None, "")])
def test_within_the_third_digit(value, digits, score, within, difference):
    comparison = compared(value, digits, score)
    assert (comparison["within_third_digit"], comparison["difference"]) == (within, difference)


numbers = st.floats(0, 1)


@given(st.integers(0, 1000), numbers, st.booleans(), st.sampled_from([1000, 998]))
def test_unverified_and_partial_numbers_never_match(thousandths, score, verified, images):
    comparison = compared(thousandths / 1000, 3, score, verified, images)
    counts = verified and images == 1000
    assert comparison["within_third_digit"] == (
        f"{score:.3f}" == f"{thousandths / 1000:.3f}" if counts else None)


@given(st.integers(0, 10000), numbers)
def test_four_digits_match_when_the_printed_numbers_are_less_than_half_a_thousandth_apart(n, score):
    comparison = compared(n / 10000, 4, score)
    apart = abs(round(float(comparison["ours"]) * 10000) - n)
    assert comparison["within_third_digit"] == (apart < 5)


def test_reported_numbers_are_held_against_their_protocols_profile(recipe):
    rows = [row(maxF=.936, MAE=.04), row("ours", "SOD", images=300, adpE=.9),
            row("ours", "SOD", "matlab", images=300, adpE=.5004)]
    first, second, third = compare_with_papers(rows, {"ours": recipe})
    assert [c["within_third_digit"] for c in (first, second, third)] == [True, None, True]
    assert (third["measure"], third["profile"], third["ours"]) == ("adpE", "matlab", "0.500")
    assert [c["score"] for c in compare_with_papers(rows[:1], {"ours": recipe}, ["SOD"])] == [None]
