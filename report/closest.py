"""Under which definition a paper's numbers agree best with ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from data.catalog import same_set
from metrics.protocols import candidates, lower_is_better
from scoring.scores import Row

from .recipes import Recipe
from .reproduction import HALF, is_partial
from .sheets import BEST, UNSURE, Cell, Sheet
from .tables import images_text

_MORE = 1e-9  # differences that are equal but for rounding


@dataclass
class Candidate:
    """A profile's measure as what a paper's measure may be.

    Attributes:
        scores: data set → ours, of the sets that were reported and scored.
        differences: data set → ours less the paper's, not rounded.
    """

    paper_measure: str
    profile: str
    measure: str
    scores: dict[str, float] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)

    @property
    def distance(self) -> float:
        """Mean size of the differences."""
        return sum(map(abs, self.differences.values())) / len(self.differences)


def closest_of(rows: Sequence[Row], method: str, recipe: Recipe) -> dict[str, list[Candidate]]:
    """The paper's measure → what it may be, nearest first; over the same data sets each, of which
    ours have all images."""
    found: dict[str, list[Candidate]] = {}
    rows = [row for row in rows if row["method"] == method and not is_partial(row)]
    for name in dict.fromkeys(reported.measure for reported in recipe.reported):
        reported = [r for r in recipe.reported if r.measure == name]
        tried = []
        for profile, measure in candidates(name):
            candidate = Candidate(name, profile, measure)
            for r in reported:
                for row in rows:
                    if row["profile"] == profile and same_set(row["dataset"], r.dataset) \
                            and math.isfinite(row.get(measure, math.nan)):
                        candidate.scores[r.dataset] = row[measure]
                        candidate.differences[r.dataset] = row[measure] - r.value
            tried.append(candidate)
        most = max(len(candidate.differences) for candidate in tried)
        tried = [c for c in tried if c.differences and len(c.differences) == most]
        if tried:
            found[name] = sorted(tried, key=lambda c: c.distance)
    return found


def closest_sheet(rows: Sequence[Row], method: str, recipe: Recipe) -> Sheet | None:
    """All candidates of all measures; None when nothing that was reported was scored."""
    found = closest_of(rows, method, recipe)
    if not found:
        return None
    sets = list(dict.fromkeys(name for tried in found.values() for c in tried
                              for name in c.differences))
    unsure = {r.measure for r in recipe.reported if r.dataset in sets and not r.verified}
    groups = [[_line(c, sets, recipe, _best(c, tried), name in unsure) for c in tried]
              for name, tried in found.items()]
    return Sheet(f"what the numbers of {recipe.paper or recipe.name} agree with best: {method}",
                 ["measure", "ours", "profile", *(f"{name} {column}" for name in sets
                                                  for column in ("reported", "ours", "difference")),
                  "mean |difference|", "nearest"], groups, words=3,
                 notes=[*_notes(found, unsure), *left_out(rows, method, recipe)])


def _best(candidate: Candidate, tried: Sequence[Candidate]) -> bool:
    return candidate.distance <= tried[0].distance + _MORE


def _line(c: Candidate, sets: Sequence[str], recipe: Recipe, best: bool,
          unsure: bool) -> list[Cell]:
    numbers = []
    for name in sets:
        reported = next((r for r in recipe.reported
                         if (r.dataset, r.measure) == (name, c.paper_measure)), None)
        numbers += ["", "", ""] if name not in c.differences else [
            f"{reported.value:.{reported.digits}f}", f"{c.scores[name]:.4f}",
            f"{c.differences[name]:+.4f}"]
    mark = UNSURE if unsure else BEST if best else ""
    return [Cell(text, mark) for text in (
        c.paper_measure + (" ?" if unsure else ""), c.measure, c.profile, *numbers,
        f"{c.distance:.4f}", "←" if best else "")]


def _notes(found: dict[str, list[Candidate]], unsure: set[str]) -> list[str]:
    notes = []
    for name, tried in found.items():
        best = [f"{c.measure} of profile {c.profile}" for c in tried if _best(c, tried)]
        notes.append(f"{name} agrees best with {' and '.join(best)}: mean |difference| "
                     f"{tried[0].distance:.4f} over {', '.join(tried[0].differences)}"
                     + (" (? not all of it verified)" if name in unsure else ""))
    errors = [c for name, tried in found.items() if lower_is_better(name) for c in tried[:1]]
    if any(Decimal(str(c.distance)) >= HALF for c in errors):
        notes.append("MAE, which hardly depends on definitions, differs in the third digit: these "
                     "may not be the maps of the paper's table, and then closeness of the others "
                     "says little")
    return notes


def left_out(rows: Sequence[Row], method: str, recipe: Recipe) -> list[str]:
    """A note on the reported sets of which only some images were scored, if there are any."""
    sets = {f"{row['dataset']} ({images_text(row)})": None for row in rows
            if row["method"] == method and is_partial(row)
            and any(same_set(row["dataset"], reported.dataset) for reported in recipe.reported)}
    return [f"{method} on {', '.join(sets)} is left out: scores of some images say nothing here"] \
        if sets else []


def closest_records(rows: Sequence[Row], method: str, recipe: Recipe) -> list[dict]:
    """For CSV and JSON."""
    found = closest_of(rows, method, recipe)
    return [{"method": method, "dataset": r.dataset, "measure": c.measure, "profile": c.profile,
             "score": c.scores[r.dataset], "paper_measure": r.measure, "recipe": recipe.name,
             "reported": f"{r.value:.{r.digits}f}", "verified": r.verified,
             "ours": f"{c.scores[r.dataset]:.4f}",
             "difference": f"{c.differences[r.dataset]:+.4f}", "mean_difference": c.distance,
             "nearest": _best(c, tried)}
            for name, tried in found.items() for c in tried for r in recipe.reported
            if r.measure == name and r.dataset in c.differences]
