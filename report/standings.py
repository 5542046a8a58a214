"""Many methods on many data sets: best and second best, ranks and averages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metrics import PROFILES, lower_is_better
from scoring.jobs import Cell as MethodOnSet
from scoring.scores import Row, measures_of, row_cell

from .tables import BEST, SECOND, Cell, Table, cells, images_text


@dataclass
class Standings:
    """The methods' scores under one profile.

    Attributes:
        scored: methods that have scores.
        methods: these, and those that could not be scored.
        rows: (method, data set) → scores.
        rated: those of them that are ranked and averaged: all images, as many as the others.
        common: data sets on which every method is rated, in every measure.
    """

    profile: str
    scored: list[str]
    methods: list[str]
    sets: list[str]
    measures: list[str]
    rows: dict[MethodOnSet, Row]
    rated: set[MethodOnSet]
    common: list[str]

    def texts(self, dataset: str, measure: str) -> dict[str, str]:
        """Method → printed score of those that are rated."""
        return {method: _printed(self.rows[method, dataset][measure])
                for method in self.scored if (method, dataset) in self.rated
                and math.isfinite(self.rows[method, dataset].get(measure, math.nan))}

    def average(self, method: str, measure: str) -> float:
        return sum(self.rows[method, name][measure] for name in self.common) / len(self.common)

    def average_texts(self, measure: str) -> dict[str, str]:
        """Method → printed mean over the common data sets."""
        return {method: _printed(self.average(method, measure)) for method in self.scored}

    def rank(self, method: str, sets: Sequence[str]) -> float | None:
        """Mean rank over data sets and measures; None where the method is not rated on one of
        them, or alone."""
        columns = [(self.texts(name, measure), measure) for name in sets
                   for measure in self.measures]
        if not columns or any(method not in texts or len(texts) < 2 for texts, _ in columns):
            return None
        return sum(ranks(*column)[method] for column in columns) / len(columns)

    @property
    def has_averages(self) -> bool:
        return len(self.common) > 1

    @property
    def missing(self) -> list[str]:
        """Cells that are empty, in words."""
        absent = []
        for name in self.sets:
            for method in self.methods:
                row = self.rows.get((method, name))
                if row is None:
                    absent.append(f"{method} on {name}")
                elif lacking := [measure for measure in self.measures if measure not in row]:
                    absent.append(f"{method} on {name} in {' '.join(lacking)}")
        return absent


def standings_of(rows: Sequence[Row], profile: str,
                 without: Sequence[MethodOnSet] = ()) -> Standings:
    """The rows of a profile, methods and sets in the rows' order, then those ``without`` a row."""
    rows = [row for row in rows if row["profile"] == profile]
    places = [row_cell(row) for row in rows] + (list(without) if rows else [])
    methods, sets = (list(dict.fromkeys(place[part] for place in places)) for part in (0, 1))
    table = {row_cell(row): row for row in rows}
    most = {name: max((row["expected"] for row in rows if row["dataset"] == name), default=0)
            for name in sets}
    rated = {place for place, row in table.items() if row["images"] == most[place[1]]}
    scored = list(dict.fromkeys(row["method"] for row in rows))
    standings = Standings(profile, scored, methods, sets, measures_of(rows), table, rated, [])
    standings.common = [name for name in sets
                        if all(len(standings.texts(name, measure)) == len(standings.scored)
                               for measure in standings.measures)]
    return standings


def _printed(score: float) -> str:
    return f"{score:.3f}"  # as most papers print


def ranks(texts: Mapping[str, str], measure: str) -> dict[str, float]:
    """Method → rank from 1, by printed scores; equal ones share the mean of their ranks."""
    sign = 1 if lower_is_better(measure) else -1
    values = {method: sign * float(text) for method, text in texts.items()}
    return {method: sum(rival < value for rival in values.values())
            + (sum(rival == value for rival in values.values()) + 1) / 2
            for method, value in values.items()}


