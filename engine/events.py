"""TensorBoard's events of a run, written where they are made.

tensorboardX's own ``SummaryWriter`` hands them to a thread, which ends when the disk is full; the
run then waits for it for ever.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter

from utils.files import naming

SECONDS = 60  # between moments at which TensorBoard sees what was added


class Events:
    """An events file in ``folder``. On resume, TensorBoard is told to forget what follows
    ``resume_step``. An OSError of any method names the file."""

    def __init__(self, folder: Path, resume_step: int = 0):
        folder.mkdir(parents=True, exist_ok=True)
        # A resumed run may start in the second of the run before, whose file it must spare.
        self.path = folder / (f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}"
                              f".{resume_step}")
        self._writer = RecordWriter(str(self.path))
        self._next_flush = time.time()
        self._write(Event(file_version="brain.Event:2"))
        if resume_step:
            self._write(Event(step=resume_step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, summary: Summary, step: int) -> None:
        """Write what a function of ``tensorboardX.summary`` made, as of a step."""
        self._write(Event(step=step, summary=summary))

    def add_graph(self, graph: bytes) -> None:
        """Write a GraphDef, serialised; an events file has one."""
        self._write(Event(graph_def=graph))

    def close(self) -> None:
        """Finish the file."""
        with naming(self.path):
            self._writer.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        with naming(self.path):
            self._writer.write(event.SerializeToString())
            if event.wall_time >= self._next_flush:  # seldom, as it waits for the disk
                self._writer.flush()
                self._next_flush = event.wall_time + SECONDS
