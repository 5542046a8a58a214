"""The options that say which maps are scored, and how; ``eval.py`` and ``report`` share them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from data.affixes import Affix
from metrics import PROFILES
from utils.cli import add_limit
from utils.errors import UserError
from utils.mask_keys import MASK_KEYS, read_words
from utils.paths import absolute, absolute_spec

SCORING_KEYS = ("data.root", *MASK_KEYS)


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
    add_limit(parser, "images of each set; the rows give their number, as 20/1000")
    add("--resize", action="store_true",
        help="bring maps of another size to the ground truth's (bilinear); the rows give their "
             "number")


def add_names(parser: argparse.ArgumentParser) -> None:
    """The options that say what methods and sets are called and how their files are named; see
    ``settle``."""
    add = parser.add_argument
    add("--name", nargs="+", action="extend", default=[], metavar="METHOD",
        help="what the methods are called, in their order (default: as their folders)")
    add("--set", default="", metavar="SET",
        help="what the set of --gt is called (default: as the folder)")
    add("--suffix", default="", metavar="TEXT",
        help="what the names of all maps end with and those of their masks do not, such as "
             "_sal_fuse (default: recognised where it is one for all); with a dash: --suffix=-sal")
    add("--prefix", default="", metavar="TEXT", help="the same of the beginnings of the names")
    add("--recursive", action="store_true",
        help="read the subfolders of folders of maps and masks too; they are part of the names; "
             "the same as data.recursive=true")


def settle(args: argparse.Namespace, overrides: Sequence[str]) -> None:
    """Make of ``key=value`` words and of ``add_names``'s options ``args.words``, what is decided on
    masks, and ``args.affix``, that of the maps. ``data.root`` is ``--root``. Paths in ``args.data``
    become absolute.

    Raises:
        UserError: a key that scoring does not take, or a value that the key does not.
    """
    for override in overrides:
        key, _, value = override.partition("=")
        if key not in SCORING_KEYS:
            raise UserError(f"{override}: of the configuration keys, scoring takes these alone: "
                            f"{', '.join(SCORING_KEYS)}")
        if key == "data.root":
            args.root = Path(absolute(value))
    args.words = [word for word in overrides if not word.startswith("data.root=")]
    args.words += ["data.recursive=true"] * args.recursive
    read_words(args.words)
    args.affix = Affix(args.prefix, args.suffix)
    args.data = [absolute_spec(spec) for spec in args.data or ()]


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options that choose sets and definitions."""
    parser.add_argument("--data", nargs="+", action="extend", metavar="SET", help="only these sets")
    parser.add_argument("--profile", choices=list(PROFILES), default="pysodmetrics",
                        help="whose definitions to follow (default: pysodmetrics)")
