"""What was scored: whose maps, by which weights and code."""

from __future__ import annotations

from collections.abc import Sequence

from scoring.scores import Row

from .sheets import Cell, Sheet
from .tables import images_text


def origin_sheet(rows: Sequence[Row]) -> Sheet:
    """What was scored: maps, the weights that made them, and the code at both ends."""
    together: dict[tuple, list[Row]] = {}
    for row in rows:
        which = row.get("content"), (row.get("origin") or {}).get("sha256")
        together.setdefault((row["method"], row["dataset"], *which), []).append(row)
    lines = []
    for (method, dataset, *_), same in together.items():
        origin, scored = same[0].get("origin") or {}, same[0].get("scored") or {}
        texts = [method, dataset, ", ".join(row["profile"] for row in same),
                 str(origin.get("checkpoint", "unknown, maps of others")),
                 str(origin.get("sha256", ""))[:12], _state(origin),
                 _short(origin.get("commit", "")), _short(scored.get("commit", "")),
                 str(scored.get("date", ""))[:10], images_text(same[0])]
        lines.append([Cell(text) for text in texts])
    return Sheet("what was scored", ["method", "data set", "profiles", "checkpoint", "SHA-256",
                                     "maps", "maps' commit", "scores' commit", "scored", "images"],
                 [lines], words=9)


def _state(origin: dict) -> str:
    if not origin:
        return ""
    kept = f", {origin['kept']} of an earlier run" if origin.get("kept") else ""
    return ("complete" if origin.get("finished") else "unfinished") + kept


def _short(commit: str) -> str:
    """Ten digits of a commit, and whether files differed from it."""
    head, plus, rest = str(commit).partition("+")
    return head[:10] + plus + rest