def marks(texts: Mapping[str, str], measure: str) -> dict[str, str]:
    """Method → best or second best, by printed scores; of equal ones all are."""
    if len(texts) < 2:
        return {}
    order = sorted({float(text) for text in texts.values()}, reverse=not lower_is_better(measure))
    names = dict(zip(order, (BEST, SECOND), strict=False))
    return {method: names.get(float(text), "") for method, text in texts.items()}


def standings_table(standings: Standings) -> Table:
    """A block for each data set with a line for each method, and one for the averages."""
    groups = [[_line(standings, method, name) for method in standings.methods]
              for name in standings.sets]
    if standings.has_averages:
        groups.append([_average_line(standings, method) for method in standings.scored])
    headings = ["data set", "method", "images", *standings.measures, "rank"]
    if len(standings.methods) < 2:
        headings.pop()
        groups = [[line[:-1] for line in group] for group in groups]
    profile = standings.profile
    return Table(f"scores under profile {profile} ({PROFILES[profile].source})", headings, groups,
                 words=2, notes=_notes(standings))


def _line(standings: Standings, method: str, dataset: str) -> list[Cell]:
    row = standings.rows.get((method, dataset), {})
    scores = [Cell(_printed(row[measure]) if measure in row else "",
                   marks(standings.texts(dataset, measure), measure).get(method, ""))
              for measure in standings.measures]
    return [*cells(dataset, method, images_text(row) if row else ""), *scores,
            _rank_cell(standings, method, [dataset])]


def _average_line(standings: Standings, method: str) -> list[Cell]:
    averages = {measure: standings.average_texts(measure) for measure in standings.measures}
    return [*cells("average", method, ""),
            *(Cell(texts[method], marks(texts, measure).get(method, ""))
              for measure, texts in averages.items()),
            _rank_cell(standings, method, standings.common)]


def _rank_cell(standings: Standings, method: str, sets: Sequence[str]) -> Cell:
    rank = standings.rank(method, sets)
    return Cell("" if rank is None else f"{rank:.2f}")


def _notes(standings: Standings) -> list[str]:
    notes = []
    if len(standings.scored) > 1:
        notes.append("best in bold, second best underlined; rank: mean over the measures, equal "
                     "ones as printed share theirs")
    if standings.has_averages:
        notes.append(f"averages and their ranks are over the {len(standings.common)} data sets "
                     f"that all methods have: {', '.join(standings.common)}")
    elif len(standings.sets) > 1:
        notes.append("no averages: all methods have "
                     f"{f'{standings.common[0]} alone' if standings.common else 'no data set'} in "
                     "common")
    if standings.missing:
        notes.append(f"missing: {', '.join(standings.missing)}")
    if partial := [f"{method} on {name} ({images_text(row)})"
                   for (method, name), row in standings.rows.items()
                   if (method, name) not in standings.rated]:
        notes.append("not of all images, so neither marked, ranked nor averaged: "
                     f"{', '.join(partial)}")
    return notes


def standings_records(standings: Standings) -> list[dict]:
    """For CSV and JSON: ``ours`` as printed, ``score`` not rounded."""
    records = []
    for (method, dataset), row in standings.rows.items():
        for measure in filter(row.__contains__, standings.measures):
            texts = standings.texts(dataset, measure)
            records.append({
                "method": method, "dataset": dataset, "measure": measure,
                "profile": standings.profile, "images": row["images"],
                "expected": row["expected"], "score": row[measure],
                "ours": _printed(row[measure]), "rank": ranks(texts, measure).get(method),
                "place": marks(texts, measure).get(method, "")})
    return records


def average_records(standings: Standings) -> list[dict]:
    """The averages, for CSV and JSON; ``rank`` is the method's mean rank over all measures."""
    if not standings.has_averages:
        return []
    return [{"method": method, "dataset": "average", "measure": measure,
             "profile": standings.profile, "score": standings.average(method, measure),
             "ours": standings.average_texts(measure)[method],
             "rank": standings.rank(method, standings.common),
             "place": marks(standings.average_texts(measure), measure).get(method, "")}
            for method in standings.scored for measure in standings.measures]
