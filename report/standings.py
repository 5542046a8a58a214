"""Many methods on many data sets: best and second best, ranks and averages."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metrics import PROFILES, lower_is_better
from scoring.jobs import Cell as MethodOnSet
from scoring.scores import Row, measures_of, row_cell

from .tables import BEST, SECOND, Cell, Table, cells, empty_notes, images_text

_DIGITS = "{:.3f}"  # of a score, as most papers print


@dataclass
class Standings:
    """The methods' scores under one profile.

    Attributes:
        scored: methods that have scores.
        methods: these, and those that could not be scored.
        rows: (method, data set) → scores.
        most: data set → its images, as many as any method has.
        printed: (data set, measure) → method → printed score, of those methods that are marked,
            ranked and averaged: they have all images.
        common: data sets on which every method is so, in every measure.
    """

    profile: str
    scored: list[str]
    methods: list[str]
    sets: list[str]
    measures: list[str]
    rows: dict[MethodOnSet, Row]
    most: dict[str, int]
    printed: dict[tuple[str, str], dict[str, str]]
    common: list[str]

    def rank(self, method: str, sets: Sequence[str]) -> float | None:
        """Mean rank over data sets and measures; None where the method is not ranked on one of
        them, or alone."""
        columns = [(self.printed[name, measure], measure) for name in sets
                   for measure in self.measures]
        if not columns or any(method not in texts or len(texts) < 2 for texts, _ in columns):
            return None
        return sum(ranks(*column)[method] for column in columns) / len(columns)

    def scores(self) -> list[dict]:
        """Records for CSV and JSON: ``ours`` as printed, ``score`` not rounded."""
        return [{"method": method, "dataset": name, "measure": measure, "profile": self.profile,
                 "images": row["images"], "expected": row["expected"], "score": row[measure],
                 "ours": _DIGITS.format(row[measure]),
                 "rank": ranks(self.printed[name, measure], measure).get(method),
                 "place": marks(self.printed[name, measure], measure).get(method, "")}
                for (method, name), row in self.rows.items()
                for measure in self.measures if measure in row]

    def averages(self) -> list[dict]:
        """The means over the common data sets, at least two, as records; ``rank`` is the method's
        mean rank over all measures."""
        if len(self.common) < 2:
            return []
        means = {measure: {method: sum(self.rows[method, name][measure] for name in self.common)
                           / len(self.common) for method in self.scored}
                 for measure in self.measures}
        printed = {measure: {method: _DIGITS.format(mean) for method, mean in column.items()}
                   for measure, column in means.items()}
        return [{"method": method, "dataset": "average", "measure": measure,
                 "profile": self.profile, "score": means[measure][method],
                 "ours": printed[measure][method], "rank": self.rank(method, self.common),
                 "place": marks(printed[measure], measure).get(method, "")}
                for method in self.scored for measure in self.measures]

    def missing(self) -> list[str]:
        """Cells that are empty, in words."""
        absent = []
        for name in self.sets:
            for method in self.methods:
                row = self.rows.get((method, name), {})
                if lacking := [measure for measure in self.measures if measure not in row]:
                    which = f" in {' '.join(lacking)}" if row else ""
                    absent.append(f"{method} on {name}{which}")
        return absent


def standings_of(rows: Sequence[Row], profile: str,
                 without: Sequence[MethodOnSet] = ()) -> Standings:
    """The rows of a profile, methods and sets in the rows' order, then those ``without`` a row."""
    table = {row_cell(row): row for row in rows if row["profile"] == profile}
    places = [*table, *(without if table else ())]
    scored, methods, sets = (list(dict.fromkeys(names)) for names in (
        (method for method, _ in table), (method for method, _ in places),
        (name for _, name in places)))
    measures, most, printed = measures_of(list(table.values())), {}, {}
    for name in sets:
        of_set = {method: row for (method, place), row in table.items() if place == name}
        most[name] = max((row["expected"] for row in of_set.values()), default=0)
        for measure in measures:
            printed[name, measure] = {
                method: _DIGITS.format(row[measure]) for method, row in of_set.items()
                if row["images"] == most[name] and math.isfinite(row.get(measure, math.nan))}
    common = [name for name in sets
              if all(len(printed[name, measure]) == len(scored) for measure in measures)]
    return Standings(profile, scored, methods, sets, measures, table, most, printed, common)


def ranks(texts: Mapping[str, str], measure: str) -> dict[str, float]:
    """Method → rank from 1, by printed scores; equal ones share the mean of their ranks."""
    sign = 1 if lower_is_better(measure) else -1
    values = {method: sign * float(text) for method, text in texts.items()}
    order = sorted(values.values())
    return {method: (bisect_left(order, value) + bisect_right(order, value) + 1) / 2
            for method, value in values.items()}


def marks(texts: Mapping[str, str], measure: str) -> dict[str, str]:
    """Method → best or second best, by printed scores; of equal ones all are."""
    order = ranks(texts, measure) if len(texts) > 1 else {}
    names = dict(zip(sorted(set(order.values())), (BEST, SECOND), strict=False))
    return {method: names.get(rank, "") for method, rank in order.items()}


def standings_table(standings: Standings) -> Table:
    """A block for each data set with a line for each method, and one for the averages."""
    scores = standings.scores()
    groups = [_group(standings, name, standings.methods, [name],
                     [record for record in scores if record["dataset"] == name])
              for name in standings.sets]
    if averages := standings.averages():
        groups.append(_group(standings, "average", standings.scored, standings.common, averages))
    headings = ["data set", "method", "images", *standings.measures, "rank"]
    if len(standings.methods) < 2:
        headings.pop()
        groups = [[line[:-1] for line in group] for group in groups]
    title = f"scores under profile {standings.profile} ({PROFILES[standings.profile].source})"
    return Table(title, headings, groups, words=2, notes=_notes(standings))


def _group(standings: Standings, name: str, methods: Sequence[str], sets: Sequence[str],
           records: Sequence[dict]) -> list[list[Cell]]:
    """Lines of the ``records``, one for each method, with its mean rank over ``sets``."""
    by_place = {(r["method"], r["measure"]): Cell(r["ours"], r["place"]) for r in records}
    lines = []
    for method in methods:
        row, rank = standings.rows.get((method, name)), standings.rank(method, sets)
        lines.append([*cells(name, method, images_text(row) if row else ""),
                      *(by_place.get((method, measure), Cell(""))
                        for measure in standings.measures),
                      Cell("" if rank is None else f"{rank:.2f}")])
    return lines


def _notes(standings: Standings) -> list[str]:
    notes, common = [], standings.common
    if len(standings.scored) > 1:
        notes.append("best in bold, second best underlined; rank: mean over the measures, equal "
                     "ones as printed share theirs")
    if len(common) > 1:
        notes.append(f"averages and their ranks are over the {len(common)} data sets that all "
                     f"methods have: {', '.join(common)}")
    elif len(standings.sets) > 1:
        notes.append("no averages: all methods have "
                     f"{f'{common[0]} alone' if common else 'no data set'} in common")
    if missing := standings.missing():
        notes.append(f"missing: {', '.join(missing)}")
    if partial := [f"{method} on {name} ({images_text(row)})"
                   for (method, name), row in standings.rows.items()
                   if row["images"] != standings.most[name]]:
        notes.append("not of all images, so neither marked, ranked nor averaged: "
                     f"{', '.join(partial)}")
    return notes + empty_notes(standings.rows.values())
