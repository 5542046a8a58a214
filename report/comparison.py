"""The papers' numbers beside ours, and the difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from data.catalog import lookup, same_set
from scoring.scores import Row
from utils.schema import Reported

from .protocols import PROTOCOLS
from .recipes import Recipe
from .tables import UNSURE, Cell, Table, cells, images_text

#: Half a unit of the third digit.
HALF = Decimal("0.0005")
_SET_NOTES = {"PASCAL-S": "PASCAL-S: its original masks are grey; where they are cut moves maxF by "
                          "up to .01 and MAE by up to .003"}


@dataclass(frozen=True)
class Comparison:
    """A reported number beside ours. The fields are the keys of CSV, JSON and records of runs.

    Attributes:
        measure: ours, which comes nearest to ``paper_measure``.
        profile: the protocol's, under which ours is scored.
        images, expected: of our scores; None when there are none.
        score: ours, not rounded; None when it was not scored.
        reported, ours: as the paper prints it, and rounded alike; ``ours`` may be empty.
        difference: ours less the paper's, of the printed numbers; empty without a finite score.
        within_third_digit: whether the printed numbers are less than .0005 apart; those with three
            digits are equal then. None where it does not count: the paper's number is not
            verified, or ours is of other images than the published set has.
    """

    method: str
    dataset: str
    measure: str
    profile: str
    images: int | None
    expected: int | None
    score: float | None
    paper_measure: str
    reported: str
    ours: str
    difference: str
    within_third_digit: bool | None
    verified: bool
    source: str
    protocol: str
    recipe: str


def comparison_of(method: str, recipe: str, reported: Reported, row: Row | None) -> Comparison:
    """``row``: the method's scores under the protocol's profile, None when there are none."""
    protocol, row = PROTOCOLS[reported.protocol], row or {}
    measure = protocol.measure(reported.measure)
    score, within, difference = row.get(measure), None, ""
    theirs = f"{reported.value:.{reported.digits}f}"
    ours = "" if score is None else f"{score:.{reported.digits}f}"
    if score is not None and math.isfinite(score):
        apart = Decimal(ours) - Decimal(theirs)
        difference = f"{apart:+}"
        if reported.verified and not is_partial(row):
            within = abs(apart) < HALF
    return Comparison(method, reported.dataset, measure, protocol.profile, row.get("images"),
                      row.get("expected"), score, reported.measure, theirs, ours, difference,
                      within, reported.verified, reported.source, reported.protocol, recipe)


def is_partial(row: Row) -> bool:
    """Whether a score is of other images than the published set has."""
    entry = lookup(row["dataset"])
    return row["images"] != (entry.pairs if entry else row["expected"])


def compare_with_papers(rows: Sequence[Row], recipes: Mapping[str, Recipe],
                        sets: Sequence[str] = ()) -> list[Comparison]:
    """All reported numbers of the rows' methods, on ``sets`` or, without any, on every set."""
    comparisons = []
    for method, recipe in recipes.items():
        for reported in recipe.reported:
            if sets and not any(same_set(name, reported.dataset) for name in sets):
                continue
            profile = PROTOCOLS[reported.protocol].profile
            row = next((row for row in rows if row["method"] == method
                        and row["profile"] == profile
                        and same_set(row["dataset"], reported.dataset)), None)
            comparisons.append(comparison_of(method, recipe.name, reported, row))
    return comparisons


def comparison_tables(comparisons: Sequence[Comparison],
                      recipes: Mapping[str, Recipe]) -> list[Table]:
    """For each method a table reported | ours | difference, with what a reader has to know."""
    tables = []
    for method in dict.fromkeys(c.method for c in comparisons):
        mine, recipe = [c for c in comparisons if c.method == method], recipes[method]
        groups = [[comparison_line(c) for c in mine if c.dataset == name]
                  for name in dict.fromkeys(c.dataset for c in mine)]
        tables.append(Table(
            f"{method} against {recipe.paper or recipe.name} (recipe {recipe.name})",
            ["data set", "measure", "held against", "profile", "source", "images", "reported",
             "ours", "difference", "3rd digit"], groups, words=5,
            notes=[_summary(mine), *_protocol_notes(mine), *_empty(mine)]))
    return tables


def comparison_line(c: Comparison) -> list[Cell]:
    """The cells from the data set to the sign; ``document`` of records leaves the source out."""
    sign = "?" if not c.verified else "✓" if c.within_third_digit else ""
    return cells(c.dataset, c.paper_measure, c.measure, c.profile, c.source,
                 images_text(vars(c)) if c.images is not None else "", c.reported, c.ours,
                 c.difference, sign, mark="" if c.verified else UNSURE)


def _summary(comparisons: Sequence[Comparison]) -> str:
    counting = [c.within_third_digit for c in comparisons if c.within_third_digit is not None]
    text = (f"{sum(counting)} of {len(counting)} verified numbers are within the third digit "
            "(✓: as printed less than .0005 apart)")
    if unverified := sum(not c.verified for c in comparisons):
        text += (f"; {unverified} reported numbers are not verified (?, grey) and never count as "
                 "a match")
    if partial := dict.fromkeys(c.dataset for c in comparisons
                                if c.images is not None and is_partial(vars(c))):
        text += ("; scores of other than all images of the published set do not count either "
                 f"({', '.join(partial)})")
    return text


def _protocol_notes(comparisons: Sequence[Comparison]) -> list[str]:
    """How the paper's numbers were made, and which of ours they are held against."""
    notes = []
    for name in dict.fromkeys(c.protocol for c in comparisons):
        ours = {c.paper_measure: c.measure for c in comparisons if c.protocol == name}
        renamed = ", ".join(f"{paper} is held against {measure}"
                            for paper, measure in ours.items() if paper != measure)
        notes.append(f"protocol {name}, {', '.join(ours)}: {PROTOCOLS[name].text}"
                     + (f"; {renamed}" if renamed else ""))
    sets = {c.dataset for c in comparisons}
    return notes + [text for name, text in _SET_NOTES.items() if name in sets]


def _empty(comparisons: Sequence[Comparison]) -> list[str]:
    """Why cells are empty."""
    unscored, left_out = {}, {}
    for c in comparisons:
        if c.images is None:
            unscored.setdefault(c.profile, {})[c.dataset] = None
        elif c.score is None:
            left_out[f"{c.measure} on {c.dataset}"] = None
    notes = [f"not scored under profile {profile}: {', '.join(sets)}"
             for profile, sets in unscored.items()]
    return notes + ([f"left out by --measures: {', '.join(left_out)}"] if left_out else [])
