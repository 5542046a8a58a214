"""Command lines: options that take lists beside ``key=value`` words."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

_KEY_VALUE = re.compile(r"[a-z_]+(\.[a-z_]+)*=")


def parse_with_overrides(parser: argparse.ArgumentParser, argv: list[str] | None,
                         lists: Sequence[str] = ()) -> argparse.Namespace:
    """Parse, with ``key=value`` words allowed anywhere; they end up in ``args.overrides``.

    argparse gives all words after an option of type list to that option, so the ``key=value``
    words among the values of ``lists`` are taken out again.
    """
    parser.add_argument("overrides", nargs="*", metavar="key=value",
                        help="configuration keys, for example data.root=DIR")
    args = parser.parse_intermixed_args(argv)
    for name in lists:
        words = getattr(args, name) or []
        keys = [word for word in words if _KEY_VALUE.match(word) and not Path(word).exists()]
        args.overrides += keys
        setattr(args, name, [word for word in words if word not in keys] or None)
    return args
