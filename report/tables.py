"""Tables of scores."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

MEASURES = ("MAE", "maxF", "meanF", "adpF")


def scores_table(rows: Sequence[dict], profile: str) -> Table:
    """A table of ``eval.py``'s rows: one line for each method and data set, four digits."""
    table = Table(caption=f"profile {profile}")
    for heading in ("method", "data set"):
        table.add_column(heading)
    for heading in ("images", *MEASURES):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        complete = row["images"] == row["expected"]
        images = str(row["images"]) if complete else f"{row['images']}/{row['expected']}"
        table.add_row(row["method"], row["dataset"], images,
                      *(f"{row[measure]:.4f}" for measure in MEASURES))
    return table
