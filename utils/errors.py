"""The exception whose message is meant for the user, and how scripts report it."""

from __future__ import annotations

import contextlib
import difflib
import errno
import functools
import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence

SHOWN_PROBLEMS = 20


class UserError(Exception):
    """An error that the user can put right: the message says what, where and how."""


#: What torch says on a CPU, and oneDNN within it, when they cannot allocate.
_NO_MEMORY = ("can't allocate memory", "could not create a primitive")


def lacks_memory(error: BaseException) -> bool:
    """Whether it was memory that did not suffice, of the machine or of a GPU: then nothing is wrong
    with the file or the data in hand."""
    return (isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
            or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
            or (isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)))


def list_problems(title: str, problems: Sequence[str], advice: str = "") -> str:
    """One message on many problems: their number, the first 20 of them, and advice."""
    lines = [f"{title} ({len(problems)} in all):"]
    lines += [f"  - {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"  … and {len(problems) - SHOWN_PROBLEMS} more")
    if advice:
        lines.append(advice)
    return "\n".join(lines)


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and what it counts: ``1 map``, ``2 maps``. A noun with more words, such as "mask
    differs", is given with its ``plural``, "masks differ"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """Text that has a form in UTF-8: the bytes of file names that are not UTF-8 become ``\\udc…``,
    as in JSON."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def note_once(*messages: str) -> None:
    """Print notes on stderr, each once in a session, by the main process alone; empty ones are
    left out."""
    if os.environ.get("RANK", "0") == "0":
        for message in filter(None, messages):
            _print_note(message)


@functools.cache
def _print_note(message: str) -> None:
    print(f"note: {message}", file=sys.stderr)


def guess(word: str, known: Iterable[str]) -> str:
    """The question whether the nearest known word was meant; empty if none is near."""
    by_lower = {name.lower(): name for name in known}
    match = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f"did you mean {by_lower[match[0]]!r}?" if match else ""


def nearest(word: str, known: Collection[str]) -> str:
    """A half sentence for an unknown word: the nearest known one, then all of them."""
    return f"{guess(word, known)} known: {', '.join(known)}".lstrip()


def reports_errors(main: Callable[..., int]) -> Callable[..., int]:
    """Decorator for a script's ``main``: user and system errors, and memory that does not suffice,
    become one message, status 2.

    What the terminal's encoding lacks, and bytes of a file's name that are not UTF-8, are printed
    as escapes.
    """

    @functools.wraps(main)
    def wrapper(*args, **kwargs) -> int:
        for stream in (sys.stdout, sys.stderr):
            # One that was a file and is now a pipe cannot be changed, and prints as before.
            with contextlib.suppress(AttributeError, OSError):
                stream.reconfigure(errors="backslashreplace")
        try:
            return main(*args, **kwargs)
        except (Exception, KeyboardInterrupt) as error:
            if (message := message_of(error)) is None:
                raise
            print(message, file=sys.stderr)
            return 130 if isinstance(error, KeyboardInterrupt) else 2

    return wrapper


def message_of(error: BaseException) -> str | None:
    """What is printed of an error that ends a script; None where it is a fault of the code, of
    which the traceback is."""
    if isinstance(error, UserError):
        # torch wraps an error of a loader process in that process's traceback.
        kind = f"{type(error).__module__}.{type(error).__qualname__}: "
        message = str(error).rpartition(kind)[2]
        rank = os.environ.get("RANK", "0")
        who = "error" if rank == "0" else f"error in process {rank}"
        return f"{who}: {message.strip()}"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError):
        # A full disk or a folder without write permission: the system's message tells enough.
        where = f"{error.filename}: " if error.filename else ""
        return f"error: {where}{error.strerror or error}"
    if isinstance(error, MemoryError | RuntimeError) and lacks_memory(error):
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return (f"error: memory ran out: {reason}\nLower data.size, train.batch or test.batch, "
                "or end other programs; nothing is wrong with the files.")
    return None
