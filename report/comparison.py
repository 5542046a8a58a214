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
    """A reported number beside ours, which is rounded as the paper prints it.

    Attributes:
        row: our scores under the protocol's profile; None when there are none.
    """

    method: str
    recipe: Recipe
    reported: Reported
    row: Row | None

    @property
    def measure(self) -> str:
        """Our measure, which comes nearest to the paper's ``reported.measure``."""
        return PROTOCOLS[self.reported.protocol].measure(self.reported.measure)

    @property
    def profile(self) -> str:
        return PROTOCOLS[self.reported.protocol].profile

    @property
    def score(self) -> float | None:
        """Ours, not rounded."""
        return None if self.row is None else self.row.get(self.measure)

    @property
    def reported_text(self) -> str:
        return f"{self.reported.value:.{self.reported.digits}f}"

    @property
    def ours_text(self) -> str:
        return "" if self.score is None else f"{self.score:.{self.reported.digits}f}"

    @property
    def difference(self) -> Decimal | None:
        """Ours less the paper's, of the numbers as they are printed."""
        if self.score is None or not math.isfinite(self.score):
            return None
        return Decimal(self.ours_text) - Decimal(self.reported_text)

    @property
    def difference_text(self) -> str:
        return "" if self.difference is None else f"{self.difference:+}"

    @property
    def partial(self) -> bool:
        """Whether ours is of other images than the published set has."""
        return self.row is not None and is_partial(self.row)

    @property
    def counts(self) -> bool:
        """Whether it can be a match: the paper's number was verified, ours is of all images."""
        return self.reported.verified and self.difference is not None and not self.partial

    @property
    def within(self) -> bool:
        """Whether the two agree within the third digit: printed numbers less than .0005 apart.

        Numbers with three digits are equal then.
        """
        return self.counts and abs(self.difference) < HALF

    @property
    def record(self) -> dict:
        """For CSV and JSON: numbers as in the table, and ``score`` is ours not rounded."""
        return {"method": self.method, "dataset": self.reported.dataset, "measure": self.measure,
                "profile": self.profile, "images": self.row and self.row["images"],
                "expected": self.row and self.row["expected"], "score": self.score,
                "paper_measure": self.reported.measure, "reported": self.reported_text,
                "ours": self.ours_text, "difference": self.difference_text,
                "within_third_digit": self.within if self.counts else None,
                "verified": self.reported.verified, "source": self.reported.source,
                "protocol": self.reported.protocol, "recipe": self.recipe.name}


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
            comparisons.append(Comparison(method, recipe, reported, row))
    return comparisons


def comparison_tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """For each method a table reported | ours | difference, with what a reader has to know."""
    methods = dict.fromkeys(c.method for c in comparisons)
    return [_table([c for c in comparisons if c.method == method]) for method in methods]


def _table(comparisons: Sequence[Comparison]) -> Table:
    recipe = comparisons[0].recipe
    groups = [[_line(c) for c in comparisons if c.reported.dataset == name]
              for name in dict.fromkeys(c.reported.dataset for c in comparisons)]
    return Table(f"{comparisons[0].method} against {recipe.paper or recipe.name} "
                 f"(recipe {recipe.name})",
                 ["data set", "measure", "held against", "profile", "source", "images",
                  "reported", "ours", "difference", "3rd digit"], groups, words=5,
                 notes=[_summary(comparisons), *_protocol_notes(comparisons), *_empty(comparisons)])


def _line(c: Comparison) -> list[Cell]:
    sign = "?" if not c.reported.verified else "✓" if c.within else ""
    return cells(c.reported.dataset, c.reported.measure, c.measure, c.profile, c.reported.source,
                 images_text(c.row) if c.row else "", c.reported_text, c.ours_text,
                 c.difference_text, sign, mark="" if c.reported.verified else UNSURE)


def _summary(comparisons: Sequence[Comparison]) -> str:
    counting = [c for c in comparisons if c.counts]
    text = (f"{sum(c.within for c in counting)} of {len(counting)} verified numbers are within the "
            "third digit (✓: as printed less than .0005 apart)")
    if unverified := sum(not c.reported.verified for c in comparisons):
        text += (f"; {unverified} reported numbers are not verified (?, grey) and never count as "
                 "a match")
    if partial := dict.fromkeys(c.reported.dataset for c in comparisons if c.partial):
        text += ("; scores of other than all images of the published set do not count either "
                 f"({', '.join(partial)})")
    return text


def _protocol_notes(comparisons: Sequence[Comparison]) -> list[str]:
    """How the paper's numbers were made, and which of ours they are held against."""
    notes = []
    for name in dict.fromkeys(c.reported.protocol for c in comparisons):
        ours = {c.reported.measure: c.measure for c in comparisons if c.reported.protocol == name}
        renamed = ", ".join(f"{paper} is held against {measure}"
                            for paper, measure in ours.items() if paper != measure)
        notes.append(f"protocol {name}, {', '.join(ours)}: {PROTOCOLS[name].text}"
                     + (f"; {renamed}" if renamed else ""))
    sets = {c.reported.dataset for c in comparisons}
    return notes + [text for name, text in _SET_NOTES.items() if name in sets]


def _empty(comparisons: Sequence[Comparison]) -> list[str]:
    """Why cells are empty."""
    unscored, left_out = {}, {}
    for c in comparisons:
        if c.row is None:
            unscored.setdefault(c.profile, {})[c.reported.dataset] = None
        elif c.score is None:
            left_out[f"{c.measure} on {c.reported.dataset}"] = None
    notes = [f"not scored under profile {profile}: {', '.join(sets)}"
             for profile, sets in unscored.items()]
    return notes + ([f"left out by --measures: {', '.join(left_out)}"] if left_out else [])
