"""Results of maps that were scored before, so that an interrupted evaluation continues.

A result is found by the content of its files, so a changed map or mask is scored again, and
maps that were renamed or copied are not.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sqlite3
import sys
import threading
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from metrics.evaluator import Result

BURST = 16  # results that are written together; what a kill loses at most, beside those in work
_LIBRARIES = ("numpy", "opencv-python-headless", "opencv-python", "pillow", "scikit-image")


@cache
def code_digest() -> bytes:
    """Of all that turns files into numbers: this package, the decoder, the libraries."""
    digest = hashlib.blake2b(digest_size=16)
    here = Path(__file__).parent
    for path in (*sorted(here.glob("*.py")), here.parent / "data" / "decode.py"):
        digest.update(path.read_bytes())
    for name in _LIBRARIES:
        try:
            digest.update(f"{name} {importlib.metadata.version(name)}".encode())
        except importlib.metadata.PackageNotFoundError:
            continue
    return digest.digest()


def digest_of(files: Sequence[Path], beside: str = "") -> bytes:
    """Digest of the files' content and of ``beside``.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for content in (beside.encode(), *(path.read_bytes() for path in files)):
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.digest()


class ScoreCache:
    """A file of results, shared by threads and processes.

    Args:
        path: SQLite database, made when it is missing. One that cannot be read or written is
            left out with a note: the scores are the same without.
        settings: all that a result depends on beside files and code (profile, measures).
    """

    def __init__(self, path: Path, settings: Sequence[str]):
        self._settings = code_digest() + repr(tuple(settings)).encode()
        self._lock = threading.Lock()
        self._new: list[tuple[bytes, str, bytes]] = []
        self._database: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=20, check_same_thread=False,
                                             isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")  # readers do not stop a writer
            self._database.execute("CREATE TABLE IF NOT EXISTS results "
                                   "(key BLOB PRIMARY KEY, names TEXT, numbers BLOB)")
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._database = None
        print(f"note: results are not kept between evaluations: {error}", file=sys.stderr)

    def key(self, content: bytes) -> bytes:
        """What the result of files is kept under, see ``digest_of``."""
        return hashlib.blake2b(self._settings + content, digest_size=16).digest()

    def get(self, key: bytes) -> Result | None:
        """The result that was put under ``key``, if there is one and it can be read."""
        with self._lock:
            if self._database is None:
                return None
            try:
                row = self._database.execute("SELECT names, numbers FROM results WHERE key = ?",
                                             (key,)).fetchone()
            except sqlite3.Error as error:
                self._give_up(error)
                return None
        try:
            return None if row is None else _unpack(*row)
        except (zlib.error, ValueError, TypeError, AttributeError):
            return None  # damaged: scored again and replaced

    def put(self, key: bytes, result: Result) -> None:
        """Keep a result."""
        with self._lock:
            self._new.append((key, *_pack(result)))
            if len(self._new) >= BURST:
                self._write()

    def _write(self) -> None:
        """Write what is new in one short transaction, so that others need not wait."""
        rows, self._new = self._new, []
        if self._database is None or not rows:
            return
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", rows)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._give_up(error)

    def close(self) -> None:
        """Write what is left."""
        with self._lock:
            self._write()
            if self._database is not None:
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
    if start != len(values):
        raise ValueError("the numbers do not fit the names")
    return result
