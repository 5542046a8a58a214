"""Command lines that take lists of words beside ``key=value`` words."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence

_KEY_VALUE = re.compile(r"[a-z_]+(\.[\w*]+)*=")


def parse_with_overrides(parser: argparse.ArgumentParser, argv: list[str] | None,
                         lists: Sequence[str] = ()) -> argparse.Namespace:
    """Parse arguments; ``key=value`` words may stand anywhere and end up in ``args.overrides``.
    The parser's description is printed as it is.

    argparse gives an option that takes a list all words after it, so the ``key=value`` words among
    the values of the options ``lists`` are moved from there.
    """
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("overrides", nargs="*", metavar="key=value",
                        help="configuration keys, for example data.root=DIR")
    args = parser.parse_intermixed_args(argv)
    for name in lists:
        words, keys = split_overrides(getattr(args, name) or [])
        args.overrides += keys
        setattr(args, name, words or None)
    return args


def add_limit(parser: argparse.ArgumentParser, images: str) -> None:
    """The option ``--limit N``, a number from 1 or None: the first N of the ``images``."""
    parser.add_argument("--limit", type=_number_from_one, metavar="N",
                        help=f"only the first N {images}, for a quick look (default: all)")


def _number_from_one(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of images; give 1 or more")
    return int(word)


def split_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that are no ``key=value``, or are a file's name; and those that are."""
    keys = [word for word in words if _KEY_VALUE.match(word)
            and not os.path.exists(word)]  # noqa: PTH110  (pathlib's raises OSError at long words)
    return [word for word in words if word not in keys], keys
