"""``results/scores.json``: every score that eval.py gave, which tables and reports are made of.

A list of rows, one for each method, data set and profile::

    [{"method": "cpd_vgg", "dataset": "ECSSD", "images": 1000, "expected": 1000,
      "profile": "pysodmetrics", "MAE": 0.0402…, "maxF": 0.9357…, …,
      "maps": "/…/results/cpd_vgg/ECSSD",
      "scored": {"date": "2026-11-21T22:08:28Z", "commit": "e9e1358…"},
      "origin": {"checkpoint": …, "sha256": …, …}}, …]

Measures are not rounded. ``origin`` is what test.py left beside the maps (``utils/origin.py``),
null for maps of others. A row is replaced as a whole when its method and set are scored again
under its profile, so that all its numbers belong to the same maps. Rows of ``--json``, which have
neither ``maps`` nor what follows, can be read too.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock

from utils.errors import UserError
from utils.origin import commit, origin_of

#: What a row holds beside its measures.
ABOUT = ("method", "dataset", "images", "expected", "resized", "profile", "maps", "scored",
         "origin")

Row = dict


def measures_of(rows: Sequence[Row]) -> list[str]:
    """The measures that any of the rows has, in their order."""
    return list(dict.fromkeys(key for row in rows for key in row if key not in ABOUT))


def key_of(row: Row) -> tuple[str, str, str]:
    return row["method"], row["dataset"], row["profile"]


def stamp() -> dict[str, str]:
    """When, and by which code: the same for all scores of a run."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"date": now, "commit": commit()}


def about(maps: Path, when: dict[str, str]) -> Row:
    """What a kept row says beside its scores: where the maps lie, what made them, ``stamp``."""
    return {"maps": str(maps.absolute()), "scored": when, "origin": origin_of(maps)}


def read_scores(path: Path) -> list[Row]:
    """The rows of ``path``, none when it is not there.

    Raises:
        UserError: damaged, or something else.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from None
    if not isinstance(rows, list):
        raise _unusable(path, "it is not a list of rows")
    for number, row in enumerate(rows):
        if problem := _problem(row):
            raise _unusable(path, f"row {number} {problem}")
        row.setdefault("expected", row["images"])
    return rows


def _unusable(path: Path, problem: object) -> UserError:
    return UserError(f"{path} cannot be used: {problem}. Delete it and score again; maps that were "
                     "scored before take seconds")


def _problem(row: object) -> str:
    if not isinstance(row, dict):
        return "is not a mapping"
    for key, kind in (("method", str), ("dataset", str), ("profile", str), ("images", int)):
        if type(row.get(key)) is not kind:
            return f"has no {key}"
    if type(row.get("expected", 0)) is not int:
        return "has no number of expected images"
    for key in ("scored", "origin"):
        if not isinstance(row.get(key) or {}, dict):
            return f"has a damaged {key!r}"
    wrong = [key for key in measures_of([row]) if type(row[key]) not in (int, float)]
    return f"has no number for {wrong[0]}" if wrong else ""


def keep_scores(path: Path, new: Sequence[Row]) -> list[Row]:
    """Lay new rows over those of ``path``; returns all. The file is whole at any moment, and keeps
    what several evaluations give at the same time.

    Where it cannot be written, a note says so and the rows are only returned.

    Raises:
        UserError: see ``read_scores``.
    """
    if not new:
        return read_scores(path)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            before = read_scores(path)
            merged = _lay_over(before, new)
            temporary.write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")
            temporary.replace(path)
    except OSError as error:
        print(f"note: the scores are not kept in {path}: {error.strerror}", file=sys.stderr)
        before = read_scores(path)
        merged = _lay_over(before, new)
    _say_replaced(before, new)
    return merged


def _lay_over(before: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    rows = {key_of(row): row for row in (*before, *new)}
    return [rows[key] for key in sorted(rows)]


def _say_replaced(before: Sequence[Row], new: Sequence[Row]) -> None:
    known = {key_of(row): row for row in before}
    for row in new:
        maps = known.get(key_of(row), row).get("maps", row.get("maps"))
        if maps != row.get("maps"):
            print(f"note: the scores of {row['method']} on {row['dataset']} replace those of other "
                  f"maps, {maps}", file=sys.stderr)
