"""The rows of a paper's table: numbers of methods that were scored, and of recipes' reports.

Best and second best are of each column, as printed. A number takes no part in that, and has a sign,
where it cannot be held against the others: it is of a part of the images, follows other
definitions, or nobody has verified it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.catalog import same_set
from metrics import PROFILES
from scoring.scores import Row, earlier_of
from utils.errors import UserError, list_problems, note_once
from utils.origin import short_commit
from utils.schema import ReportedNumber

from .comparison import is_partial
from .labels import Label
from .protocols import PROTOCOLS, same_definition
from .recipes import Recipe
from .standings import marks
from .tables import images_text

DASH, PUBLISHED, UNRANKED = "–", "†", "‡"


@dataclass(frozen=True)
class Number:
    """A cell: ``text`` as printed, such as .936, and the number itself, None where it is missing.

    Attributes:
        mark: best, second best, or nothing.
        unranked: whether it takes no part in best and second best.
    """

    text: str = DASH
    value: float | None = None
    mark: str = ""
    unranked: bool = False


@dataclass
class PaperRow:
    """A row: a method's numbers, set by set.

    Attributes:
        published: whether the numbers are those that a recipe reports.
        sources: a line for each thing that a reader has to know to trace the numbers.
        doubts: (reason, number in words) of those that are not ranked.
        protocols: how the published numbers were made, keys of ``PROTOCOLS``.
    """

    label: Label
    venue: str
    published: bool
    numbers: list[Number] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    doubts: list[tuple[str, str]] = field(default_factory=list)
    protocols: set[str] = field(default_factory=set)


@dataclass
class PaperTable:
    """A paper's table. Every row has a number for each set and each measure of it, in order."""

    profile: str
    sets: list[str]
    measures: list[str]
    rows: list[PaperRow]

    @property
    def has_venues(self) -> bool:
        return any(row.venue for row in self.rows)

    @property
    def columns(self) -> list[tuple[str, str]]:
        return [(name, measure) for name in self.sets for measure in self.measures]

    def notes(self) -> list[str]:
        """Sentences below the table."""
        notes = ["best in bold, second best underlined"] if len(self.rows) > 1 else []
        if any(row.published for row in self.rows):
            notes.append(f"{PUBLISHED} numbers as published, not scored anew")
        doubts: dict[str, list[str]] = {}
        for row in self.rows:
            for reason, words in row.doubts:
                doubts.setdefault(reason, []).append(f"{row.label.text} {words}")
        notes += [f"{UNRANKED} {reason}, so not ranked: {'; '.join(numbers)}"
                  for reason, numbers in doubts.items()]
        if missing := [words for row in self.rows if (words := self._missing(row))]:
            notes.append(f"{DASH} no number: {'; '.join(missing)}")
        return notes

    def _missing(self, row: PaperRow) -> str:
        lacking: dict[str, list[str]] = {}
        for (name, measure), number in zip(self.columns, row.numbers, strict=True):
            if number.value is None:
                lacking.setdefault(name, []).append(measure)
        return ", ".join(f"{row.label.text} on {name}" + (
            "" if len(measures) == len(self.measures) else f" in {' '.join(measures)}")
            for name, measures in lacking.items())

    def provenance(self) -> list[str]:
        """Lines on where the numbers are from; no path of this machine is among them."""
        head = [f"profile {self.profile}: {PROFILES[self.profile].source}"]
        head += [f"{row.label.text}{f' {PUBLISHED}' * row.published}, {line}"
                 for row in self.rows for line in row.sources]
        return head + [f"protocol {name}: {PROTOCOLS[name].text}"
                       for name in sorted(set().union(*(row.protocols for row in self.rows)))]


