"""How long the parts of a reproduction took, over all the sessions that it took.

Kept in the run's folder as ``parts.json``, so that the record of a run that was stopped, or of one
that was finished long ago, still says it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

import torch

from utils.machine import cores, processor, total_memory
from utils.origin import commit, versions


def _is_entry(part: object) -> bool:
    """Whether a file's part is one that ``WorkLog.session`` wrote."""
    kinds = {"of": str | None, "seconds": float | int | None, "sessions": int | None,
             "commits": list, "date": str, "versions": dict, "hardware": dict}
    return isinstance(part, dict) and all(
        key in part and isinstance(part[key], kind) for key, kind in kinds.items()) \
        and (part["seconds"] is None) == (part["sessions"] is None) \
        and all(isinstance(one, str) for one in part["commits"])


class WorkLog:
    """Time, commits and machine of each part of a run.

    A part's entry is ``of`` something: the files that its last session left. An entry that is of
    something else tells of other work, and its time is not that of what is there now.

    Args:
        folder: the run's.
        device: that the parts are computed on.
    """

    def __init__(self, folder: Path, device: torch.device):
        self.path, self.device = folder / "parts.json", device
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = {}
        found = found if isinstance(found, dict) else {}
        maps = found.pop("maps", {})
        # Whatever was done to the file, nothing is lost but times.
        self._parts: dict = {name: part for name, part in found.items() if _is_entry(part)}
        self._maps = {name: made for name, made in maps.items() if isinstance(made, str)} \
            if isinstance(maps, dict) else {}

    def entry(self, part: str, of: str | None) -> dict | None:
        """What is known of a part, None when nothing is known of what is there now."""
        found = self._parts.get(part)
        return found if found and found["of"] == of else None

    @contextlib.contextmanager
    def session(self, part: str, before: str | None, after: Callable[[], str | None],
                anew: bool) -> Iterator[None]:
        """Count the time of the block, however it is left.

        Args:
            before, after: what the part's entry is ``of``, at both ends of the session.
            anew: whether nothing was done before; else unknown times and sessions stay so.
        """
        entry = (None if anew else self.entry(part, before)) or {
            "seconds": 0.0 if anew else None, "sessions": 0 if anew else None, "commits": []}
        now, since = commit(), time.monotonic()
        try:
            yield
        finally:
            if entry["seconds"] is not None:
                entry["seconds"] = round(entry["seconds"] + time.monotonic() - since, 1)
                entry["sessions"] += 1
            commits = [*(one for one in entry["commits"] if one != now), now]
            self._parts[part] = entry | {
                "of": after(), "commits": commits,
                "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "versions": versions(), "hardware": hardware(self.device)}
            self._save()

    def _save(self) -> None:
        if self.path.parent.is_dir():  # a session may fail before the run has a folder
            temporary = self.path.with_name(self.path.name + ".tmp")
            content = self._parts | ({"maps": self._maps} if self._maps else {})
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            temporary.replace(self.path)

    def maps_of(self, dataset: str) -> str | None:
        """What made the maps of a set, None when that is not known."""
        return self._maps.get(dataset)

    def note_maps(self, dataset: str, made: str) -> None:
        """Say what makes the maps of a set from here on."""
        self._maps[dataset] = made
        self._save()


def together(entries: Sequence[dict | None]) -> dict | None:
    """One entry for several; of unknown time if that of one is not known."""
    known = [entry for entry in entries if entry]
    if not known:
        return None
    seconds, sessions = ([entry[key] if entry else None for entry in entries]
                         for key in ("seconds", "sessions"))
    return {"seconds": None if None in seconds else round(sum(seconds), 1),
            "sessions": None if None in sessions else max(sessions),
            "commits": list(dict.fromkeys(one for entry in known for one in entry["commits"])),
            "date": max(entry["date"] for entry in known)}


def hardware(device: torch.device) -> dict[str, object]:
    """What a time depends on, and not whose machine it is."""
    memory = total_memory()
    found: dict[str, object] = {"processor": processor(), "cores": cores(),
                                "memory_gib": memory and round(memory / 2**30)}
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(device)
        found |= {"gpu": gpu.name, "gpu_memory_gib": round(gpu.total_memory / 2**30)}
    return found
