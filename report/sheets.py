"""A table as data, and how it is written: in the terminal, as Markdown, as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

#: How a cell is marked: best and second best of its column, or not to be relied on.
BEST, SECOND, UNSURE = "best", "second", "unsure"

_TERMINAL = {BEST: "bold green", SECOND: "underline", UNSURE: "grey50", "": ""}
_MARKDOWN = {BEST: "**{}**", SECOND: "<u>{}</u>", UNSURE: "<sub>{}</sub>", "": "{}"}
_LATEX = {BEST: r"\textbf{{{}}}", SECOND: r"\underline{{{}}}", UNSURE: r"\textcolor{{gray}}{{{}}}",
          "": "{}"}
#: What the LaTeX tables use.
PREAMBLE = r"% \usepackage{amssymb, booktabs, graphicx, xcolor}"
#: Of a table: its own width, or that of the line where it would run over the margin.
_WIDTH = r"\ifdim\width>\linewidth\linewidth\else\width\fi"
_SPECIAL = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
            "^": r"\textasciicircum{}", **{c: f"\\{c}" for c in "&%$#_"}}
_SIGNS = {"✓": r"$\checkmark$", "–": r"\textendash{}", "…": r"\dots{}", "|": r"\textbar{}",
          "←": r"$\leftarrow$", "<": r"\textless{}", ">": r"\textgreater{}", '"': "''",
          "[": "{[}", "*": "{*}"}  # after the end of a line, these two would be its options


@dataclass(frozen=True)
class Cell:
    text: str
    mark: str = ""


@dataclass
class Sheet:
    """A table.

    Attributes:
        groups: rows that belong together; each row has as many cells as there are headings.
        words: number of columns, from the left, that hold words; numbers are set to the right.
        notes: sentences below the table.
    """

    title: str
    headings: Sequence[str]
    groups: list[list[list[Cell]]]
    words: int = 1
    notes: list[str] = field(default_factory=list)


def terminal(sheet: Sheet) -> Table:
    """For ``report.tables.print_table``."""
    table = Table(title=Text(one_line(sheet.title)),
                  caption=Text("".join(f"• {one_line(note)}\n" for note in sheet.notes)))
    for number, heading in enumerate(sheet.headings):
        table.add_column(Text(heading), no_wrap=True,
                         justify="left" if number < sheet.words else "right")
    for group in sheet.groups:
        for row in group:
            table.add_row(*(Text(one_line(cell.text), _TERMINAL[cell.mark]) for cell in row))
        table.add_section()
    return table


def markdown(sheet: Sheet) -> str:
    """A heading, a pipe table and a list of notes."""
    lines = [f"### {escape_markdown(sheet.title)}", "",
             _piped(escape_markdown(heading) for heading in sheet.headings),
             _piped("---" if number < sheet.words else "--:"
                    for number in range(len(sheet.headings)))]
    lines += [_piped(_MARKDOWN[cell.mark].format(escape_markdown(cell.text)) if cell.text else ""
                     for cell in row) for group in sheet.groups for row in group]
    return "\n".join([*lines, "", *(f"- {escape_markdown(note)}" for note in sheet.notes), ""])


def _piped(cells) -> str:
    return f"| {' | '.join(cells)} |"


def latex(sheet: Sheet) -> str:
    """A ``table`` with booktabs rules, made smaller where the line is too short for it; the notes
    stand below it in small type."""
    columns = "l" * sheet.words + "r" * (len(sheet.headings) - sheet.words)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{escape_latex(sheet.title)}}}",
             rf"\resizebox{{{_WIDTH}}}{{!}}{{%",
             rf"\begin{{tabular}}{{{columns}}}", r"\toprule",
             " & ".join(map(escape_latex, sheet.headings)) + r" \\"]
    for group in sheet.groups:
        lines.append(r"\midrule")
        lines += [" & ".join(_LATEX[cell.mark].format(escape_latex(cell.text)) if cell.text else ""
                             for cell in row) + r" \\" for row in group]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if sheet.notes:
        lines += ["", r"\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
                  *(f"{escape_latex(note)}\\par" for note in sheet.notes), r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}", ""])


def one_line(text: str) -> str:
    """Without line breaks and control characters, which file names may have."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text)


def escape_latex(text: str) -> str:
    """Text that LaTeX sets as it is."""
    escaped = "".join(_SPECIAL.get(c) or _SIGNS.get(c, c) for c in one_line(text))
    minus = re.sub(r"^-(?=\.?\d)", "$-$", escaped)
    return re.sub("-(?=-)", "-{}", minus)  # two hyphens of an option, not a dash


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", one_line(text))
