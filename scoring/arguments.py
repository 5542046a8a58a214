"""The options that say which maps are scored, and how; ``eval.py`` and ``report`` share them."""

from __future__ import annotations

import argparse
from pathlib import Path

from metrics import PROFILES


def add_maps(parser: argparse.ArgumentParser) -> None:
    """The options that name maps and masks; see ``scoring.jobs.find_jobs``."""
    add = parser.add_argument
    add("--pred", type=Path, metavar="DIR",
        help="<method>/<set>/ or <set>/<method>/ folders, the <set>/ folders of one method, or "
             "with --gt one folder of maps (default: results/)")
    add("--gt", type=Path, metavar="DIR", help="one folder of masks")
    add("--root", type=Path, metavar="DIR",
        help="where the data sets lie (default: datasets/, or for a set that is not there, where "
             "test.py had it from)")
    add("--allow-missing", action="store_true",
        help="score what can be scored; the rows give the number of maps")
    add("--resize", action="store_true",
        help="bring maps of another size to the ground truth's (bilinear); the rows give their "
             "number")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options that choose sets and definitions."""
    parser.add_argument("--data", nargs="+", action="extend", metavar="SET", help="only these sets")
    parser.add_argument("--profile", choices=list(PROFILES), default="pysodmetrics",
                        help="whose definitions to follow (default: pysodmetrics)")
