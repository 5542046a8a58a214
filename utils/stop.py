"""Ending a run in good order on SIGTERM and Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Inside the block the first SIGINT or SIGTERM is only kept; a second one interrupts at once.

    Yields:
        A list, which will hold the number of the signal when it has come.
    """
    came: list[int] = []

    def keep(number: int, frame: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)
        print(f"\n{signal.Signals(number).name}: saving after this step, then stopping; a second "
              "signal stops at once", file=sys.stderr)

    with _handled(keep, signal.SIGINT, signal.SIGTERM):
        yield came


@contextmanager
def terminable() -> Iterator[None]:
    """Inside the block SIGTERM raises an exception, as Ctrl-C does, with exit status 143."""
    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    with _handled(leave, signal.SIGTERM):
        yield


@contextmanager
def _handled(handler: Callable, *numbers: int) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
