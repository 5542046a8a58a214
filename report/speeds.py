"""Images a second of recipes, plain and here: ``docs/benchmarks.json``, and its table.

``python -m benchmarks.train --save FILE`` measures and writes; docs/zoo.md and docs/performance.md
show it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from utils.errors import UserError, counted
from utils.files import write_text
from utils.origin import short_commit
from utils.paths import DOCS

from .kept import items, lacking, read_rows
from .tables import piped

PATH = DOCS / "benchmarks.json"
#: Key of a row → its type. ``size`` and ``batch`` are of the measurement, not of the recipe.
#: ``training`` and ``inference`` hold images a second, ``plain`` and ``here``, and their ``ratio``;
#: ``memory`` is our peak over the plain side's; ``seconds`` are those of our step's parts.
KEYS = {"size": str, "batch": int, "training": dict, "inference": dict, "memory": float,
        "seconds": dict, "device": str, "machine": str, "cores": int, "torch": str, "date": str,
        "commit": str}
#: The parts of a step, in order.
STEP = ("data", "forward", "backward", "update")
_COMMAND = "python -m benchmarks.train --save FILE"
_SIDES = ("plain", "here", "ratio")
#: Where and when a row was measured.
_SESSION = ("date", "commit", "machine", "cores", "device", "torch")


def read_speeds(path: Path = PATH) -> dict[str, dict]:
    """Recipe → its row, by name; empty where the file is missing.

    Raises:
        UserError: the file cannot be read, or a row has not all of ``KEYS``.
    """
    rows = read_rows(path, _COMMAND)
    for name, row in items(rows):
        missing = lacking(row, KEYS)
        missing += [f"{key}.{side}" for key, sides in
                    {"training": _SIDES, "inference": _SIDES, "seconds": STEP}.items()
                    for side in sides if key not in missing
                    and not isinstance(row[key].get(side), float)]
        if missing:
            raise UserError(f"{path}: the row {name!r} lacks {', '.join(missing)}; measure it anew "
                            f"with {_COMMAND}")
    return rows


def add_speed(path: Path, name: str, row: Mapping[str, object]) -> None:
    """Put a recipe's row into the file, in place of its row of before; the others stay."""
    rows = read_speeds(path) | {name: dict(row)}
    lines = [f"{json.dumps(key)}: {json.dumps(rows[key])}" for key in sorted(rows)]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def head() -> str:
    """The table's first two lines."""
    return (f"| recipe | size, batch | training: plain | here | ratio | inference: plain | here "
            f"| ratio | memory | {', '.join(STEP)} |\n{piped(['---'] * 10)}\n")


def line(name: str, row: Mapping) -> str:
    """A recipe's line of the table."""
    return piped([name, f"{row['size']}, {row['batch']}",
                  *(f"{row[key][side]:.2f}" for key in ("training", "inference")
                    for side in _SIDES),
                  f"{row['memory']:.2f}",
                  " ".join(f"{row['seconds'][part]:.3f}" for part in STEP)]) + "\n"


def table(rows: Mapping[str, Mapping]) -> str:
    """All lines, the range of the ratios, and which rows were measured where and when."""
    if not rows:
        return "Nothing was measured yet.\n"
    ranges = " and ".join(
        f"{min(ratios):.2f} to {max(ratios):.2f} in {key}" for key in ("training", "inference")
        if (ratios := [row[key]["ratio"] for row in rows.values()]))
    sessions: dict[tuple, list[str]] = {}
    for name, row in sorted(rows.items()):
        sessions.setdefault(tuple(row[key] or "not noted" for key in _SESSION), []).append(name)
    measured = (
        f"- on {date} at {short_commit(commit)}, {machine}, {counted(cores, 'core')}, {device}, "
        f"torch {torch}: {', '.join(names)}\n"
        for (date, commit, machine, cores, device, torch), names in sessions.items())
    return "".join([head(), *(line(name, row) for name, row in sorted(rows.items())),
                    f"\nThe ratio is {ranges}. The rows were measured\n\n", *measured])
