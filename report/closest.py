"""Under which definition a paper's numbers agree best with ours."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from data.catalog import same_set
from metrics import lower_is_better
from scoring.scores import Row

from .comparison import HALF, is_partial
from .protocols import candidates
from .recipes import Recipe
from .tables import BEST, UNSURE, Table, cells, images_text

_ROUNDING = 1e-9  # differences that are no further apart are equal


def closest_of(rows: Sequence[Row], method: str, recipe: Recipe) -> list[dict]:
    """What each of the paper's measures may be, nearest first, as records for CSV and JSON.

    All candidates of a measure are compared on the same data sets, of which ours have all images.

    Returns:
        A record for each reported number and candidate. ``score`` is ours, not rounded, and
        ``mean_difference`` the mean size of the candidate's differences over the data sets;
        ``nearest``: no other candidate for the paper's measure is nearer.
    """
    records = []
    rows = [row for row in rows if row["method"] == method and not is_partial(row)]
    for name in dict.fromkeys(reported.measure for reported in recipe.reported):
        tried = [_compared(rows, method, recipe, name, *candidate)
                 for candidate in candidates(name)]
        sets = [record["dataset"] for record in max(tried, key=len)]
        tried = [lines for lines in tried if [record["dataset"] for record in lines] == sets]
        tried = sorted(itertools.chain(*tried), key=lambda record: record["mean_difference"])
        records += [record | {"nearest": record["mean_difference"]
                              <= tried[0]["mean_difference"] + _ROUNDING} for record in tried]
    return records


def _compared(rows: Sequence[Row], method: str, recipe: Recipe, name: str, profile: str,
              measure: str) -> list[dict]:
    """The paper's measure ``name`` against ``measure`` under a profile, on each data set."""
    scores = [(reported, row[measure]) for reported in recipe.reported for row in rows
              if reported.measure == name and row["profile"] == profile
              and same_set(row["dataset"], reported.dataset)
              and math.isfinite(row.get(measure, math.nan))]
    mean = sum(abs(score - r.value) for r, score in scores) / max(len(scores), 1)
    return [{"method": method, "dataset": r.dataset, "measure": measure, "profile": profile,
             "score": score, "paper_measure": name, "recipe": recipe.name,
             "reported": f"{r.value:.{r.digits}f}", "verified": r.verified,
             "ours": f"{score:.4f}", "difference": f"{score - r.value:+.4f}",
             "mean_difference": mean} for r, score in scores]


def closest_table(records: Sequence[dict], method: str, recipe: Recipe) -> Table:
    """A line for each candidate of each measure; ``records``: of ``closest_of``, at least one."""
    sets = list(dict.fromkeys(record["dataset"] for record in records))
    groups, notes = [], []
    for name in dict.fromkeys(record["paper_measure"] for record in records):
        mine = [record for record in records if record["paper_measure"] == name]
        unsure = not all(record["verified"] for record in mine)
        lines = []
        for which in dict.fromkeys((record["measure"], record["profile"]) for record in mine):
            on = {record["dataset"]: record for record in mine
                  if (record["measure"], record["profile"]) == which}
            *_, record = on.values()
            lines.append(cells(
                name + (" ?" if unsure else ""), *which,
                *(on[data][key] if data in on else "" for data in sets
                  for key in ("reported", "ours", "difference")),
                f"{record['mean_difference']:.4f}", "←" if record["nearest"] else "",
                mark=UNSURE if unsure else BEST if record["nearest"] else ""))
        groups.append(lines)
        best = dict.fromkeys(f"{record['measure']} of profile {record['profile']}"
                             for record in mine if record["nearest"])
        notes.append(f"{name} agrees best with {' and '.join(best)}: mean |difference| "
                     f"{mine[0]['mean_difference']:.4f} over {', '.join(on)}"
                     + (" (? not all of it verified)" if unsure else ""))
    if any(lower_is_better(record["paper_measure"]) and record["nearest"]
           and record["mean_difference"] >= float(HALF) for record in records):
        notes.append("MAE, which hardly depends on definitions, differs in the third digit: these "
                     "may not be the maps of the paper's table, and then closeness of the others "
                     "says little")
    return Table(f"what the numbers of {recipe.paper or recipe.name} agree with best: {method}",
                 ["measure", "ours", "profile", *(f"{name} {column}" for name in sets
                                                  for column in ("reported", "ours", "difference")),
                  "mean |difference|", "nearest"], groups, words=3, notes=notes)


def left_out(rows: Sequence[Row], method: str, recipe: Recipe) -> list[str]:
    """A note on the reported sets of which only some images were scored, if there are any."""
    sets = dict.fromkeys(f"{row['dataset']} ({images_text(row)})" for row in rows
                         if row["method"] == method and is_partial(row)
                         and any(same_set(row["dataset"], reported.dataset)
                                 for reported in recipe.reported))
    return [f"{method} on {', '.join(sets)} is left out: scores of some images say nothing here"] \
        if sets else []
