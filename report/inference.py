"""How fast each runtime predicts: ``docs/inference.json``, and its table in docs/performance.md.

``python -m benchmarks.inference --save docs/inference.json`` measures and writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from utils.errors import counted
from utils.origin import short_commit
from utils.paths import DOCS

from .kept import Rows, add_kept, read_kept
from .tables import piped

PATH = DOCS / "inference.json"
#: Key of a row → its type. ``images`` are images a second at ``batch``, ``latency`` and ``slow``
#: the median and the 95th percentile of the milliseconds of one image; each has ``model``, the
#: network alone, and ``end``, from a file to the map's file. ``memory`` is the process's peak in
#: MiB. ``distance`` is the mean difference of a logit from that of torch in fp32, in deviations of
#: these. ``counts`` are parameters and multiply–adds. ``load`` is the machine's before, in
#: processes that compute or wait for it: 0 on one that is quiet.
KEYS = {"size": str, "batch": int, "images": dict, "latency": dict, "slow": dict, "memory": float,
        "distance": float, "counts": list, "threads": int, "machine": str, "version": str,
        "load": float, "date": str, "commit": str}
#: The runtime and precision that the others are compared with.
PLAIN = "torch fp32"
_SESSION = ("date", "commit", "machine", "threads")
_HEAD = ("recipe", "parameters, multiply–adds", "size, batch", "runtime", "images/s: network",
         "ratio", "end to end", "ms of one: network, 95 %", "end to end, 95 %", "memory, MiB",
         "distance")


def read_inference(path: Path = PATH) -> Rows:
    """Recipe → runtime → row, see ``report.kept.read_kept``."""
    return read_kept(path, KEYS, "python -m benchmarks.inference --save FILE")


def add_inference(path: Path, name: str, side: str, row: Mapping[str, object]) -> None:
    """Put a recipe's row of a runtime into the file, in place of that of before."""
    add_kept(path, read_inference(path), name, side, row)


def head() -> str:
    """The table's first two lines."""
    return f"{piped(_HEAD)}\n{piped(['---'] * len(_HEAD))}\n"


def line(name: str, side: str, row: Mapping, plain: Mapping | None) -> str:
    """A runtime's line of the table.

    Args:
        plain: the row of ``PLAIN``, if it was measured.
    """
    parameters, products = row["counts"]
    ratio = f"{row['images']['model'] / plain['images']['model']:.2f}" if plain else "–"
    times = (f"{row['latency'][part]:.0f}, {row['slow'][part]:.0f}" for part in ("model", "end"))
    return piped([f"`{name}`", f"{parameters / 1e6:.2f} M, {products / 1e9:.2f} G",
                  f"{row['size']}, {row['batch']}", side, f"{row['images']['model']:.2f}", ratio,
                  f"{row['images']['end']:.2f}", *times, f"{row['memory']:.0f}",
                  ("–" if plain is None else f"{row['distance']:.0e}" if row["distance"] else "0")
                  ]) + "\n"


def table(rows: Rows) -> str:
    """All lines, and which rows were measured where and when."""
    if not rows:
        return "Nothing was measured yet.\n"
    text, sessions = head(), {}
    for name, sides in sorted(rows.items()):
        # torch comes first, as the others are compared with it.
        for side in sorted(sides, key=lambda side: (side != PLAIN, "torch" not in side, side)):
            row = sides[side]
            text += line(name, side, row, sides.get(PLAIN))
            versions, loads, names = sessions.setdefault(tuple(row[key] for key in _SESSION),
                                                         (set(), [], []))
            versions.add(row["version"])
            loads.append(row["load"])
            names.append(name)
    return text + "\nThe rows were measured\n\n" + "".join(
        f"- on {date} at {short_commit(commit)}, {machine}, "
        f"{counted(threads, 'thread')}, {', '.join(sorted(versions))}, at a load of "
        f"{min(loads):.1f} to {max(loads):.1f}: {', '.join(dict.fromkeys(names))}\n"
        for (date, commit, machine, threads), (versions, loads, names) in sessions.items())
