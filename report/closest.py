"""Under which definition a paper's numbers agree best with ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from data.catalog import same_set
from metrics import lower_is_better
from scoring.scores import Row

from .comparison import HALF, is_partial
from .protocols import candidates
from .recipes import Recipe
from .tables import BEST, UNSURE, Cell, Table, cells, images_text

_ROUNDING = 1e-9  # differences that are no further apart are equal


@dataclass
class Candidate:
    """A measure of ours, under a profile, that a paper's measure may be.

    Attributes:
        scores: data set → ours, of the sets that were reported and scored.
        differences: data set → ours less the paper's, not rounded.
        nearest: whether no other candidate for the paper's measure is nearer.
    """

    paper_measure: str
    profile: str
    measure: str
    scores: dict[str, float] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    nearest: bool = False

    @property
    def distance(self) -> float:
        """Mean size of the differences."""
        return sum(map(abs, self.differences.values())) / len(self.differences)


def closest_of(rows: Sequence[Row], method: str, recipe: Recipe) -> dict[str, list[Candidate]]:
    """The paper's measure → what it may be, nearest first.

    All candidates of a measure are compared on the same data sets, of which ours have all images.
    """
    closest: dict[str, list[Candidate]] = {}
    rows = [row for row in rows if row["method"] == method and not is_partial(row)]
    for name in dict.fromkeys(reported.measure for reported in recipe.reported):
        tried = [Candidate(name, profile, measure) for profile, measure in candidates(name)]
        for candidate in tried:
            for reported in recipe.reported:
                for row in rows:
                    score = row.get(candidate.measure, math.nan)
                    if reported.measure == name and row["profile"] == candidate.profile \
                            and same_set(row["dataset"], reported.dataset) and math.isfinite(score):
                        candidate.scores[reported.dataset] = score
                        candidate.differences[reported.dataset] = score - reported.value
        most = max(len(candidate.differences) for candidate in tried)
        if most:
            tried = [c for c in tried if len(c.differences) == most]
            closest[name] = sorted(tried, key=lambda c: c.distance)
            for candidate in tried:
                candidate.nearest = candidate.distance <= closest[name][0].distance + _ROUNDING
    return closest


def closest_table(closest: dict[str, list[Candidate]], method: str, recipe: Recipe) -> Table:
    """All candidates of all measures, at least one."""
    sets = list(dict.fromkeys(name for tried in closest.values() for c in tried
                              for name in c.differences))
    unsure = {r.measure for r in recipe.reported if r.dataset in sets and not r.verified}
    groups = [[_line(c, sets, recipe, name in unsure) for c in tried]
              for name, tried in closest.items()]
    return Table(f"what the numbers of {recipe.paper or recipe.name} agree with best: {method}",
                 ["measure", "ours", "profile", *(f"{name} {column}" for name in sets
                                                  for column in ("reported", "ours", "difference")),
                  "mean |difference|", "nearest"], groups, words=3,
                 notes=_notes(closest, unsure))


def _line(c: Candidate, sets: Sequence[str], recipe: Recipe, unsure: bool) -> list[Cell]:
    numbers = []
    for name in sets:
        reported = next((r for r in recipe.reported
                         if (r.dataset, r.measure) == (name, c.paper_measure)), None)
        numbers += ["", "", ""] if name not in c.differences else [
            f"{reported.value:.{reported.digits}f}", f"{c.scores[name]:.4f}",
            f"{c.differences[name]:+.4f}"]
    return cells(c.paper_measure + (" ?" if unsure else ""), c.measure, c.profile, *numbers,
                 f"{c.distance:.4f}", "←" if c.nearest else "",
                 mark=UNSURE if unsure else BEST if c.nearest else "")


def _notes(closest: dict[str, list[Candidate]], unsure: set[str]) -> list[str]:
    notes = []
    for name, tried in closest.items():
        best = [f"{c.measure} of profile {c.profile}" for c in tried if c.nearest]
        notes.append(f"{name} agrees best with {' and '.join(best)}: mean |difference| "
                     f"{tried[0].distance:.4f} over {', '.join(tried[0].differences)}"
                     + (" (? not all of it verified)" if name in unsure else ""))
    if any(lower_is_better(name) and Decimal(str(tried[0].distance)) >= HALF
           for name, tried in closest.items()):
        notes.append("MAE, which hardly depends on definitions, differs in the third digit: these "
                     "may not be the maps of the paper's table, and then closeness of the others "
                     "says little")
    return notes


def closest_records(closest: dict[str, list[Candidate]], method: str,
                    recipe: Recipe) -> list[dict]:
    """The same for CSV and JSON."""
    return [{"method": method, "dataset": r.dataset, "measure": c.measure, "profile": c.profile,
             "score": c.scores[r.dataset], "paper_measure": r.measure, "recipe": recipe.name,
             "reported": f"{r.value:.{r.digits}f}", "verified": r.verified,
             "ours": f"{c.scores[r.dataset]:.4f}",
             "difference": f"{c.differences[r.dataset]:+.4f}", "mean_difference": c.distance,
             "nearest": c.nearest}
            for tried in closest.values() for c in tried for r in recipe.reported
            if r.measure == c.paper_measure and r.dataset in c.differences]


def left_out(rows: Sequence[Row], method: str, recipe: Recipe) -> list[str]:
    """A note on the reported sets of which only some images were scored, if there are any."""
    sets = dict.fromkeys(f"{row['dataset']} ({images_text(row)})" for row in rows
                         if row["method"] == method and is_partial(row)
                         and any(same_set(row["dataset"], reported.dataset)
                                 for reported in recipe.reported))
    return [f"{method} on {', '.join(sets)} is left out: scores of some images say nothing here"] \
        if sets else []
