"""Processes of their own that start at once: importing torch takes longer than most runs.

They are forked from a process that has imported train.py and computed nothing.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from torch.distributed.launcher.api import LaunchConfig, elastic_launch

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["train", "torch._dynamo"])  # optimizers import the second

HANGS = 1800  # seconds after which a process is taken to hang, on however slow a machine


class Apart:
    """A process that calls a function of a module, with ``subprocess.Popen``'s ways.

    Attributes:
        stdout: what it prints, to stderr as well.
    """

    def __init__(self, function: Callable, *arguments: object):
        reader, writer = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=_call, args=(writer, function, arguments))
        self.process.start()
        writer.close()
        self.pid, self.stdout = self.process.pid, os.fdopen(os.dup(reader.fileno()))

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        self.process.join(HANGS)
        assert self.process.exitcode is not None, "the process does not end"
        return self.process.exitcode


def _call(writer: Connection, function: Callable, arguments: tuple) -> None:
    os.dup2(writer.fileno(), 1)
    os.dup2(writer.fileno(), 2)
    function(*arguments)


def wait_for(process, start: str) -> None:
    """Read what a process prints, up to a line that starts so."""
    for line in process.stdout:
        if line.startswith(start):
            return
    raise AssertionError(f"the process ended without printing {start!r}")


def run_script(name: str, runs: Path, words: list[str]) -> None:
    """train.py or test.py, with its runs in a folder."""
    script = importlib.import_module(name)
    script.CHECKPOINTS = runs
    status = script.main(words)
    if status:
        sys.exit(status)


def run_script_until(place: str, call: int, *arguments: object) -> None:
    """``run_script``, killed at a call of a function, such as the third one of ``os.fsync``.

    Of several processes of torchrun the last one is killed, before any has been started anew.
    """
    if os.environ.get("RANK", "0") == str(int(os.environ.get("WORLD_SIZE", "1")) - 1) \
            and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        owner, _, name = place.rpartition(".")
        owner = importlib.import_module(owner)
        function, calls = getattr(owner, name), []

        def killed(*arguments, **named):
            calls.append(1)
            if len(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        setattr(owner, name, killed)
    run_script(*arguments)


def run_processes(count: int, function: Callable, *arguments: object) -> None:
    """A function in several processes of torchrun, which are forked and need not import."""
    config = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=count, run_id="trial",
                          rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=1,
                          start_method="fork")
    elastic_launch(config, function)(*arguments)
