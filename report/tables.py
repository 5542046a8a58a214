"""Tables as data, and how they are written: in the terminal, as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import rich.table
from rich.console import Console
from rich.text import Text

from metrics.compare import Difference
from scoring.scores import measures_of
from utils.errors import UserError

#: How a cell is marked: best or second best of its column, or a number that nobody has verified.
BEST, SECOND, UNSURE = "best", "second", "unsure"

_TERMINAL = {BEST: "bold green", SECOND: "underline", UNSURE: "grey50", "": ""}
_MARKDOWN = {BEST: "**{}**", SECOND: "<u>{}</u>", UNSURE: "<sub>{}</sub>", "": "{}"}
_LATEX = {BEST: r"\textbf{{{}}}", SECOND: r"\underline{{{}}}", UNSURE: r"\textcolor{{gray}}{{{}}}",
          "": "{}"}
#: The packages that the LaTeX tables need.
PREAMBLE = r"% \usepackage{amssymb, booktabs, graphicx, xcolor}"
#: Width of a LaTeX table: its own, or that of the line where it would run over the margin.
_WIDTH = r"\ifdim\width>\linewidth\linewidth\else\width\fi"
_SIGNS = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", **{c: f"\\{c}" for c in "&%$#_"}, "✓": r"$\checkmark$",
    "–": r"\textendash{}", "…": r"\dots{}", "|": r"\textbar{}", "←": r"$\leftarrow$",
    "<": r"\textless{}", ">": r"\textgreater{}", '"': "''",
    "[": "{[}", "*": "{*}"})  # LaTeX reads these two as options after the end of a row


@dataclass(frozen=True)
class Cell:
    text: str
    mark: str = ""  # BEST, SECOND, UNSURE or nothing


@dataclass
class Table:
    """A table.

    Attributes:
        groups: groups of rows, parted by a line; each row has as many cells as there are headings.
        words: number of columns, from the left, that hold words; numbers are set to the right.
        notes: sentences below the table.
    """

    title: str
    headings: Sequence[str]
    groups: list[list[list[Cell]]]
    words: int = 1
    notes: list[str] = field(default_factory=list)


def cells(*texts: str, mark: str = "") -> list[Cell]:
    """A row of equally marked cells."""
    return [Cell(text, mark) for text in texts]


def print_table(table: Table) -> None:
    """Print at full width: a number that is cut short to fit the terminal would be a wrong one.

    Title and notes, which may wrap, are as wide as the terminal.
    """
    console = Console()
    if table.title:
        console.print(Text(one_line(table.title)))
    Console(width=10_000).print(terminal(table))
    if table.notes:
        console.print(Text("".join(f"• {one_line(note)}\n" for note in table.notes)))


def terminal(table: Table) -> rich.table.Table:
    """Headings and rows for ``rich``."""
    body = rich.table.Table()
    for number, heading in enumerate(table.headings):
        body.add_column(Text(heading), no_wrap=True,
                        justify="left" if number < table.words else "right")
    for group in table.groups:
        for row in group:
            body.add_row(*(Text(one_line(cell.text), _TERMINAL[cell.mark]) for cell in row))
        body.add_section()
    return body


def markdown(table: Table) -> str:
    """A heading, a pipe table and a list of notes."""
    lines = [f"### {escape_markdown(table.title)}", "",
             _piped(escape_markdown(heading) for heading in table.headings),
             _piped("---" if number < table.words else "--:"
                    for number in range(len(table.headings)))]
    lines += [_piped(_MARKDOWN[cell.mark].format(escape_markdown(cell.text)) if cell.text else ""
                     for cell in row) for group in table.groups for row in group]
    return "\n".join([*lines, "", *(f"- {escape_markdown(note)}" for note in table.notes), ""])


def _piped(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |"


def latex(table: Table) -> str:
    """A ``table`` with booktabs rules, made smaller where the line is too short for it, with the
    notes below it in small type."""
    columns = "l" * table.words + "r" * (len(table.headings) - table.words)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape_latex(table.title)}}}",
             rf"\resizebox{{{_WIDTH}}}{{!}}{{%",
             rf"\begin{{tabular}}{{{columns}}}", r"\toprule",
             " & ".join(map(escape_latex, table.headings)) + r" \\"]
    for group in table.groups:
        lines.append(r"\midrule")
        lines += [" & ".join(_LATEX[cell.mark].format(escape_latex(cell.text)) if cell.text else ""
                             for cell in row) + r" \\" for row in group]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if table.notes:
        lines += ["", r"\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
                  *(f"{escape_latex(note)}\\par" for note in table.notes), r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}", ""])


def latex_file(tables: Iterable[Table]) -> str:
    """All tables, to be ``\\input`` in a document with the packages that the first line names."""
    text = "\n".join(map(latex, tables))
    hint = "" if text.isascii() else "% Has letters that pdflatex may not know; lualatex does.\n"
    return f"{PREAMBLE}\n{hint}{text}"


def one_line(text: str) -> str:
    """Text without line breaks and control characters, which file names may have."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text)


def escape_latex(text: str) -> str:
    """Text that LaTeX sets as it is."""
    minus = re.sub(r"^-(?=\.?\d)", "$-$", one_line(text).translate(_SIGNS))
    return re.sub("-(?=-)", "-{}", minus)  # two hyphens of an option, not a dash


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", one_line(text))


def csv_text(rows: Sequence[dict]) -> str:
    """CSV with a column for every key that any row has."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write(path: Path, text: str) -> None:
    """Write a file, and make the folders that lead to it.

    Raises:
        UserError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def images_text(row: dict) -> str:
    """``1000``, ``998/1000`` where maps are missing, ``1000 (12 resized)``."""
    complete = row["images"] == row["expected"]
    text = str(row["images"]) if complete else f"{row['images']}/{row['expected']}"
    return f"{text} ({row['resized']} resized)" if row.get("resized") else text


def scores_table(rows: Sequence[dict], source: str) -> Table:
    """``eval.py``'s rows: a line for each method and data set, with four digits.

    ``source``: whose definitions the scores follow.
    """
    measures = measures_of(rows)
    lines = [cells(row["method"], row["dataset"], images_text(row),
                   *(f"{row[measure]:.4f}" for measure in measures)) for row in rows]
    return Table("", ["method", "data set", "images", *measures], [lines], words=2,
                 notes=[f"profile {rows[0]['profile']}: {source}"])


def differences_table(a: str, b: str, dataset: str, differences: Sequence[Difference]) -> Table:
    """Method ``a`` against method ``b`` on one data set."""
    lines = [cells(d.measure, f"{d.a:.4f}", f"{d.b:.4f}",
                   f"{d.a - d.b:+.5f}{' *' if d.low > 0 or d.high < 0 else ''}",
                   f"{d.low:+.5f} … {d.high:+.5f}", str(d.wins), str(d.losses),
                   str(d.images - d.wins - d.losses)) for d in differences]
    return Table(f"{a} against {b} on {dataset}, {differences[0].images} images",
                 ["measure", a, b, "difference", "interval", f"{a} better", f"{b} better", "equal"],
                 [lines], notes=["95 % bootstrap interval of the difference; * where it is without "
                                 "0, so that the difference is more than chance"])


def most_table(a: str, b: str, difference: Difference) -> Table:
    """The images on which two methods differ most."""
    return Table(f"images that differ most in {difference.measure}", ["image", a, b],
                 [[cells(name, f"{score_a:.4f}", f"{score_b:.4f}")
                   for name, score_a, score_b in difference.most]])
