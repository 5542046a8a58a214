"""``python -m report table`` and ``eval.py --table``: the papers' numbers beside ours, all methods
on all data sets, what was scored, and the definitions that agree best with the papers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data.catalog import same_set
from scoring.jobs import Cell as MethodOnSet
from scoring.scores import Row, earlier_of, row_cell
from utils.errors import UserError
from utils.origin import short_commit

from .closest import closest_of, closest_table, left_out
from .comparison import compare_with_papers, comparison_tables
from .recipes import Recipe, Recipes
from .standings import standings_of, standings_table
from .tables import (
    Table,
    cells,
    csv_text,
    images_text,
    latex_file,
    markdown,
    print_table,
    require_suffix,
    write_all,
)


def print_report(rows: Sequence[Row], recipes: Recipes, *, sets: Sequence[str], profile: str,
                 without: Sequence[MethodOnSet], table: bool, closest: bool,
                 save: Sequence[Path]) -> None:
    """Print tables of scores, and write them to files.

    Args:
        rows: scores as ``results/scores.json`` holds them, of the methods that are to be shown.
        sets: only these data sets; all if empty.
        profile: whose scores the table of all methods on all sets holds.
        without: methods on sets that could not be scored now: what was scored of them before is
            left out, and their cells stay empty.
        table: the papers' numbers beside ours, all methods on all sets, and what was scored. Also
            made where files are to be saved, or nothing else was asked for.
        closest: the definitions under which the papers' numbers agree best with ours.
        save: files; their extensions name the formats.

    Raises:
        UserError: no scores are left, none for ``closest``, or files cannot be written; the others
            are written then.
    """
    rows = [row for row in rows if row_cell(row) not in without
            and (not sets or any(same_set(name, row["dataset"]) for name in sets))]
    if not rows:
        raise UserError("there are no scores to make a table of; score some maps first")
    of_methods, report = recipes.of_rows(rows), Report()
    if table or save or not closest:
        report.add_tables(rows, of_methods, sets, profile, without)
    if closest:
        report.add_closest(rows, of_methods)
    for part in report.tables:
        print_table(part)
    if failures := write_all((path, FORMATS[path.suffix.lower()](report)) for path in save):
        raise UserError("\n".join(failures))


@dataclass
class Report:
    """Tables for people, and the same numbers as records: part → list of mappings."""

    tables: list[Table] = field(default_factory=list)
    records: dict[str, list[dict]] = field(default_factory=dict)

    def add_tables(self, rows: Sequence[Row], recipes: Mapping[str, Recipe], sets: Sequence[str],
                   profile: str, without: Sequence[MethodOnSet] = ()) -> None:
        """The papers' numbers beside ours, all methods on all sets, and what was scored."""
        comparisons = compare_with_papers(rows, recipes, sets)
        compared = {c["method"] for c in comparisons if c["images"] is not None}
        comparisons = [c for c in comparisons if c["method"] in compared]
        standings = standings_of(rows, profile, without)
        self.tables += comparison_tables(comparisons, recipes)
        if standings.rows:
            self.tables.append(standings_table(standings))
        self.tables.append(origin_table(rows))
        if not standings.rows:
            others = ", ".join(sorted({row["profile"] for row in rows}))
            self.tables[-1].notes.append(f"no scores under the profile {profile}; --profile shows "
                                         f"those under {others}")
        self.tables[-1].notes += [_not_compared(method, recipes.get(method))
                                  for method in dict.fromkeys(row["method"] for row in rows)
                                  if method not in compared]
        self.records |= {"comparisons": comparisons,
                         "scores": standings.scores(),
                         "averages": standings.averages(),
                         "missing": [{"cell": cell} for cell in standings.missing()],
                         "rows": list(rows)}

    def add_closest(self, rows: Sequence[Row], recipes: Mapping[str, Recipe]) -> None:
        """The definitions under which the papers' numbers agree best with ours.

        Raises:
            UserError: none of the methods can be compared.
        """
        self.records["closest"], partial = [], []
        for method, recipe in recipes.items():
            partial += left_out(rows, method, recipe)
            if closest := closest_of(rows, method, recipe):
                self.tables.append(closest_table(closest, method, recipe))
                self.records["closest"] += closest
        if not self.records["closest"] and not partial:
            raise UserError("--closest: none of the methods has reported numbers on the data sets "
                            "that were scored; --reported RECIPE names a recipe that has")
        if not self.tables:
            raise UserError(f"--closest: nothing is left: {'; '.join(partial)}")
        self.tables[-1].notes += [f"--closest: {note}" for note in partial]


def _not_compared(method: str, recipe: Recipe | None) -> str:
    """Why a method is not held against a paper."""
    if recipe is None:
        return (f"{method} is held against no paper: no recipe has its name or made its maps; "
                "--reported names one")
    if not recipe.reported:
        return f"{method} is held against no paper: recipe {recipe.name} has no reported numbers"
    sets = ", ".join(dict.fromkeys(reported.dataset for reported in recipe.reported))
    return f"{method} has no scores on the sets that recipe {recipe.name} reports: {sets}"


def origin_table(rows: Sequence[Row]) -> Table:
    """What was scored: the maps, the weights that made them, and the code at both ends."""
    together: dict[tuple, list[Row]] = {}
    for row in rows:
        which = row.get("content"), str((row.get("origin") or {}).get("sha256"))
        together.setdefault((*row_cell(row), *which), []).append(row)
    lines = []
    for row, *others in together.values():
        origin, state = row.get("origin") or {}, ""
        scored = [part for same in (row, *others)
                  for part in (same.get("scored") or {}, *earlier_of(same).values())]
        commits = dict.fromkeys(short_commit(str(part.get("commit", ""))) for part in scored)
        if origin:
            state = "complete" if origin.get("finished") else "unfinished"
            state += f", the first {origin['limit']} alone" if origin.get("limit") else ""
            state += f", {origin['kept']} of an earlier run" if origin.get("kept") else ""
        lines.append(cells(
            *row_cell(row), ", ".join(same["profile"] for same in (row, *others)),
            str(origin.get("checkpoint", "unknown, maps of others")),
            str(origin.get("sha256", ""))[:12], state, short_commit(str(origin.get("commit", ""))),
            ", ".join(filter(None, commits)),
            max(str(part.get("date", ""))[:10] for part in scored), images_text(row)))
    return Table("what was scored", ["method", "data set", "profiles", "checkpoint", "SHA-256",
                                     "maps", "maps' commit", "scores' commit", "scored", "images"],
                 [lines], words=9)


def as_csv(report: Report) -> str:
    """One line for each number; the column ``part`` names its table."""
    return csv_text([{"part": part} | record
                     for part in ("comparisons", "scores", "averages", "closest")
                     for record in report.records.get(part, ())])


def as_json(report: Report) -> str:
    return json.dumps(report.records | {"notes": [note for table in report.tables
                                                  for note in table.notes]}, indent=1) + "\n"


#: A file's extension → the report in its format.
FORMATS: dict[str, Callable[[Report], str]] = {
    ".md": lambda report: "\n".join(map(markdown, report.tables)),
    ".tex": lambda report: latex_file(report.tables), ".csv": as_csv, ".json": as_json}


def require_format(path: Path) -> None:
    """Refuse a file whose extension names no format, see ``require_suffix``."""
    require_suffix(path, FORMATS)
