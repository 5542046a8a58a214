"""What a whole run takes, told from its first steps."""

from __future__ import annotations

import csv
import math
from datetime import timedelta
from pathlib import Path

from .run import Run


def forecast(log: Path, steps: int, run: Run, images: int, per_image: float) -> str:
    """A line on time and memory.

    Args:
        log: log.csv with a row for each step that was taken. The last one counts, as the first
            makes what later ones use again.
        steps: of the whole run.
        images: that a validation has.
        per_image: seconds that one of them takes.
    """
    with log.open(newline="", encoding="utf-8") as file:
        row = [row for row in csv.DictReader(file) if row["loss"]][-1]
    config = run.config
    batch = min(config.train.batch, len(run.loader.data))
    step = batch / float(row["images_per_second"])
    text = f"dry run: {steps} steps of {step:.3g} s each take {_time(steps * step)}"
    total = steps * step
    if images:
        validations = math.ceil(steps / (run.per_epoch * config.val.every))
        total += validations * images * per_image
        text += (f", {validations} validations of {images} images "
                 f"{_time(validations * images * per_image)}, in all {_time(total)}")
    text += f"; memory up to {float(row['memory_mib']):.0f} MiB" \
        if not math.isnan(float(row["memory_mib"])) else ""
    return f"{text}; nothing is kept"


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
