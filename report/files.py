"""A report in files: Markdown, LaTeX, CSV or JSON, by their extension."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metrics import PROFILES
from scoring.jobs import Cell as TableCell
from scoring.scores import Row
from utils.errors import UserError

from .closest import closest_records, closest_sheet, left_out
from .origins import origin_sheet
from .recipes import Recipe
from .reproduction import compare_with_papers, comparison_records, comparison_sheets
from .sheets import PREAMBLE, Sheet, latex, markdown
from .standings import average_records, missing, standings_of, standings_records, standings_sheet


@dataclass
class Report:
    """Sheets for people, and the same numbers as records: part → list of mappings."""

    sheets: list[Sheet] = field(default_factory=list)
    records: dict[str, list[dict]] = field(default_factory=dict)

    def add_tables(self, rows: Sequence[Row], recipes: Mapping[str, Recipe], data: Sequence[str],
                   profile: str, without: Sequence[TableCell] = ()) -> None:
        """Papers' numbers against ours, all methods on all sets, and what was scored.

        Args:
            without: methods on sets that could not be scored; their cells stay empty.
        """
        comparisons = compare_with_papers(rows, recipes, data)
        compared = {c.method for c in comparisons if c.row is not None}
        comparisons = [c for c in comparisons if c.method in compared]
        standings = standings_of(rows, profile, without)
        self.sheets += comparison_sheets(comparisons)
        if standings.rows:
            self.sheets.append(standings_sheet(standings, profile, PROFILES[profile].source))
        origins = origin_sheet(rows)
        origins.notes += [_not_compared(method, recipes.get(method))
                          for method in dict.fromkeys(row["method"] for row in rows)
                          if method not in compared]
        self.sheets.append(origins)
        self.records |= {"comparisons": comparison_records(comparisons),
                         "scores": standings_records(standings, profile),
                         "averages": average_records(standings, profile),
                         "missing": [{"cell": cell} for cell in missing(standings)],
                         "rows": list(rows)}

    def add_closest(self, rows: Sequence[Row], recipes: Mapping[str, Recipe]) -> None:
        """The definitions under which the papers' numbers agree best with ours."""
        found = {method: closest_sheet(rows, method, recipe) for method, recipe in recipes.items()}
        without = [note for method, sheet in found.items() if sheet is None
                   for note in left_out(rows, method, recipes[method])]
        if not any(found.values()) and not without:
            raise UserError("--closest: none of the methods has reported numbers on the data sets "
                            "that were scored; --reported RECIPE names a recipe that has")
        self.sheets += [sheet for sheet in found.values() if sheet is not None]
        if not self.sheets:
            raise UserError(f"--closest: nothing is left: {'; '.join(without)}")
        self.sheets[-1].notes += [f"--closest: {note}" for note in without]
        self.records["closest"] = [record for method, recipe in recipes.items()
                                   for record in closest_records(rows, method, recipe)]


def _not_compared(method: str, recipe: Recipe | None) -> str:
    """Why a method is not held against a paper."""
    if recipe is None:
        return (f"{method} is held against no paper: no recipe is called so or made its maps; "
                "--reported names one")
    if not recipe.reported:
        return f"{method} is held against no paper: recipe {recipe.name} has no reported numbers"
    sets = ", ".join(dict.fromkeys(reported.dataset for reported in recipe.reported))
    return f"{method} has no scores on the sets that recipe {recipe.name} reports: {sets}"


def as_markdown(report: Report) -> str:
    return "\n".join(map(markdown, report.sheets))


def as_latex(report: Report) -> str:
    text = "\n".join(map(latex, report.sheets))
    hint = "" if text.isascii() else "% Has letters that pdflatex may not know; lualatex does.\n"
    return f"{PREAMBLE}\n{hint}{text}"


def as_csv(report: Report) -> str:
    """One line for each number; the column ``part`` says of which table."""
    return csv_text([{"part": part} | record
                     for part in ("comparisons", "scores", "averages", "closest")
                     for record in report.records.get(part, ())])


def csv_text(rows: Sequence[dict]) -> str:
    """A column for every key that any row has."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(report: Report) -> str:
    return json.dumps(report.records | {"notes": [note for sheet in report.sheets
                                                  for note in sheet.notes]}, indent=1) + "\n"


FORMATS: dict[str, Callable[[Report], str]] = {
    ".md": as_markdown, ".tex": as_latex, ".csv": as_csv, ".json": as_json}


def require_format(path: Path) -> None:
    """Refuse a file whose extension names no format.

    Raises:
        UserError: says which do.
    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"--save {path}: the extension names the format, one of "
                        f"{', '.join(FORMATS)}")


def save_report(path: Path, report: Report) -> None:
    """Write the report in the format that the path's extension names; see ``write``."""
    write(path, FORMATS[path.suffix.lower()](report))


def write(path: Path, text: str) -> None:
    """Write a file, and the folders that lead to it.

    Raises:
        UserError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
