"""Files that are written whole or not at all: a kill or a full disk leaves what was there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def written_whole(path: Path, mode: str = "w", **options: object) -> Iterator[IO]:
    """A file to write to, which takes the place of ``path`` when the block ends without an error.

    The folder is made. The file's name until then is short, hidden, and of this process alone, so
    that a name of 255 bytes can be written and two processes do not write into each other's file.
    Where ``path`` is a link, the file that it names is replaced. What is no file, such as a pipe
    or /dev/stdout, is written to as it is.

    Args:
        mode: ``"w"`` for text, in UTF-8, or ``"wb"``.
        options: of ``open``, such as ``newline``.
    """
    if "b" not in mode:
        options = {"encoding": "utf-8"} | options
    if path.exists() and not path.is_file():
        with path.open(mode, **options) as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()
    temporary = path.with_name(f".{digest}.{os.getpid()}.tmp")
    try:
        with naming(path):
            with temporary.open(mode, **options) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all."""
    with written_whole(path, newline="") as file:
        file.write(text)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Inside the block an OSError that names no file, such as that of a full disk, names ``path``;
    scripts report it with its file."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
