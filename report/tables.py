"""Tables as data, and how they are written: in the terminal, as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import rich.table
from PIL import Image
from rich.console import Console
from rich.text import Text

from metrics.compare import Difference
from scoring.scores import measures_of
from utils.errors import UserError, counted, printable
from utils.files import write_text, written_whole
from utils.images import SUFFIXES

DRAWN = "python -m report"  # what the PNG of a figure says of its software
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
RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_SIGNS = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", **{c: f"\\{c}" for c in "&%$#_"}, "✓": r"$\checkmark$",
    **{sign: f"$^{digit}$" for digit, sign in enumerate(RAISED)}, "×": r"$\times$",
    "†": r"$\dagger$", "‡": r"$\ddagger$", "–": r"\textendash{}", "…": r"\dots{}",
    "|": r"\textbar{}", "←": r"$\leftarrow$", "−": "$-$", "±": r"$\pm$",
    "<": r"\textless{}", ">": r"\textgreater{}", '"': "''",
    "[": "{[}", "*": "{*}",  # LaTeX reads these two as options after the end of a row
    "`": "{`}"})  # and this as another sign after ?, ! and its like


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
    """Print a table, whose numbers are never cut: a shorter number would be a wrong one.

    Where it does not fit the terminal, it is turned on its side, and its lines are printed a few
    at a time. In a file or a pipe it has its full width, unless COLUMNS tells another.
    """
    console = Console()
    if table.title:
        console.print(Text(one_line(table.title)))
    whole, wide = terminal(table), Console(width=10_000)
    limited = console.file.isatty() or "COLUMNS" in os.environ
    if not limited or wide.measure(whole).maximum <= console.width:
        wide.print(whole)
    else:
        for part in turned(table, console.width):
            wide.print(part)
    if table.notes:
        console.print(Text("".join(f"• {one_line(note)}\n" for note in table.notes)))


def terminal(table: Table) -> rich.table.Table:
    """Headings and rows for ``rich``."""
    body = rich.table.Table()
    for number, heading in enumerate(table.headings):
        body.add_column(Text(one_line(heading)), no_wrap=True,
                        justify="left" if number < table.words else "right")
    for group in table.groups:
        for row in group:
            body.add_row(*map(_text, row))
        body.add_section()
    return body


def turned(table: Table, width: int) -> list[rich.table.Table]:
    """The table with a line for each heading and a column for each row, in parts that are at most
    ``width`` wide. Where a single row is wider, its words are folded."""
    headings = [Text(one_line(heading), "bold") for heading in table.headings]
    room = width - 4 - max(heading.cell_len for heading in headings)
    parts: list[list[list[Text]]] = []
    free = 0
    for row in (list(map(_text, row)) for group in table.groups for row in group):
        needed = max(text.cell_len for text in row) + 3
        if needed > free:
            parts.append([])
            free = room
        parts[-1].append(row)
        free -= needed
    narrowest = max((text.cell_len for part in parts for row in part for text in row[table.words:]),
                    default=1)
    tables = []
    for part in parts:
        body = rich.table.Table(show_header=False)
        for number in range(len(part) + 1):
            body.add_column(justify="right" if number else "left", overflow="fold",
                            max_width=max(room - 3, narrowest) if number else None)
        for number, line in enumerate(zip(headings, *part, strict=True), start=1):
            body.add_row(*line, end_section=number == table.words)
        tables.append(body)
    return tables


def _text(cell: Cell) -> Text:
    return Text(one_line(cell.text), _TERMINAL[cell.mark])


def markdown(table: Table) -> str:
    """A heading, a pipe table and a list of notes."""
    lines = [f"### {escape_markdown(table.title)}", "",
             piped(escape_markdown(heading) for heading in table.headings),
             piped("---" if number < table.words else "--:"
                    for number in range(len(table.headings)))]
    lines += [piped(_MARKDOWN[cell.mark].format(escape_markdown(cell.text)) if cell.text else ""
                     for cell in row) for group in table.groups for row in group]
    return "\n".join([*lines, "", *(f"- {escape_markdown(note)}" for note in table.notes), ""])


def piped(texts: Iterable[str]) -> str:
    """A row of a Markdown table, of texts that are Markdown."""
    return f"| {' | '.join(texts)} |"


def latex(table: Table) -> str:
    """A ``table`` with booktabs rules, made smaller where the line is too short for it, with the
    notes below it in small type."""
    lines = [latex_row(map(escape_latex, table.headings))]
    for group in table.groups:
        lines.append(r"\midrule")
        lines += [latex_row(latex_cell(cell.text and escape_latex(cell.text), cell.mark)
                            for cell in row) for row in group]
    columns = "l" * table.words + "r" * (len(table.headings) - table.words)
    return latex_frame(table.title, columns, lines, table.notes)


def latex_cell(text: str, mark: str) -> str:
    """A cell of LaTeX, marked unless it is empty."""
    return _LATEX[mark].format(text) if text else ""


def latex_row(texts: Iterable[str]) -> str:
    """A row of cells of LaTeX."""
    line = " & ".join(texts) + r" \\"
    # After a rule or the end of a row, these two would be read as its options.
    return f"{{}}{line}" if line.lstrip().startswith(("[", "*")) else line


def latex_frame(title: str, columns: str, lines: Sequence[str], notes: Sequence[str],
                kind: str = "table") -> str:
    """The ``lines`` between the outer rules as a float of a ``kind``, with caption and notes.

    Args:
        title, notes: texts, which are set as they are.
        columns: their kinds, as ``tabular`` takes them.
    """
    text = [rf"\begin{{{kind}}}", r"\centering", rf"\caption{{{escape_latex(title)}}}\smallskip",
            rf"\resizebox{{{_WIDTH}}}{{!}}{{%", rf"\begin{{tabular}}{{{columns}}}", r"\toprule",
            *lines, r"\bottomrule", r"\end{tabular}}"]
    if notes:
        text += ["", r"\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
                 *(f"{escape_latex(note)}\\par" for note in notes), r"\end{minipage}"]
    return "\n".join([*text, rf"\end{{{kind}}}", ""])


def latex_file(tables: Iterable[Table]) -> str:
    """All tables, to be ``\\input`` in a document with the packages that the first line names."""
    return latex_document("\n".join(map(latex, tables)))


def latex_document(text: str, comments: Iterable[str] = ()) -> str:
    """Tables in LaTeX, after the packages that they need, in comments."""
    hint = "" if text.isascii() else "% Has letters that pdflatex may not know; lualatex does.\n"
    lines = "".join(f"% {one_line(comment)}\n" for comment in comments)
    return f"{PREAMBLE}\n{hint}{lines}{text}"


def one_line(text: str) -> str:
    """Text without line breaks and control characters, which file names may have."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", printable(text))


