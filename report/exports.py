"""How each network exports: ``docs/exports.json``, and its table in docs/export.md.

``tests/engine/test_every_export.py`` exports, holds the files against the networks, and keeps the
rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.export import FORMATS, TOLERANCE
from utils.origin import short_commit
from utils.paths import DOCS

from .kept import Rows, add_kept, read_kept
from .tables import piped

PATH = DOCS / "exports.json"
#: Key of a row → its type. ``reason`` tells why a network does not export, and is empty where it
#: does. ``sizes`` are those of the images that the file takes, ``free`` or as 224×224.
#: ``difference`` is the largest between a probability of the file and of the network, ``range``
#: that between two probabilities of the network's maps. ``options`` are the network's.
KEYS = {"reason": str, "sizes": str, "difference": float, "range": float, "megabytes": float,
        "options": dict, "torch": str, "onnxruntime": str, "date": str, "commit": str}
FREE = "free"
#: With which versions and when a row was made.
_SESSION = ("date", "commit", "torch", "onnxruntime")
_TEST = "SOD_EXPORTS=docs/exports.json python -m pytest tests/engine/test_every_export.py"


def failure(reason: str) -> dict:
    """What a row holds of a network that does not export, without its session."""
    return {"reason": reason, "sizes": "", "difference": 0.0, "range": 0.0, "megabytes": 0.0}


def read_exports(path: Path = PATH) -> Rows:
    """Network → format → row, see ``report.kept.read_kept``."""
    return read_kept(path, KEYS, _TEST)


def add_export(path: Path, name: str, kind: str, row: Mapping[str, object]) -> None:
    """Put a network's row of a format into the file, in place of that of before."""
    add_kept(path, read_exports(path), name, kind, row)


def table(networks: Rows) -> str:
    """A line for each network, why some do not export, and which rows were made when."""
    if not networks:
        return "Nothing was exported yet.\n"
    lines = [["network", "height and width", "range", *FORMATS],
             ["---", "---", "--:", *["--:"] * len(FORMATS)]]
    reasons, sessions = [], {}
    for name, rows in sorted(networks.items()):
        exported = [row for row in rows.values() if not row["reason"]]
        sizes = dict.fromkeys(row["sizes"] for row in exported)
        lines.append([_named(name, rows), " / ".join(sizes) or "–",
                      f"{max(row['range'] for row in exported):.2g}" if exported else "–",
                      *(_cell(rows.get(kind)) for kind in FORMATS)])
        reasons += [f"- `{name}`, {kind}: {row['reason']}\n" for kind, row in rows.items()
                    if row["reason"]]
        for row in rows.values():
            sessions.setdefault(tuple(row[key] for key in _SESSION), set()).add(name)
    count = sum(not row["reason"] for rows in networks.values() for row in rows.values())
    total = sum(map(len, networks.values()))
    worst = max(row["difference"] for rows in networks.values() for row in rows.values())
    text = "".join(f"{piped(line)}\n" for line in lines)
    text += (f"\n{count} of {total} exports are whole, and the largest difference of all is "
             f"{worst:.1e}, where {TOLERANCE:g} is allowed.")
    text += f" The others fail:\n\n{''.join(reasons)}\n" if reasons else " "
    return text + "The rows were made\n\n" + "".join(
        f"- on {date} at {short_commit(commit)}, torch {torch}, onnxruntime {onnxruntime}: "
        + (", ".join(sorted(names)) if len(sessions) > 1 else "all of them") + "\n"
        for (date, commit, torch, onnxruntime), names in sessions.items())


def _named(name: str, rows: Mapping[str, Mapping]) -> str:
    """The network, and options with which it was exported."""
    options = {key: value for row in rows.values() for key, value in row["options"].items()}
    return f"`{name}`" + "".join(f" `model.options.{key}={value}`"
                                 for key, value in options.items())


def _cell(row: Mapping | None) -> str:
    if row is None:
        return "not tried"
    return "no" if row["reason"] else f"{row['difference']:.1e}, {row['megabytes']:.1f} MB"
