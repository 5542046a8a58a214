"""Leaving a run in good order on SIGTERM and Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType


class StopRequest:
    """Set by the first SIGINT or SIGTERM inside the ``with``; a second one interrupts at once.

    Attributes:
        signal: number of the signal, None while there was none.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # others may not set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        print(f"\n{signal.Signals(number).name}: saving after this step, then leaving; once more "
              "leaves at once", file=sys.stderr)
