"""Measures that are no saliency map's: the quality of depth maps.

    python -m metrics depth-quality --color NJU2K/RGB --depth NJU2K/depth
    python -m metrics depth-quality --color RGB --depth depth --csv depth.csv

For each pair of an image and its depth map, of the same name: how far the depth is from what the
colours make plausible, without a true depth (docs/depth.md). Lower is better; the worst pair is the
first. Missing, unreadable and wrongly sized files are listed, and the exit status is 2.

This file is a script, and stands above the rooms that it calls; the rest of metrics/ needs nothing
of the repository.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from data.affixes import Affix
from data.pairing import Names
from report.tables import csv_text, one_line, require_own_files, write
from scoring.depth import judge_folders
from utils.errors import reports_errors

COLUMNS = ("score", "edges", "residuals", "valid")


@reports_errors
def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    require_own_files({}, [("--csv", args.csv)])
    names = Names(args.recursive, Affix(args.prefix, args.suffix))
    rows = judge_folders(args.color, args.depth, names, None if args.zero_is_depth else 0)
    print_rows(rows)
    if args.csv:
        write(args.csv, csv_text(rows))
    return 0


def print_rows(rows: Sequence[dict]) -> None:
    """A line for each pair, and their mean."""
    print("".join(f"{column:>11}" for column in COLUMNS) + "  name")
    mean = {column: statistics.fmean(row[column] for row in rows) for column in COLUMNS}
    for row in [*rows, mean | {"name": f"mean of {len(rows)}"}]:
        print("".join(f"{row[column]:11.4f}" for column in COLUMNS) + f"  {one_line(row['name'])}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m metrics", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    quality = commands.add_parser("depth-quality", help="judge depth maps by their images")
    add = quality.add_argument
    add("--color", type=Path, required=True, metavar="DIR", help="the images")
    add("--depth", type=Path, required=True, metavar="DIR",
        help="their depth maps: grey files of 8 or 16 bits, of the images' names and sizes")
    add("--zero-is-depth", action="store_true",
        help="0 is a depth like any other; by default it marks pixels without a valid depth, which "
             "are left out")
    add("--recursive", action="store_true", help="read subfolders too")
    add("--prefix", default="", metavar="TEXT",
        help="what the depth maps' names have before the images' (default: found out)")
    add("--suffix", default="", metavar="TEXT", help="the same behind the images' names")
    add("--csv", type=Path, metavar="FILE", help="write the rows, not rounded")
    return parser


if __name__ == "__main__":
    sys.exit(main())
