"""A bounded cache of decoded, resized samples, so that every file is decoded once."""

from __future__ import annotations

import hashlib
import itertools
import math
import mmap
import os
import struct
import sys
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from utils.errors import UserError
from utils.machine import available_memory, local_processes
from utils.paths import ROOT

from .pairing import Pair
from .sizes import Size

_CAN_FORK = sys.platform == "linux"  # elsewhere forking is missing or unsafe
_FORMAT = "2"  # of the records, and of what decoding and resizing make of a file
_HEADER = struct.Struct("<16sIII4x")  # digest of the files, CRC of the planes, height, width


class SampleCache:
    """Planes (C, H, W) uint8 of pairs at some sizes (H, W), in memory or in a file.

    A record holds a digest of its files' paths, byte counts and modification times: a file that
    changed is decoded again. It also holds a checksum: a record that a crash cut short, or that
    another process is just writing, counts as missing. Forked processes share the memory, and
    processes of all kinds the file. When not all samples fit, the first ones are kept.

    Args:
        sizes: those of each pair.
        planes: C.
        variant: what else the planes depend on.
        budget: bytes to use at most.
        folder: where the file goes; None for memory, of which at most half of what is available
            is taken.

    Attributes:
        kept: how many pairs fit, the first ones.
        written: bytes of the records that this process has put in.

    Raises:
        UserError: the folder cannot be written or has no room.
    """

    def __init__(self, pairs: Sequence[Pair], sizes: Sequence[Sequence[Size]], planes: int,
                 variant: str, budget: int, folder: Path | None = None):
        self._pairs, self._planes, self._sizes = pairs, planes, sizes
        self._variant = f"{_FORMAT}|{variant}|{planes}"
        # Where the records of each pair begin; the last number is the length of all.
        self._starts = [0, *itertools.accumulate(map(self._length, sizes))]
        if folder is None:
            available = available_memory()
            if available is not None:
                budget = min(budget, available // 2 // local_processes())
        self.kept = bisect_right(self._starts, budget) - 1
        self.written = 0
        self.path = None if folder is None else self._file_in(folder, budget)
        self._buffer = self._open()

    def _length(self, sizes: Sequence[Size]) -> int:
        """Bytes of the records of a pair at these sizes."""
        return sum(_HEADER.size + self._planes * math.prod(size) for size in sizes)

    def _start(self, index: int, size: Size) -> int | None:
        """Where a record begins; None when it is not kept."""
        if index >= self.kept or size not in self._sizes[index]:
            return None
        before = self._sizes[index][:self._sizes[index].index(size)]
        return self._starts[index] + self._length(before)

    def _file_in(self, folder: Path, budget: int) -> Path:
        """This cache's file; those of other pairs or sizes make room for it, oldest first."""
        # Of the pairs that are kept: to shorten a file would kill another run that has mapped it.
        key = repr((self._variant, self._sizes[:self.kept],
                    [str(pair.image) for pair in self._pairs[:self.kept]]))
        path = folder / f"{hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}.samples"
        room, others = budget - self._starts[self.kept], {}
        for file in set(folder.glob("*.samples")) - {path}:
            with suppress(FileNotFoundError):  # another run makes room, too
                others[file] = file.stat()
        for file in sorted(others, key=lambda file: others[file].st_mtime, reverse=True):
            room -= others[file].st_size
            if room < 0:
                file.unlink(missing_ok=True)
        return path

    def _open(self) -> mmap.mmap | None:
        length = self._starts[self.kept]
        if length == 0:
            return None
        if self.path is None:
            return mmap.mmap(-1, length)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                # Taken at once: a disk that fills up under a mapped file kills the process.
                file.truncate(length)
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, length)
                return mmap.mmap(file.fileno(), length)
        except OSError as error:
            raise UserError(f"data.cache: {self.path}: {error.strerror}; {length / 1e9:.1f} GB are "
                            "wanted there. Lower data.cache_gb, choose another folder, or "
                            "data.cache=memory.") from None

    def __getstate__(self) -> dict:
        return {key: value for key, value in self.__dict__.items() if key != "_buffer"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._buffer = self._open()  # always a file: memory is shared with forked processes only

    def get(self, index: int, size: Size) -> tuple[np.ndarray, Size] | None:
        """Planes (C, *size) of a sample, and height and width of the original; None when it is not
        kept."""
        start = self._start(index, size)
        if start is None:
            return None
        digest, check, height, width = _HEADER.unpack_from(self._buffer, start)
        if digest != self.digest(index):
            return None
        planes = np.frombuffer(self._buffer, np.uint8, self._planes * math.prod(size),
                               start + _HEADER.size).copy()
        if zlib.crc32(planes) != check:
            return None
        return planes.reshape(self._planes, *size), (height, width)

    def put(self, index: int, planes: np.ndarray, original: Size, digest: bytes) -> None:
        """Keep planes (C, H, W) and the original's height and width, if there is room; ``digest``
        is of the files before they were read."""
        start = self._start(index, planes.shape[-2:])
        if start is None:
            return
        planes = np.ascontiguousarray(planes).reshape(-1)
        np.frombuffer(self._buffer, np.uint8, len(planes), start + _HEADER.size)[:] = planes
        _HEADER.pack_into(self._buffer, start, digest, zlib.crc32(planes), *original)
        self.written += _HEADER.size + len(planes)

    @property
    def unwritten(self) -> int:
        """Bytes of memory that the records which this process has not put in will take."""
        return 0 if self.path else max(0, self._starts[self.kept] - self.written)

    def holds(self, index: int) -> bool:
        """Whether a sample is kept in all sizes, and its files have not changed."""
        return index < self.kept and all(self.get(index, size)
                                         for size in self._sizes[index])

    def digest(self, index: int) -> bytes | None:
        """The digest of a sample's files as they are now; None when one of them is missing."""
        codings = self._pairs[index].codings
        words = [self._variant, *(f"{part} {coding.key}" for part, coding in codings.items()
                                  if coding.key)]
        for path in self._pairs[index].files:
            try:
                status = path.stat()
            except OSError:
                return None
            words += [str(path), str(status.st_size), str(status.st_mtime_ns)]
        return hashlib.blake2b(os.fsencode("\n".join(words)), digest_size=16).digest()


def open_cache(config: DictConfig, pairs: Sequence[Pair], sizes: Sequence[Sequence[Size]],
               planes: int, variant: str) -> SampleCache | None:
    """The cache that ``config.cache`` names: ``memory``, ``none``, or a folder. A note is printed
    when it is too small for all pairs, or in memory where loader processes could not see it."""
    if config.cache == "none" or not config.cache_gb:
        return None
    if config.cache == "memory" and config.workers != 0 and not _CAN_FORK:
        print("note: loader processes cannot share a cache in memory on this system; "
              "data.cache=FOLDER or data.workers=0 keeps decoded samples", file=sys.stderr)
        return None
    cache = SampleCache(pairs, sizes, planes, variant, int(config.cache_gb * 1e9),
                        None if config.cache == "memory" else ROOT / config.cache)
    if cache.kept < len(pairs):
        print(f"note: {cache.kept} of {len(pairs)} pairs fit into data.cache; the others are "
              "decoded every epoch (data.cache_gb, docs/performance.md)", file=sys.stderr)
    return cache
