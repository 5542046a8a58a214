"""What a whole run takes, told from its first steps."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from statistics import fmean

from data import Pair
from utils.errors import counted

from .log import peak_memory
from .run import Run
from .validation import validate

_MORE = 3  # batches, of which a second validation has more time to tell that of an image


def cut_short(run: Run) -> int:
    """Let a run end after one step, which makes what later ones use again, and one of each size
    that its batches may have. Returns how many steps the whole run has."""
    draws, steps = run.loader.batch_sampler, run.last_step
    draws.in_turn, run.last_step = True, min(steps, 1 + len(draws.sizes))
    return steps


def time_of_validation(run: Run, pairs: Sequence[Pair]) -> float:
    """Seconds that a validation takes; 0 without pairs.

    Two are timed, of one batch and of some, so that starting the loader's processes, which each
    does once, is not taken for a part of every image's time. All processes call this.
    """
    few, some = (min(count * run.config.test.batch * run.world.size, len(pairs))
                 for count in (1, _MORE))
    if not few:
        return 0.0
    seconds = []
    for count in (few, few, some):  # the first makes what later ones use again
        start = time.perf_counter()
        validate(run.tested, list(pairs[:count]), run)
        seconds.append(time.perf_counter() - start)
    _, short, long = seconds
    each = max(long - short, 0) / (some - few) if some > few else 0
    return short + each * (len(pairs) - few)


def forecast(log: Path, steps: int, run: Run, images: int, seconds: float) -> str:
    """A line on time and memory.

    Args:
        log: log.csv with a row for each step that was taken. The first one does not count, unless
            it is the only one.
        steps: of the whole run.
        images: that a validation has.
        seconds: that one takes.
    """
    with log.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["loss"]]
    config = run.config
    batch = min(config.train.batch * run.world.size, len(run.loader.data))
    step = fmean(batch / float(row["images_per_second"]) for row in rows[1:] or rows)
    number = counted(steps, f"step of {step:.3g} s takes", f"steps of {step:.3g} s each take")
    text = f"dry run: {number} {_time(steps * step)}"
    if images:
        validations = math.ceil(steps / (run.per_epoch * config.val.every))
        text += (f", {counted(validations, 'validation')} of {counted(images, 'image')} "
                 f"{_time(validations * seconds)}, "
                 f"in all {_time(steps * step + validations * seconds)}")
    memory = peak_memory(run.precision.device)
    if run.precision.device.type == "cpu":  # a GPU's memory holds no cache
        memory += run.loader.data.cache_to_come / 2**20
    if not math.isnan(memory):
        text += f"; memory up to {memory:.0f} MiB" + " in each process" * (run.world.size > 1)
    return f"{text}; nothing is kept"


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