def escape_latex(text: str) -> str:
    """Text that LaTeX sets as it is."""
    minus = re.sub(r"^-(?=\.?\d)", "$-$", one_line(text).translate(_SIGNS))
    return re.sub("-(?=-)", "-{}", minus)  # two hyphens of an option, not a dash


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, in a table too."""
    return re.sub(r"([\\`*_{}\[\]<>|#~&$])", r"\\\1", one_line(text))


def csv_text(rows: Sequence[dict]) -> str:
    """CSV with a column for every key that any row has. See ``_no_formula`` for its names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows({key: _no_formula(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _no_formula(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value
    try:
        float(value)  # a difference, such as -0.003
    except ValueError:
        return f"'{value}"
    return value


def write(path: Path, content: str | bytes) -> None:
    """Write a file, whole or not at all, and make the folders that lead to it.

    Raises:
        UserError: it cannot be written.
    """
    try:
        if isinstance(content, bytes):
            with written_whole(path, "wb") as file:
                file.write(content)
        else:
            write_text(path, printable(content))
    except OSError as error:
        parents = map(str, path.absolute().parents)
        where = f"{error.filename}: " if error.filename in parents else ""
        raise UserError(f"cannot write {path}: {where}{error.strerror}") from None


def write_all(files: Iterable[tuple[Path, str | bytes]]) -> list[str]:
    """Write contents to files; one that cannot be written does not stop the others.

    Returns:
        A message for each that could not be written.
    """
    failures = []
    for path, content in files:
        try:
            write(path, content)
        except UserError as error:
            failures.append(str(error))
    return failures


def require_suffix(path: Path, formats: Iterable[str], layout: str = "") -> None:
    """Refuse a file to save whose extension names none of the formats.

    Args:
        layout: words on which tables have these formats.

    Raises:
        UserError: names the formats.
    """
    if path.suffix.lower() not in formats:
        raise UserError(f"--save {path}: {layout}the extension names the format, one of "
                        f"{', '.join(formats)}")


def require_own_files(taken: Mapping[Path, str], files: Iterable[tuple[str, Path | None]]) -> None:
    """Each file that is to be written must have a path to itself.

    Args:
        taken: files that are written anyway, and why.
        files: options with what they name, if anything.

    Raises:
        UserError: an option names what is taken, what another names, or a picture that is there
            and no figure that report drew.
    """
    taken = {path.resolve(): why for path, why in taken.items()}
    for option, path in files:
        if path is None or (path.exists() and not path.is_file()):  # a pipe may be named twice
            continue
        if why := taken.get(path.resolve()):
            raise UserError(f"{option} {path}: {why}; give another name, or leave it out")
        if path.suffix.lower() in SUFFIXES and path.exists() and not _is_figure(path):
            raise UserError(f"{option} {path}: a picture lies there, and would be lost; give "
                            "another name")
        taken[path.resolve()] = f"{option} writes that file already"


def _is_figure(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            return picture.info.get("Software") == DRAWN
    except (OSError, ValueError):
        return False


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
                 notes=[f"profile {rows[0]['profile']}: {source}", *empty_notes(rows)])


def empty_notes(rows: Iterable[dict]) -> list[str]:
    """A note for each data set some of whose truths have no foreground."""
    texts = dict.fromkeys(f"{row['dataset']}: {row['empty']} of {row['images']} truths are empty "
                          "(no foreground); F, wF, IoU and Dice are 0 on them, whatever the map"
                          for row in rows if row.get("empty"))
    return list(texts)


def differences_table(a: str, b: str, dataset: str, differences: Sequence[Difference]) -> Table:
    """Method ``a`` against method ``b`` on one data set."""
    lines = [cells(d.measure, f"{d.a:.4f}", f"{d.b:.4f}",
                   f"{d.a - d.b:+.5f}{' *' if d.low > 0 or d.high < 0 else ''}",
                   "–" if math.isnan(d.low) else f"{d.low:+.5f} … {d.high:+.5f}", str(d.wins),
                   str(d.losses), str(d.images - d.wins - d.losses)) for d in differences]
    return Table(f"{a} against {b} on {dataset}, {counted(differences[0].images, 'image')}",
                 ["measure", a, b, "difference", "interval", f"{a} better", f"{b} better", "equal"],
                 [lines], notes=["95 % bootstrap interval of the difference; * where it is without "
                                 "0, so that the difference is more than chance"])


def most_table(a: str, b: str, difference: Difference) -> Table:
    """The images on which two methods differ most."""
    return Table(f"images that differ most in {difference.measure}", ["image", a, b],
                 [[cells(name, f"{score_a:.4f}", f"{score_b:.4f}")
                   for name, score_a, score_b in difference.most]])
