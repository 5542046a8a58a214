"""The paper's number, ours, and the difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from data.catalog import lookup, same_set
from metrics.protocols import PROTOCOLS
from scoring.scores import Row
from utils.schema import Reported

from .recipes import Recipe
from .sheets import UNSURE, Cell, Sheet
from .tables import images_text

#: Half a unit of the third digit.
HALF = Decimal("0.0005")
_SET_NOTES = {"PASCAL-S": "PASCAL-S: its original masks are grey; where they are cut moves maxF by "
                          "up to .01 and MAE by up to .003"}


@dataclass(frozen=True)
class Comparison:
    """A reported number beside ours, which is rounded as the paper prints it.

    Attributes:
        measure: our measure, which comes nearest to the paper's ``reported.measure``.
        row: our scores under the protocol's profile; None when there are none.
    """

    method: str
    recipe: Recipe
    reported: Reported
    row: Row | None

    @property
    def measure(self) -> str:
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
    def counts(self) -> bool:
        """Whether it can be a match: the paper's number was verified, ours is of all images."""
        return self.reported.verified and self.difference is not None and not self.partial

    @property
    def partial(self) -> bool:
        """Whether ours is of other images than the published set has."""
        return self.row is not None and is_partial(self.row)

    @property
    def within(self) -> bool:
        """Whether the two agree within the third digit: printed numbers less than .0005 apart.

        Of numbers with three digits that says that they are equal.
        """
        return self.counts and abs(self.difference) < HALF


def is_partial(row: Row) -> bool:
    """Whether a score is of other images than the published set has."""
    entry = lookup(row["dataset"])
    return row["images"] != (entry.pairs if entry else row["expected"])


def compare_with_papers(rows: Sequence[Row], recipes: Mapping[str, Recipe],
                        data: Sequence[str] = ()) -> list[Comparison]:
    """All reported numbers of the rows' methods, on ``data`` or on every set."""
    found = []
    for method, recipe in recipes.items():
        for reported in recipe.reported:
            if data and not any(same_set(name, reported.dataset) for name in data):
                continue
            profile = PROTOCOLS[reported.protocol].profile
            row = next((row for row in rows if row["method"] == method
                        and row["profile"] == profile
                        and same_set(row["dataset"], reported.dataset)), None)
            found.append(Comparison(method, recipe, reported, row))
    return found


def comparison_sheets(comparisons: Sequence[Comparison]) -> list[Sheet]:
    """For each method a sheet reported | ours | difference, and what there is to know of it."""
    methods = list(dict.fromkeys(c.method for c in comparisons))
    return [_sheet([c for c in comparisons if c.method == method]) for method in methods]


def _sheet(comparisons: Sequence[Comparison]) -> Sheet:
    recipe = comparisons[0].recipe
    sets = list(dict.fromkeys(c.reported.dataset for c in comparisons))
    groups = [[_line(c) for c in comparisons if c.reported.dataset == name] for name in sets]
    return Sheet(f"{comparisons[0].method} against {recipe.paper or recipe.name} "
                 f"(recipe {recipe.name})",
                 ["data set", "measure", "held against", "profile", "source", "images",
                  "reported", "ours", "difference", "3rd digit"], groups, words=5,
                 notes=[_summary(comparisons), *_protocol_notes(comparisons), *_empty(comparisons)])


def _line(c: Comparison) -> list[Cell]:
    mark = "" if c.reported.verified else UNSURE
    sign = "?" if not c.reported.verified else "✓" if c.within else ""
    texts = [c.reported.dataset, c.reported.measure, c.measure, c.profile, c.reported.source,
             images_text(c.row) if c.row else "", c.reported_text, c.ours_text, c.difference_text,
             sign]
    return [Cell(text, mark) for text in texts]


def _summary(comparisons: Sequence[Comparison]) -> str:
    able = [c for c in comparisons if c.counts]
    unverified = sum(not c.reported.verified for c in comparisons)
    text = (f"{sum(c.within for c in able)} of {len(able)} verified numbers are within the third "
            "digit (✓: as printed less than .0005 apart)")
    if unverified:
        text += (f"; {unverified} reported numbers are not verified (?, grey) and never count as "
                 "a match")
    if parts := {c.reported.dataset: None for c in comparisons if c.partial}:
        text += ("; scores of other than all images of the published set do not count either "
                 f"({', '.join(parts)})")
    return text


def _protocol_notes(comparisons: Sequence[Comparison]) -> list[str]:
    """How the paper's numbers were made, and which of ours stand for what."""
    notes = []
    for name in dict.fromkeys(c.reported.protocol for c in comparisons):
        made = {c.reported.measure: c.measure for c in comparisons if c.reported.protocol == name}
        renamed = ", ".join(f"{paper} is held against {ours}" for paper, ours in made.items()
                            if paper != ours)
        notes.append(f"protocol {name}, {', '.join(made)}: {PROTOCOLS[name].text}"
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


def comparison_records(comparisons: Sequence[Comparison]) -> list[dict]:
    """For CSV and JSON; numbers are those of the sheets, and ``score`` is ours not rounded."""
    return [{"method": c.method, "dataset": c.reported.dataset, "measure": c.measure,
             "profile": c.profile, "images": c.row and c.row["images"],
             "expected": c.row and c.row["expected"], "score": c.score,
             "paper_measure": c.reported.measure, "reported": c.reported_text,
             "ours": c.ours_text, "difference": c.difference_text,
             "within_third_digit": c.within if c.counts else None,
             "verified": c.reported.verified, "source": c.reported.source,
             "protocol": c.reported.protocol, "recipe": c.recipe.name} for c in comparisons]
