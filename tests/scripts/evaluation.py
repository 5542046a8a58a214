"""Runs eval.py on the maps of the fixture ``scored``."""

from __future__ import annotations

from pathlib import Path

import eval as eval_script


def evaluate(sets: Path, scored: Path, *more: str) -> int:
    """The exit status of eval.py on all methods beside ``scored``."""
    return eval_script.main(["--pred", str(scored.parents[1]), "--root", str(sets), *more])
