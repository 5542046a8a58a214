"""Many methods on many data sets: best and second best, ranks and averages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metrics.protocols import lower_is_better
from scoring.jobs import Cell as TableCell
from scoring.scores import Row, measures_of, row_cell

from .sheets import BEST, SECOND, Cell, Sheet
from .tables import images_text

DIGITS = 3  # as most papers print


@dataclass
class Standings:
    """The methods' scores under one profile.

    Attributes:
        methods: that have scores.
        shown: these, and those that could not be scored.
        rows: (method, data set) → scores.
        rated: those of them that are ranked and averaged: all images, as many as the others.
        common: data sets on which every method is rated, in every measure.
    """

    methods: list[str]
    shown: list[str]
    sets: list[str]
    measures: list[str]
    rows: dict[tuple[str, str], Row]
    rated: set[tuple[str, str]]
    common: list[str]

    def texts(self, dataset: str, measure: str) -> dict[str, str]:
        """Method → printed score of those that are rated."""
        return {method: f"{self.rows[method, dataset][measure]:.{DIGITS}f}"
                for method in self.methods if (method, dataset) in self.rated
                and math.isfinite(self.rows[method, dataset].get(measure, math.nan))}

    def average_texts(self, measure: str) -> dict[str, str]:
        """Method → mean over the common data sets, printed."""
        return {method: f"{self.average(method, measure):.{DIGITS}f}" for method in self.methods}

    def average(self, method: str, measure: str) -> float:
        return sum(self.rows[method, name][measure] for name in self.common) / len(self.common)

    def rank(self, method: str, sets: Sequence[str]) -> float | None:
        """Mean rank over data sets and measures; None where it is not rated on one of them, or
        alone."""
        columns = [(self.texts(name, measure), measure) for name in sets
                   for measure in self.measures]
        if not columns or any(method not in texts or len(texts) < 2 for texts, _ in columns):
            return None
        return sum(ranks(*column)[method] for column in columns) / len(columns)

    @property
    def has_averages(self) -> bool:
        return len(self.common) > 1


def standings_of(rows: Sequence[Row], profile: str,
                 without: Sequence[TableCell] = ()) -> Standings:
    """The rows of a profile, methods and sets in the rows' order, then those ``without`` a row."""
    rows = [row for row in rows if row["profile"] == profile]
    cells = [row_cell(row) for row in rows] + (list(without) if rows else [])
    methods = list(dict.fromkeys(row["method"] for row in rows))
    shown, sets = (list(dict.fromkeys(cell[part] for cell in cells)) for part in (0, 1))
    measures = measures_of(rows)
    table = {(row["method"], row["dataset"]): row for row in rows}
    most = {name: max((row["expected"] for row in rows if row["dataset"] == name), default=0)
            for name in sets}
    rated = {key for key, row in table.items() if row["images"] == most[key[1]]}
    found = Standings(methods, shown, sets, measures, table, rated, [])
    found.common = [name for name in sets if all(len(found.texts(name, measure)) == len(methods)
                                                 for measure in measures)]
    return found


def ranks(texts: Mapping[str, str], measure: str) -> dict[str, float]:
    """Method → rank from 1, by printed scores; equal ones share the mean of their ranks."""
    values = {method: float(text) for method, text in texts.items()}
    sign = 1 if lower_is_better(measure) else -1
    return {method: sum(sign * other < sign * value for other in values.values())
            + (sum(other == value for other in values.values()) + 1) / 2
            for method, value in values.items()}


def marks(texts: Mapping[str, str], measure: str) -> dict[str, str]:
    """Method → best or second best, by printed scores; of equal ones all are."""
    if len(texts) < 2:
        return {}
    order = sorted({float(text) for text in texts.values()}, reverse=not lower_is_better(measure))
    names = dict(zip(order, (BEST, SECOND), strict=False))
    return {method: names.get(float(text), "") for method, text in texts.items()}


