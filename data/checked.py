"""Which files an earlier check has read, and had nothing to tell of: no later one reads them.

A pair is known by the paths, sizes and times of change of its files, and by what was asked of them.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import PIL

from utils.files import write_text

from .pairing import Pair

_VERSION = "1"  # of what a check says of a pair: to be raised when that changes
_MOST = 200_000  # pairs, the last ones: 7 MB
_TICK = 2  # seconds; a file may change again without another time, which FAT counts in these steps


class Checked:
    """Digests of pairs, in a file with a line for each. Runs that write it at the same time may
    lose each other's, which are then checked again."""

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> set[str]:
        """The digests; none where there is no file that can be read."""
        return set(self._lines())

    def add(self, used: Iterable[str], new: Iterable[str]) -> None:
        """Add ``new`` digests, and forget the oldest where they become too many; those that are
        ``used`` are no older than the new ones. Where the file cannot be written, a note says so.
        """
        if not (new := list(new)):
            return
        latest = dict.fromkeys([*used, *new])
        lines = [line for line in self._lines() if line not in latest] + list(latest)
        try:
            write_text(self.path, "\n".join(lines[-_MOST:]) + "\n")
        except OSError as error:
            print(f"note: {self.path} cannot be written ({error.strerror}): the files will be "
                  "checked again", file=sys.stderr)

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="ascii", errors="replace").split()
        except OSError:
            return []


def digest_of(pair: Pair, way: str = "files") -> str | None:
    """A digest of a pair's files by path, size and time of change, of how they are coded, and of
    the ``way`` in which they are checked; None where a file is missing, or has just changed."""
    words = [_VERSION, PIL.__version__, way]
    words += [f"{part} {coding.key}" for part, coding in sorted(pair.codings.items())]
    now = time.time()
    for path in pair.files:
        try:
            status = path.stat()
        except OSError:
            return None
        if now - status.st_mtime < _TICK:
            return None
        words += [str(path.absolute()), str(status.st_size), str(status.st_mtime_ns)]
    return hashlib.blake2b(os.fsencode("\n".join(words)), digest_size=16).hexdigest()
