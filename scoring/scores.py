"""``results/scores.json`` keeps every score that eval.py gave; tables and reports are made of it.

A list of rows, one for each method, data set and profile::

    [{"method": "cpd_vgg", "dataset": "ECSSD", "images": 1000, "expected": 1000,
      "profile": "pysodmetrics", "MAE": 0.0402…, "maxF": 0.9357…, …,
      "maps": "/…/results/cpd_vgg/ECSSD", "content": "5f3a…",
      "scored": {"date": "2026-11-21T22:08:28Z", "commit": "e9e1358…"},
      "origin": {"checkpoint": …, "sha256": …, …}}, …]

Measures are not rounded. ``limit`` is there where eval.py --limit chose the first so many images:
such a row never takes the place of others. ``empty`` is the number of truths without foreground.
``origin`` is what test.py wrote beside the maps (``utils/origin.py``), null for maps of others.
``content`` is a digest of maps and masks. When other maps or masks are scored under the same
method and set, with whatever profile, all rows of the old ones go: all numbers of a method on a set
belong to the same maps. When the same maps are scored again, new numbers replace old ones, and the
row's other measures stay; ``scored.earlier`` tells when those were given. Rows of ``--json``, which
lack ``maps`` and what follows it, can be read too.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock

from data.catalog import same_set
from metrics import MEASURES
from utils.errors import UserError, nearest
from utils.files import write_text
from utils.origin import commit, origin_of
from utils.values import read_json

from .jobs import Cell, JobScores

_BEFORE = ("method", "dataset", "images", "expected", "profile", "limit", "resized", "empty",
           "masks")
_AFTER = ("maps", "content", "scored", "origin")
#: What a row holds beside its measures, before them and after them.
ABOUT = _BEFORE + _AFTER
_COLUMNS = tuple(column for measure in MEASURES.values() for column in measure.columns)
_LIMIT = 1e300  # no score is as large; NaN and infinity are not below it

Row = dict


def measures_of(rows: Sequence[Row]) -> list[str]:
    """The measures that any of the rows has, in their order."""
    return list(dict.fromkeys(key for row in rows for key in row if key not in ABOUT))


def key_of(row: Row) -> tuple[str, str, str]:
    """Method, set and profile, of which there is one row."""
    return row["method"], row["dataset"], row["profile"]


def kept_rows(given: Sequence[JobScores]) -> list[Row]:
    """Rows with what is kept beside scores: which maps were scored, what made them, and when."""
    scored = {"date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
              "commit": commit()} if given else {}
    return [scores.row | {"maps": str(maps), "content": scores.result.content,
                          "scored": dict(scored), "origin": origin_of(maps)}
            for scores in given for maps in [scores.job.maps.absolute()]]


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
        if doubled := [key for key, many in Counter(map(key_of, rows)).items() if many > 1]:
            raise ValueError(f"several rows are of {doubled[0][0]} on {doubled[0][1]} under the "
                             f"profile {doubled[0][2]}")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be used: {error}. Mend it, or delete it and score "
                        "again") from None
    return [row | {"expected": row.get("expected", row["images"])} for row in rows]


def _problem(row: object) -> str:
    if not isinstance(row, dict):
        return "is not a mapping"
    for key, kind in (("method", str), ("dataset", str), ("profile", str), ("images", int)):
        if type(row.get(key)) is not kind:
            return f"has no {key}"
    for key, kind in (("images", int), ("expected", int), ("limit", int), ("resized", int),
                      ("empty", int), ("masks", str), ("maps", str), ("content", str),
                      ("scored", dict | None), ("origin", dict | None)):
        if key in row and (not isinstance(row[key], kind)
                           or (kind is int and not 0 <= row[key] < 2**53)):
            return f"has a damaged {key!r}"
    if not (isinstance(earlier := earlier_of(row), dict)
            and all(isinstance(value, dict) for value in earlier.values())):
        return "has a damaged 'scored'"
    wrong = [key for key in measures_of([row])
             if type(row[key]) not in (int, float) or not -_LIMIT < row[key] < _LIMIT]
    return f"has no number for {wrong[0]}" if wrong else ""


def keep_scores(path: Path, new: Sequence[Row]) -> list[Row]:
    """Lay new rows over those of ``path``, and return all, as they are to be shown.

    Rows of a ``limit`` are returned and not kept where they would replace rows without. The file
    is whole at any moment, and keeps the rows of evaluations that end at the same time.
    Where it cannot be written, a note says so and the rows are only returned.

    Raises:
        UserError: see ``read_scores``.
    """
    if not new:
        return read_scores(path)
    shown = None
    try:
        with _locked(path):
            rows, shown = _kept_and_shown(read_scores(path), new)
            write_text(path, json.dumps(rows, indent=1) + "\n")
    except OSError as error:
        print(f"note: the scores are not kept in {path}: {error.strerror}", file=sys.stderr)
    return _kept_and_shown(read_scores(path), new)[1] if shown is None else shown


def _kept_and_shown(before: Sequence[Row], new: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows to keep, see ``lay_over``, and those to show: of the sets of which rows of a
    ``limit`` are not kept, because others of other maps stay, the new ones."""
    staying = {}
    limited = {row_cell(row): row for row in new if "limit" in row}
    for row in before:
        newer = limited.get(row_cell(row))
        if newer and "limit" not in row and row.get("content") != newer.get("content"):
            staying[row_cell(row)] = f"{row['images']}/{row['expected']}"
    for (method, dataset), images in staying.items():
        few = limited[method, dataset]
        print(f"note: the scores of {method} on {dataset} of {images} images stay in "
              f"results/scores.json, and those of {few['images']}/{few['expected']} are not kept; "
              f"--forget {method}/{dataset} removes them", file=sys.stderr)
    rows = lay_over(before, [row for row in new if row_cell(row) not in staying])
    shown = [row for row in rows if row_cell(row) not in staying]
    return rows, sorted([*shown, *(row for row in new if row_cell(row) in staying)], key=key_of)