def printed(value: float, digits: int) -> str:
    """A score as papers print it, without the zero before the point."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{value:.{digits}f}")


def of_scores(row: PaperRow, table: PaperTable, rows: Sequence[Row], digits: int) -> PaperRow:
    """The row of a method that was scored."""
    for name in table.sets:
        scores = next((each for each in rows if each["method"] == row.label.name
                       and each["profile"] == table.profile and same_set(each["dataset"], name)),
                      None)
        if scores is None:
            row.numbers += [Number()] * len(table.measures)
            continue
        partial = is_partial(scores) or scores["images"] < scores["expected"]
        row.numbers += [Number(printed(scores[measure], digits), scores[measure], unranked=partial)
                        if measure in scores else Number() for measure in table.measures]
        if partial:
            row.doubts.append(("of a part of the set's images", f"on {name} ({_images(scores)})"))
        row.sources.append(f"on {name}: {'; '.join(_traced(scores))}")
    return row


def _images(scores: Row) -> str:
    """``20/1000`` where the score is of a part, also of a set that lies on disk in part."""
    return images_text(scores) if scores["images"] != scores["expected"] or not is_partial(scores) \
        else f"{images_text(scores)}, which are not those of the published set"


def _traced(scores: Row) -> list[str]:
    """What is known of a row of scores: images, when and by which code, and what made the maps."""
    when, origin = scores.get("scored") or {}, scores.get("origin") or {}
    parts = [f"method {scores['method']}, {_images(scores)} images"]
    if when:
        commits = dict.fromkeys(str(each.get("commit", "")) for each in
                                (when, *earlier_of(scores).values()))
        parts.append(f"scored {str(when.get('date', ''))[:10]} by commit "
                     f"{', '.join(map(short_commit, commits))}")
    if not origin:
        return [*parts, "who made the maps is not recorded"]
    checkpoint = "/".join(Path(str(origin.get("checkpoint", ""))).parts[-2:])
    parts.append(f"maps of {checkpoint}, SHA-256 {str(origin.get('sha256', ''))[:12]}, by commit "
                 f"{short_commit(str(origin.get('commit', '')))}")
    if not origin.get("finished"):
        parts.append("the run that made the maps is unfinished")
    return parts + ([f"{origin['kept']} maps are of an earlier run"] if origin.get("kept") else [])


def of_recipe(row: PaperRow, table: PaperTable, recipe: Recipe, digits: int) -> PaperRow:
    """The row of the numbers that a recipe reports. Of several for a cell, a verified one, one
    that follows the table's definitions, and the first are preferred, in this order."""
    doubts: dict[tuple[str, str], list[str]] = {}
    sources: dict[tuple[str, str], list[str]] = {}
    for name, measure in table.columns:
        choices = [number for number in recipe.reported if same_set(number.dataset, name)
                   and PROTOCOLS[number.protocol].measure(number.measure) == measure]
        if not choices:
            row.numbers.append(Number())
            continue
        best = min(choices, key=lambda number: (not number.verified,
                                                bool(_foreign(number, table.profile))))
        text = printed(best.value, min(digits, best.digits))
        reason = _foreign(best, table.profile) if best.verified else "not verified"
        if reason:
            doubts.setdefault((reason, measure), []).append(name)
        row.numbers.append(Number(text, best.value, unranked=bool(reason)))
        row.protocols.add(best.protocol)
        renamed = f" (there {best.measure})" * (best.measure != measure)
        source = f"{best.source} (protocol {best.protocol})" + ", not verified" * (
            not best.verified)
        sources.setdefault((name, source), []).append(f"{measure} {text}{renamed}")
    row.doubts += [(reason, f"{measure} on {', '.join(names)}")
                   for (reason, measure), names in doubts.items()]
    row.sources += [f"on {name}: recipe {recipe.name}, {', '.join(numbers)} from {source}"
                    for (name, source), numbers in sources.items()]
    return row


def _foreign(number: ReportedNumber, profile: str) -> str:
    """Why a reported number cannot be held against scores under a profile; empty where it can."""
    protocol = PROTOCOLS[number.protocol]
    if number.measure in protocol.guessed:
        return f"of an {number.measure} whose kind its source does not tell"
    same = same_definition(protocol.measure(number.measure), PROFILES[protocol.profile],
                           PROFILES[profile])
    return "" if same else f"by other definitions (those of profile {protocol.profile})"


def leave_out_unscored(table: PaperTable) -> None:
    """Drop the methods that have no number in the table and that nobody named; they are printed."""
    bare = [row for row in table.rows
            if not row.published and all(number.value is None for number in row.numbers)]
    if bare:
        note_once("left out, without numbers on these sets and measures: "
                  f"{', '.join(row.label.text for row in bare)}")
    table.rows = [row for row in table.rows if row not in bare]


def require_whole(table: PaperTable, allowed: bool) -> None:
    """Refuse scores of a part of the images, unless they are ``allowed``.

    Raises:
        UserError: names them.
    """
    partial = [f"{row.label.text} {words}" for row in table.rows if not row.published
               for _, words in row.doubts]
    if partial and not allowed:
        raise UserError(list_problems("these scores are of a part of the set's images", partial,
                                      "Score all images, leave the methods or sets out, or mark "
                                      "the numbers with --allow-partial."))


def require_numbers(table: PaperTable) -> None:
    """Refuse rows, sets and measures without any number: a name was hardly meant so.

    Raises:
        UserError: names such a row, set or measure.
    """
    for row in table.rows:
        if all(number.value is None for number in row.numbers):
            raise UserError(f"{row.label.name} has no numbers on {', '.join(table.sets)} in "
                            f"{' '.join(table.measures)}" + (
                                "" if row.published else f" under the profile {table.profile}")
                            + "; leave it out")
    full = [column for place, column in enumerate(table.columns)
            if any(row.numbers[place].value is not None for row in table.rows)]
    for option, names, place in (("--sets", table.sets, 0), ("--columns", table.measures, 1)):
        for name in names:
            if name not in {column[place] for column in full}:
                raise UserError(f"{option} {name}: no row has numbers of it under the profile "
                                f"{table.profile}; leave it out")


def mark(table: PaperTable) -> None:
    """Mark best and second best of each column, as printed."""
    for place, (_, measure) in enumerate(table.columns):
        ranked = {str(line): row.numbers[place].text for line, row in enumerate(table.rows)
                  if row.numbers[place].value is not None and not row.numbers[place].unranked}
        for line, rank in marks(ranked, measure).items():
            numbers = table.rows[int(line)].numbers
            numbers[place] = replace(numbers[place], mark=rank)
