"""A paper's table as LaTeX, Markdown, CSV and Excel, and in the terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from metrics import lower_is_better
from utils.errors import UserError

from .paper_rows import DASH, PUBLISHED, UNRANKED, Number, PaperRow, PaperTable
from .tables import (
    BEST,
    SECOND,
    Cell,
    Table,
    csv_text,
    escape_latex,
    latex_cell,
    latex_document,
    latex_frame,
    latex_row,
    markdown,
    one_line,
    print_table,
    require_suffix,
    write_all,
)

_BEYOND_A_COLUMN = 6  # numbers in a row, above which a table spans both columns of a page
#: Measures as papers set them.
_LATEX = {"maxF": r"$F_\beta^{\max}$", "meanF": r"$F_\beta^{\mathrm{mean}}$",
          "adpF": r"$F_\beta^{\mathrm{adp}}$", "wF": r"$F_\beta^{\omega}$", "Sm": "$S_m$",
          "maxE": r"$E_\xi^{\max}$", "meanE": r"$E_\xi^{\mathrm{mean}}$",
          "adpE": r"$E_\xi^{\mathrm{adp}}$"}
_LATEX_SIGN = {PUBLISHED: r"$^\dagger$", UNRANKED: r"$^\ddagger$"}


def as_table(table: PaperTable) -> Table:
    """The table for the terminal and for Markdown, which have no heads over several columns."""
    words = ["method", *["venue"] * table.has_venues]
    headings = [f"{name} {_with_arrow(measure)}" for name, measure in table.columns]
    lines = [[Cell(_name(row)), *[Cell(row.venue)] * table.has_venues,
              *(Cell(_text(number), number.mark) for number in row.numbers)] for row in table.rows]
    return Table("", [*words, *headings], [lines], words=len(words), notes=table.notes())


def _name(row: PaperRow) -> str:
    return f"{row.label.text} {PUBLISHED}" if row.published else row.label.text


def _text(number: Number) -> str:
    return number.text + UNRANKED * number.unranked


def _with_arrow(measure: str) -> str:
    return f"{measure} {'↓' if lower_is_better(measure) else '↑'}"


def as_latex(table: PaperTable) -> str:
    """A booktabs table: a head over the measures of each set, the provenance in comments above."""
    words, wide = 1 + table.has_venues, len(table.measures)
    starts = [words + 1 + wide * number for number in range(len(table.sets))]
    heads = [*[""] * words, *(rf"\multicolumn{{{wide}}}{{c}}{{{escape_latex(name)}}}"
                              for name in table.sets)]
    rules = "".join(rf"\cmidrule(lr){{{start}-{start + wide - 1}}}" for start in starts)
    names = ["Method", *["Venue"] * table.has_venues,
             *(_latex_measure(measure) for _, measure in table.columns)]
    lines = [latex_row(heads), rules, latex_row(names), r"\midrule"]
    for row in table.rows:
        lines.append(latex_row([
            row.label.latex + _LATEX_SIGN[PUBLISHED] * row.published,
            *[escape_latex(row.venue)] * table.has_venues,
            *(latex_cell(escape_latex(number.text), number.mark)
              + _LATEX_SIGN[UNRANKED] * number.unranked for number in row.numbers)]))
    kind = "table*" if len(table.columns) > _BEYOND_A_COLUMN else "table"
    title = f"Scores on {table.sets[0]}" if len(table.sets) == 1 else \
        f"Scores on {', '.join(table.sets[:-1])} and {table.sets[-1]}"
    text = latex_frame(title, "l" * words + "c" * len(table.columns), lines, table.notes(), kind)
    return latex_document(text, table.provenance())


def _latex_measure(measure: str) -> str:
    arrow = r"$\downarrow$" if lower_is_better(measure) else r"$\uparrow$"
    return rf"{_LATEX.get(measure) or escape_latex(measure)}\,{arrow}"


def as_markdown(table: PaperTable) -> str:
    # Two dashes and > would end the comment.
    lines = [re.sub("-(?=-)", "- ", one_line(line)) for line in table.provenance()]
    return "\n".join([markdown(as_table(table)).partition("\n\n")[2],
                      "<!--", *lines, "-->", ""])


def as_csv(table: PaperTable) -> str:
    """A line for each row, numbers as printed; ``sources`` is its provenance."""
    return csv_text([
        {"method": row.label.name, "label": row.label.text, "venue": row.venue,
         "published": "yes" if row.published else "no"}
        | {f"{name} {measure}": "" if number.value is None else _text(number)
           for (name, measure), number in zip(table.columns, row.numbers, strict=True)}
        | {"profile": table.profile, "sources": "; ".join(row.sources)} for row in table.rows])


def as_excel(table: PaperTable) -> bytes:
    """A workbook: the table as it is printed, its numbers as printed but numbers, with the notes
    below; and a sheet with the provenance.

    Raises:
        UserError: openpyxl is not installed.
    """
    try:
        import openpyxl
    except ImportError:
        raise UserError("--save: .xlsx is written by the package openpyxl: pip install openpyxl"
                        ) from None
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "table"
    words, wide = 1 + table.has_venues, len(table.measures)
    for number, name in enumerate(table.sets):
        start = words + 1 + wide * number
        _put(sheet, 1, start, name).alignment = openpyxl.styles.Alignment(horizontal="center")
        if wide > 1:  # Excel takes a merged range of a single cell for damage
            sheet.merge_cells(start_row=1, end_row=1, start_column=start,
                              end_column=start + wide - 1)
    heads = ["method", *["venue"] * table.has_venues,
             *(_with_arrow(measure) for _, measure in table.columns)]
    for column, head in enumerate(heads, start=1):
        _put(sheet, 2, column, head)
    for line, row in enumerate(table.rows, start=3):
        for column, text in enumerate([_name(row), *[row.venue] * table.has_venues], start=1):
            _put(sheet, line, column, text)
        for column, number in enumerate(row.numbers, start=words + 1):
            _put_number(sheet, line, column, number)
    for line, note in enumerate(table.notes(), start=len(table.rows) + 4):
        _put(sheet, line, 1, note)
    sheet.column_dimensions["A"].width = 2 + max(len(_name(row)) for row in table.rows)
    sheet.freeze_panes = sheet.cell(3, words + 1)
    provenance = book.create_sheet("provenance")
    for line, text in enumerate(table.provenance(), start=1):
        _put(provenance, line, 1, text)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _put(sheet, line: int, column: int, text: str):
    """A cell of text, also one that begins like a formula."""
    cell = sheet.cell(line, column, one_line(text))
    cell.data_type = "s"
    return cell


def _put_number(sheet, line: int, column: int, number: Number) -> None:
    from openpyxl.styles import Alignment, Font

    if number.value is None:
        cell = _put(sheet, line, column, DASH)
    else:
        digits = len(number.text.partition(".")[2])
        cell = sheet.cell(line, column, float(number.text))
        whole = "" if number.text.startswith(".") else "0"
        cell.number_format = f"{whole}.{'0' * digits}" + f'"{UNRANKED}"' * number.unranked
    cell.font = Font(bold=number.mark == BEST,
                     underline="single" if number.mark == SECOND else None)
    cell.alignment = Alignment(horizontal="right")


#: A file's extension → the table in its format.
FORMATS: dict[str, Callable[[PaperTable], str | bytes]] = {
    ".tex": as_latex, ".md": as_markdown, ".csv": as_csv, ".xlsx": as_excel}


def print_paper(table: PaperTable, save: Sequence[Path]) -> None:
    """Print a table, and write it to files whose extensions name the formats.

    Raises:
        UserError: a file cannot be written; the others are written then.
    """
    contents = [(path, FORMATS[path.suffix.lower()](table)) for path in save]
    print_table(as_table(table))
    if failures := write_all(contents):
        raise UserError("\n".join(failures))


def require_format(path: Path) -> None:
    """Refuse a file whose extension names no format, see ``require_suffix``."""
    require_suffix(path, FORMATS, "with --layout paper ")
