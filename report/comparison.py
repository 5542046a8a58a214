"""The papers' numbers beside ours, and the difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from data.catalog import lookup, same_set
from scoring.scores import Row
from utils.errors import counted
from utils.schema import ReportedNumber

from .protocols import PROTOCOLS
from .recipes import Recipe
from .tables import UNSURE, Cell, Table, cells, images_text

#: Half a unit of the third digit.
HALF = Decimal("0.0005")


def comparison_of(method: str, recipe: str, reported: ReportedNumber, row: Row | None) -> dict:
    """A reported number beside ours, as a record for CSV, JSON and records of runs.

    Args:
        row: the method's scores under the protocol's profile, None when there are none.

    Returns:
        ``measure``: ours, which comes nearest to ``paper_measure``. ``score``: ours, not rounded,
        None when it was not scored; ``images`` and ``expected`` as in its row, None without a row.
        ``reported`` and ``ours``: as the paper prints it, and rounded alike. ``difference``: ours
        less the paper's, of the printed numbers; empty without a finite score.
        ``within_third_digit``: whether these are less than .0005 apart; those with three digits
        are equal then. None where it does not count: the paper's number is not verified, or ours
        is of other images than the published set has.
    """
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
    return {"method": method, "dataset": reported.dataset, "measure": measure,
            "profile": protocol.profile, "images": row.get("images"),
            "expected": row.get("expected"), "score": score, "paper_measure": reported.measure,
            "reported": theirs, "ours": ours, "difference": difference,
            "within_third_digit": within, "verified": reported.verified,
            "source": reported.source, "protocol": reported.protocol, "recipe": recipe}


def is_partial(row: Row) -> bool:
    """Whether a score is of other images than the published set has."""
    entry = lookup(row["dataset"])
    return row["images"] != ((entry and entry.pairs) or row["expected"])


def compare_with_papers(rows: Sequence[Row], recipes: Mapping[str, Recipe],
                        sets: Sequence[str] = ()) -> list[dict]:
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


def comparison_tables(comparisons: Sequence[dict],
                      recipes: Mapping[str, Recipe]) -> list[Table]:
    """For each method a table reported | ours | difference, with what a reader has to know."""
    tables = []
    for method in dict.fromkeys(c["method"] for c in comparisons):
        mine, recipe = [c for c in comparisons if c["method"] == method], recipes[method]
        groups = [[comparison_line(c) for c in mine if c["dataset"] == name]
                  for name in dict.fromkeys(c["dataset"] for c in mine)]
        tables.append(Table(
            f"{method} against {recipe.paper or recipe.name} (recipe {recipe.name})",
            ["data set", "measure", "held against", "profile", "source", "images", "reported",
             "ours", "difference", "3rd digit"], groups, words=5,
            notes=[_summary(mine), *_protocol_notes(mine), *_empty(mine)]))
    return tables


def comparison_line(c: dict) -> list[Cell]:
    """The cells from the data set to the sign; ``document`` of records leaves the source out."""
    sign = "?" if not c["verified"] else "✓" if c["within_third_digit"] else ""
    return cells(c["dataset"], c["paper_measure"], c["measure"], c["profile"], c["source"],
                 images_text(c) if c["images"] is not None else "", c["reported"], c["ours"],
                 c["difference"], sign, mark="" if c["verified"] else UNSURE)


def _summary(comparisons: Sequence[dict]) -> str:
    counting = [c["within_third_digit"] for c in comparisons if c["within_third_digit"] is not None]
    text = (f"{sum(counting)} of {len(counting)} verified numbers are within the third digit "
            "(✓: as printed less than .0005 apart)")
    if unverified := sum(not c["verified"] for c in comparisons):
        text += ("; not verified, and so never a match (?, grey): "
                 f"{counted(unverified, 'reported number')}")
    if partial := dict.fromkeys(c["dataset"] for c in comparisons
                                if c["images"] is not None and is_partial(c)):
        text += ("; scores of other than all images of the published set do not count either "
                 f"({', '.join(partial)})")
    return text


def _protocol_notes(comparisons: Sequence[dict]) -> list[str]:
    """How the paper's numbers were made, and which of ours they are held against."""
    notes = []
    for name in dict.fromkeys(c["protocol"] for c in comparisons):
        ours = {c["paper_measure"]: c["measure"] for c in comparisons if c["protocol"] == name}
        renamed = ", ".join(f"{paper} is held against {measure}"
                            for paper, measure in ours.items() if paper != measure)
        notes.append(f"protocol {name}, {', '.join(ours)}: {PROTOCOLS[name].text}"
                     + (f"; {renamed}" if renamed else ""))
    if any(c["dataset"] == "PASCAL-S" for c in comparisons):
        notes.append("PASCAL-S: its original masks are grey; where they are cut moves maxF by up "
                     "to .01 and MAE by up to .003")
    return notes


def _empty(comparisons: Sequence[dict]) -> list[str]:
    """Why cells are empty."""
    unscored, left_out = {}, {}
    for c in comparisons:
        if c["images"] is None:
            unscored.setdefault(c["profile"], {})[c["dataset"]] = None
        elif c["score"] is None:
            left_out[f"{c['measure']} on {c['dataset']}"] = None
    notes = [f"not scored under profile {profile}: {', '.join(sets)}"
             for profile, sets in unscored.items()]
    return notes + ([f"left out by --measures: {', '.join(left_out)}"] if left_out else [])