def forget(path: Path, names: Sequence[str]) -> None:
    """Remove rows from ``path``, and print which.

    Args:
        names: ``METHOD``, or ``METHOD/SET`` for its rows on one set.

    Raises:
        UserError: no such rows, of any of the names; then none are removed. See ``read_scores``.
    """
    with _locked(path):
        rows = read_scores(path)
        gone = [cell for name in names for cell in _cells_called(name, rows, path)]
        write_text(path, json.dumps([row for row in rows if row_cell(row) not in gone],
                                    indent=1) + "\n")
    for method, dataset in dict.fromkeys(gone):
        profiles = [row["profile"] for row in rows if row_cell(row) == (method, dataset)]
        print(f"forgot the scores of {method} on {dataset} (profiles {', '.join(profiles)})")


def _cells_called(name: str, rows: Sequence[Row], path: Path) -> list[Cell]:
    method, _, dataset = name.rpartition("/")
    kept = list(dict.fromkeys(map(row_cell, rows)))
    cells = [cell for cell in kept if cell[0] == name
             or (cell[0] == method and same_set(cell[1], dataset))]
    if not cells:
        known = dict.fromkeys(cell[0] for cell in kept)
        if method in known:
            known = [f"{method}/{cell[1]}" for cell in kept if cell[0] == method]
        raise UserError(f"--forget {name}: {path} has no scores of it; {nearest(name, list(known))}"
                        if kept else f"--forget {name}: {path} has no scores at all")
    return cells


def _locked(path: Path) -> FileLock:
    """While it is held, nobody else changes ``path``, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))


def lay_over(before: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """New rows and those of before, except rows of a new row's cell that are of other maps.

    Of the same maps, a new row takes the measures that it lacks from the row of before. A note
    names the scores that go because they are of other maps, or may be.
    """
    latest = {row_cell(row): row for row in new}
    rows = {key_of(row): row for row in new}
    replaced = {}
    for row in before:
        key, newer = key_of(row), latest.get(row_cell(row))
        certain = "content" in row
        if newer is None:
            rows[key] = row
        elif certain and row["content"] == newer.get("content"):
            # The same maps, which may have been moved, or predicted again by other code.
            rows[key] = _merged(row, rows[key]) if key in rows else row | {
                name: newer[name] for name in ("maps", "origin") if name in newer}
        elif certain or key not in rows:
            were = "were" if certain else "may be"
            replaced.setdefault((*row_cell(row), were), []).append(row["profile"])
    for (method, dataset, were), profiles in replaced.items():
        print(f"note: the scores of {method} on {dataset} kept before {were} of other maps or "
              f"masks (profiles {', '.join(profiles)}); they are not kept", file=sys.stderr)
    return [rows[key] for key in sorted(rows)]


def _merged(before: Row, newer: Row) -> Row:
    """A row of the same maps and profile as ``before``, with the measures of both, in order."""
    row = before | newer
    earlier = {name: earlier_of(before).get(name) or {
        key: value for key, value in (before.get("scored") or {}).items() if key != "earlier"}
        for name in measures_of([before]) if name not in newer}
    if earlier and newer.get("scored"):
        row["scored"] = newer["scored"] | {"earlier": earlier}
    order = dict.fromkeys((*_BEFORE, *_COLUMNS, *measures_of([row]), *_AFTER))
    return {key: row[key] for key in order if key in row and (key != "limit" or key in newer)}


def earlier_of(row: Row) -> dict[str, dict]:
    """Measure → when it was scored, and by which commit, of those older than the row's others."""
    return (row.get("scored") or {}).get("earlier", {})


def row_cell(row: Row) -> Cell:
    return row["method"], row["dataset"]