def standings_sheet(standings: Standings, profile: str, source: str) -> Sheet:
    """A block for each data set with a line for each method, one for the averages."""
    groups = [[_line(standings, method, name) for method in standings.shown]
              for name in standings.sets]
    if standings.has_averages:
        groups.append([_average_line(standings, method) for method in standings.methods])
    ranked = len(standings.shown) > 1
    headings = ["data set", "method", "images", *standings.measures, *(["rank"] * ranked)]
    if not ranked:
        groups = [[line[:-1] for line in group] for group in groups]
    return Sheet(f"scores under profile {profile} ({source})", headings, groups, words=2,
                 notes=_notes(standings))


def _line(standings: Standings, method: str, dataset: str) -> list[Cell]:
    row = standings.rows.get((method, dataset), {})
    cells = []
    for measure in standings.measures:
        text = f"{row[measure]:.{DIGITS}f}" if measure in row else ""
        cells.append(Cell(text, marks(standings.texts(dataset, measure), measure).get(method, "")))
    return [Cell(dataset), Cell(method), Cell(images_text(row) if row else ""), *cells,
            _rank_cell(standings, method, [dataset])]


def _average_line(standings: Standings, method: str) -> list[Cell]:
    cells = []
    for measure in standings.measures:
        texts = standings.average_texts(measure)
        cells.append(Cell(texts[method], marks(texts, measure).get(method, "")))
    return [Cell("average"), Cell(method), Cell(""), *cells,
            _rank_cell(standings, method, standings.common)]


def _rank_cell(standings: Standings, method: str, sets: Sequence[str]) -> Cell:
    rank = standings.rank(method, sets)
    return Cell("" if rank is None else f"{rank:.2f}")


def _notes(standings: Standings) -> list[str]:
    notes = []
    if len(standings.methods) > 1:
        notes.append("best in bold, second best underlined; rank: mean over the measures, equal "
                     "ones as printed share theirs")
    if standings.has_averages:
        notes.append(f"averages and their ranks are over the {len(standings.common)} data sets "
                     f"that all methods have: {', '.join(standings.common)}")
    elif len(standings.sets) > 1:
        notes.append("no averages: all methods have "
                     f"{f'{standings.common[0]} alone' if standings.common else 'no data set'} in "
                     "common")
    if absent := missing(standings):
        notes.append(f"missing: {', '.join(absent)}")
    if partial := [f"{method} on {name} ({images_text(row)})"
                   for (method, name), row in standings.rows.items()
                   if (method, name) not in standings.rated]:
        notes.append("not of all images, so neither marked, ranked nor averaged: "
                     f"{', '.join(partial)}")
    return notes


def missing(standings: Standings) -> list[str]:
    """Cells that are empty, in words."""
    absent = []
    for name in standings.sets:
        for method in standings.shown:
            row = standings.rows.get((method, name))
            if row is None:
                absent.append(f"{method} on {name}")
            elif gone := [measure for measure in standings.measures if measure not in row]:
                absent.append(f"{method} on {name} in {' '.join(gone)}")
    return absent


def standings_records(standings: Standings, profile: str) -> list[dict]:
    """For CSV and JSON: ``ours`` as printed, ``score`` not rounded."""
    records = []
    for (method, dataset), row in standings.rows.items():
        for measure in standings.measures:
            if measure in row:
                texts = standings.texts(dataset, measure)
                records.append({
                    "method": method, "dataset": dataset, "measure": measure, "profile": profile,
                    "images": row["images"], "expected": row["expected"], "score": row[measure],
                    "ours": f"{row[measure]:.{DIGITS}f}",
                    "rank": ranks(texts, measure).get(method),
                    "place": marks(texts, measure).get(method, "")})
    return records


def average_records(standings: Standings, profile: str) -> list[dict]:
    """The averages, for CSV and JSON; ``rank`` is the method's mean rank over all measures."""
    if not standings.has_averages:
        return []
    return [{"method": method, "dataset": "average", "measure": measure, "profile": profile,
             "score": standings.average(method, measure),
             "ours": standings.average_texts(measure)[method],
             "rank": standings.rank(method, standings.common),
             "place": marks(standings.average_texts(measure), measure).get(method, "")}
            for method in standings.methods for measure in standings.measures]
