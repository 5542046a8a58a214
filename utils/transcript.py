"""What a run prints, kept in a file: each line with the date and the time of day.

A line is written when it is printed, so that a kill loses none. Progress bars are left out, and so
is what libraries print past Python's ``sys.stdout`` and ``sys.stderr``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import TextIO

from .errors import message_of

_TIMES = logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S%z")
_STYLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # of a terminal: colours, and where to write
_BLOCKS: list[logging.Logger] = []  # that are entered, the innermost last


@contextlib.contextmanager
def transcribed(command: Sequence[str]) -> Iterator[None]:
    """Inside the block the main process's lines are noted, and the error that ends it. They wait
    for ``keep_in``; without it they are dropped.

    Args:
        command: the words that started the script, for the first line.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    block = logging.Logger("transcript", logging.INFO)
    # All lines wait, whatever their number.
    block.addHandler(MemoryHandler(sys.maxsize, logging.CRITICAL, flushOnClose=False))
    block.info("command: %s", shlex.join(command))
    _BLOCKS.append(block)
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            # A stream that was closed, as by ``>&-``, is None.
            out, err = (_Copied(stream or nowhere, block) for stream in (sys.stdout, sys.stderr))
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    yield
                finally:
                    out.end()
                    err.end()
    except BaseException as error:
        for line in _lines_of(error):
            block.info("%s", line)
        raise
    finally:
        _BLOCKS.remove(block)
        for handler in block.handlers:
            handler.close()


def keep_in(path: Path) -> None:
    """Append the lines of the block ``transcribed`` to a file, those of before and those to come;
    outside of such a block nothing.

    Raises:
        OSError: the file cannot be opened.
    """
    for block in _BLOCKS[-1:]:
        (before,) = block.handlers
        file = _File(block, path)
        block.addHandler(file)
        block.removeHandler(before)
        if isinstance(before, MemoryHandler):
            before.setTarget(file)
            before.flush()
        before.close()


def note_line(line: str) -> None:
    """Note a line that is not printed; outside of the block ``transcribed`` nothing."""
    for block in _BLOCKS[-1:]:
        block.info("%s", line)


def _lines_of(error: BaseException) -> list[str]:
    """What is printed of the error after the block."""
    if isinstance(error, SystemExit):
        return []
    text = message_of(error) or "".join(traceback.format_exception(error))
    return [line for line in text.splitlines() if line]


class _Copied:
    """A stream whose whole lines go to a ``block`` as well."""

    def __init__(self, stream: TextIO, block: logging.Logger):
        self._stream, self._block, self._begun = stream, block, ""

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        if not text.startswith("\r"):  # as a progress bar begins each of its states
            *lines, self._begun = (self._begun + text).split("\n")
            for line in lines:
                self._note(line)
        return written

    def end(self) -> None:
        """Note the line that was begun."""
        self._note(self._begun)
        self._begun = ""

    def _note(self, line: str) -> None:
        if line := _STYLE.sub("", line).rstrip():
            self._block.info("%s", line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class _File(logging.FileHandler):
    """Writes each line of a block at once. Where that fails, a note says so, and the run goes on
    without."""

    def __init__(self, block: logging.Logger, path: Path):
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(_TIMES)
        self._block = block

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        self.addFilter(lambda record: False)  # those that waited are not tried either
        self._block.handlers = [logging.NullHandler()]
        with contextlib.suppress(OSError):
            self.close()
        print(f"note: {self.baseFilename} cannot be written, and the run goes on without it: "
              f"{error}", file=sys.stderr)
