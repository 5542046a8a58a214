"""Results of maps that were scored before, so that an interrupted evaluation continues.

A result is found by the content of its files, so a changed map or mask is scored again, and
maps that were renamed or copied are not.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .evaluator import Result

FORMAT = 1  # to be raised when a measure or the way of reading files changes
COMMIT_EVERY = 2.0  # seconds between writes; what an interruption loses at most


class ScoreCache:
    """A file of results, shared by threads and processes.

    Args:
        path: SQLite database, made when it is missing. One that cannot be read or written is
            left out with a note: the scores are the same without.
        settings: all that a result depends on beside the files (profile, measures).
    """

    def __init__(self, path: Path, settings: Sequence[str]):
        self._settings = repr((FORMAT, *settings)).encode()
        self._lock = threading.Lock()
        self._committed = time.monotonic()
        self._database: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, check_same_thread=False)
            self._database.execute("CREATE TABLE IF NOT EXISTS results "
                                   "(key BLOB PRIMARY KEY, names TEXT, numbers BLOB)")
        except (OSError, sqlite3.Error) as error:
            self._give_up(path, error)

    def _give_up(self, path: object, error: Exception) -> None:
        self._database = None
        print(f"note: results are not kept between evaluations ({path}: {error})", file=sys.stderr)

    def key(self, files: Sequence[Path], beside: str = "") -> bytes:
        """Digest of the files' content, the settings, and ``beside``.

        Raises:
            OSError: a file cannot be read.
        """
        digest = hashlib.blake2b(self._settings, digest_size=16)
        for content in (beside.encode(), *(path.read_bytes() for path in files)):
            digest.update(len(content).to_bytes(8, "little") + content)
        return digest.digest()

    def get(self, key: bytes) -> Result | None:
        """The result that was put under ``key``, if any."""
        with self._lock:
            if self._database is None:
                return None
            try:
                row = self._database.execute("SELECT names, numbers FROM results WHERE key = ?",
                                             (key,)).fetchone()
            except sqlite3.Error as error:
                self._give_up("the file of results", error)
                return None
        return None if row is None else _unpack(*row)

    def put(self, key: bytes, result: Result) -> None:
        """Keep a result."""
        names, numbers = _pack(result)
        with self._lock:
            if self._database is None:
                return
            try:
                self._database.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?)",
                                       (key, names, numbers))
                if time.monotonic() - self._committed > COMMIT_EVERY:
                    self._database.commit()
                    self._committed = time.monotonic()
            except sqlite3.Error as error:
                self._give_up("the file of results", error)

    def close(self) -> None:
        """Write what is left."""
        with self._lock:
            if self._database is not None:
                self._database.commit()
                self._database.close()
                self._database = None


def _pack(result: Result) -> tuple[str, bytes]:
    """Names with lengths (``MAE:0 F:256``, 0 for a number), and all numbers, compressed."""
    arrays = {key: np.asarray(value, dtype=np.float64) for key, value in result.items()}
    names = " ".join(f"{key}:{array.size if array.ndim else 0}" for key, array in arrays.items())
    return names, zlib.compress(b"".join(array.tobytes() for array in arrays.values()), 1)


def _unpack(names: str, numbers: bytes) -> Result:
    values = np.frombuffer(zlib.decompress(numbers), dtype=np.float64)
    result, start = {}, 0
    for entry in names.split():
        key, size = entry.rsplit(":", 1)
        end = start + max(int(size), 1)
        result[key] = values[start:end] if int(size) else float(values[start])
        start = end
    return result
