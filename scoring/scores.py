"""``results/scores.json`` keeps every score that eval.py gave; tables and reports are made of it.

A list of rows, one for each method, data set and profile::

    [{"method": "cpd_vgg", "dataset": "ECSSD", "images": 1000, "expected": 1000,
      "profile": "pysodmetrics", "MAE": 0.0402…, "maxF": 0.9357…, …,
      "maps": "/…/results/cpd_vgg/ECSSD", "content": "5f3a…",
      "scored": {"date": "2026-11-21T22:08:28Z", "commit": "e9e1358…"},
      "origin": {"checkpoint": …, "sha256": …, …}}, …]

Measures are not rounded. ``origin`` is what test.py wrote beside the maps (``utils/origin.py``),
null for maps of others. ``content`` is a digest of maps and masks. When other maps or masks are
scored under the same method and set, with whatever profile, all rows of the old ones go: all
numbers of a method on a set belong to the same maps. Rows of ``--json``, which lack ``maps`` and
what follows it, can be read too.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock

from utils.errors import UserError
from utils.origin import commit, origin_of
from utils.values import read_json

from .jobs import JobScores

#: What a row holds beside its measures.
ABOUT = ("method", "dataset", "images", "expected", "resized", "masks", "profile", "maps",
         "content", "scored", "origin")

Row = dict


def measures_of(rows: Sequence[Row]) -> list[str]:
    """The measures that any of the rows has, in their order."""
    return list(dict.fromkeys(key for row in rows for key in row if key not in ABOUT))


def key_of(row: Row) -> tuple[str, str, str]:
    """Method, set and profile, of which there is one row."""
    return row["method"], row["dataset"], row["profile"]


def kept_rows(given: Sequence[JobScores]) -> list[Row]:
    """Rows with what is kept beside scores: which maps were scored, what made them, and when."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    kept = []
    for scores in given:
        maps = scores.job.maps.absolute()
        kept.append(scores.row | {"maps": str(maps), "content": scores.result.content,
                                  "scored": {"date": now, "commit": commit()},
                                  "origin": origin_of(maps)})
    return kept


def read_scores(path: Path) -> list[Row]:
    """The rows of ``path``, none when it is not there.

    Raises:
        UserError: damaged, or something else.
    """
    try:
        rows = read_json(path)
        if not isinstance(rows, list):
            raise ValueError("it is not a list of rows")
        for number, row in enumerate(rows):
            if problem := _problem(row):
                raise ValueError(f"row {number} {problem}")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be used: {error}. Delete it and score again") from None
    return [row | {"expected": row.get("expected", row["images"])} for row in rows]


def _problem(row: object) -> str:
    if not isinstance(row, dict):
        return "is not a mapping"
    for key, kind in (("method", str), ("dataset", str), ("profile", str), ("images", int)):
        if type(row.get(key)) is not kind:
            return f"has no {key}"
    for key, kind in (("expected", int), ("content", str), ("scored", dict | None),
                      ("origin", dict | None)):
        if key in row and not isinstance(row[key], kind):
            return f"has a damaged {key!r}"
    wrong = [key for key in measures_of([row]) if type(row[key]) not in (int, float)]
    return f"has no number for {wrong[0]}" if wrong else ""


def keep_scores(path: Path, new: Sequence[Row]) -> list[Row]:
    """Lay new rows over those of ``path``, and return all.

    The file is whole at any moment, and keeps the rows of evaluations that end at the same time.
    Where it cannot be written, a note says so and the rows are only returned.

    Raises:
        UserError: see ``read_scores``.
    """
    if not new:
        return read_scores(path)
    temporary, rows = path.with_name(f"{path.name}.{os.getpid()}.tmp"), []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            rows = lay_over(read_scores(path), new)
            temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
            temporary.replace(path)
    except OSError as error:
        print(f"note: the scores are not kept in {path}: {error.strerror}", file=sys.stderr)
        with suppress(OSError):
            temporary.unlink()
    return rows or lay_over(read_scores(path), new)


def lay_over(before: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """New rows and those of before, except rows of a new row's cell that are of other maps.

    A note names the scores that go because they are of other maps, or may be.
    """
    latest = {row_cell(row): row for row in new}
    rescored = {key_of(row) for row in new}
    rows, replaced = {}, {}
    for row in before:
        newer, certain = latest.get(row_cell(row)), "content" in row
        if newer is None:
            rows[key_of(row)] = row
        elif certain and row["content"] == newer.get("content"):
            # The same maps, which may have been moved, or predicted again by other code.
            rows[key_of(row)] = row | {key: newer[key] for key in ("maps", "origin")
                                       if key in newer}
        elif certain or key_of(row) not in rescored:
            were = "were" if certain else "may be"
            replaced.setdefault((*row_cell(row), were), []).append(row["profile"])
    for (method, dataset, were), profiles in replaced.items():
        print(f"note: the scores of {method} on {dataset} kept before {were} of other maps or "
              f"masks (profiles {', '.join(profiles)}); they are not kept", file=sys.stderr)
    rows |= {key_of(row): row for row in new}
    return [rows[key] for key in sorted(rows)]


def row_cell(row: Row) -> tuple[str, str]:
    return row["method"], row["dataset"]
