"""Tables of scores for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from metrics.compare import Difference
from scoring.scores import measures_of


def print_table(table: Table) -> None:
    """Print at full width: a number that is cut short to fit a terminal would be a wrong one.

    Title and caption become lines of their own, which do not wrap at the table's width.
    """
    title, caption, table.title, table.caption = table.title, table.caption, None, None
    console = Console()
    needed = Measurement.get(console, console.options.update(max_width=10_000), table).maximum
    console = Console(width=max(console.width, needed))
    for part in (title, table, caption):
        if part:
            console.print(part)


def scores_table(rows: Sequence[dict], source: str) -> Table:
    """A table of ``eval.py``'s rows: one line for each method and data set, four digits.

    ``source``: whose definitions the scores follow.
    """
    measures = measures_of(rows)
    table = Table(caption=f"profile {rows[0]['profile']}: {source}")
    for heading in ("method", "data set"):
        table.add_column(heading)
    for heading in ("images", *measures):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row["method"], row["dataset"], images_text(row),
                      *(f"{row[measure]:.4f}" for measure in measures))
    return table


def images_text(row: dict) -> str:
    """``1000``, ``998/1000`` where maps are missing, ``1000 (12 resized)``."""
    complete = row["images"] == row["expected"]
    text = str(row["images"]) if complete else f"{row['images']}/{row['expected']}"
    return f"{text} ({row['resized']} resized)" if row.get("resized") else text


def differences_table(a: str, b: str, dataset: str, differences: Sequence[Difference]) -> Table:
    """Method A against method B on one data set."""
    table = Table(title=f"{a} against {b} on {dataset}, {differences[0].images} images",
                  caption="95 % bootstrap interval of the difference; * where it is without 0, "
                          "so that the difference is more than chance")
    table.add_column("measure")
    for heading in (a, b, "difference", "interval", f"{a} better", f"{b} better", "equal"):
        table.add_column(heading, justify="right", no_wrap=True)
    for d in differences:
        sure = " *" if d.low > 0 or d.high < 0 else ""
        table.add_row(d.measure, f"{d.a:.4f}", f"{d.b:.4f}", f"{d.a - d.b:+.5f}{sure}",
                      f"{d.low:+.5f} … {d.high:+.5f}", str(d.wins), str(d.losses),
                      str(d.images - d.wins - d.losses))
    return table


def most_table(a: str, b: str, difference: Difference) -> Table:
    """The images on which two methods differ most."""
    table = Table(title=f"images that differ most in {difference.measure}")
    table.add_column("image")
    for heading in (a, b):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, one, other in difference.most:
        table.add_row(name, f"{one:.4f}", f"{other:.4f}")
    return table
