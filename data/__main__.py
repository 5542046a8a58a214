"""Data set tools.

    python -m data check datasets/        every set under a folder: counts, sizes, mask values
    python -m data check ECSSD im:gt      sets as train.py names them
    python -m data sample datasets/       write the built-in sample sets
    python -m data centre-prior SET OUT   write the map that guesses the centre, for each image
    python -m data scribbles SET OUT      draw scribbles out of a set's masks, and an overview

All but sample take the keys data.recursive and data.mask_…=value of train.py, which tell how masks
are named and coded.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from utils.cli import split_overrides
from utils.config import merge_config
from utils.errors import UserError, counted, reports_errors
from utils.paths import DATASETS, ROOT, absolute_spec, home_expanded

from .catalog import find_set
from .check import check
from .coding import with_coding
from .pairing import Names, Pair
from .sample import SETS, write_centre_prior, write_sample


@reports_errors
def main(argv: list[str] | None = None) -> int:
    words, keys = split_overrides(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(words)
    if getattr(args, "seed", 0) < 0:
        raise UserError(f"--seed {args.seed}: a seed is 0 or more")
    for key in keys:
        if not key.startswith("data.") or args.command == "sample":
            raise UserError(f"{key}: of the configuration keys, {args.command} takes "
                            + ("none" if args.command == "sample" else "those of data"))
    recursive = getattr(args, "recursive", False)
    data = merge_config({}, [*keys, *["data.recursive=true"] * recursive], "command line").data
    root, names = ROOT / data.root, Names.of(data)
    if args.command == "check":
        return check(args.sets or [str(root)], root, names, data)
    if args.command == "sample":
        write_sample(args.root, args.seed)
        print(f"{' and '.join(SETS)} written to {args.root}")
        return 0
    pairs = find_set(absolute_spec(args.set), root, names).pairs
    if args.command == "centre-prior":
        write_centre_prior(pairs, home_expanded(args.out).resolve())
        print(f"{counted(len(pairs), 'map')} written to {args.out}")
        return 0
    return write_drawn(args, with_coding(pairs, data, args.set))


def write_drawn(args: argparse.Namespace, pairs: list[Pair]) -> int:
    """Draw the scribbles of pairs as the arguments say."""
    from .scribbles import Pen, write_scribbles  # scikit-image: the other commands do without

    pen = Pen(args.thickness, args.length, args.strokes, args.background_strokes)
    out = home_expanded(args.out).resolve()
    for note in write_scribbles(pairs, out, pen, args.seed, args.overwrite):
        print(f"note: {note}")
    print(f"{counted(len(pairs), 'scribble')} written to {out}, overview: {out}.png")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("check", help="examine sets; exit status 0 only when all is well")
    doctor.add_argument("sets", nargs="*", metavar="SET",
                        help="a folder of sets, or what train.py takes: a set's folder, its name "
                             "in the catalog, or IMAGES:MASKS (default: datasets/); and "
                             "configuration keys, such as data.mask_suffix=_mask")
    doctor.add_argument("--recursive", action="store_true",
                        help="read the subfolders of image and mask folders too; the same as "
                             "data.recursive=true")
    sample = commands.add_parser("sample", help=f"write {' and '.join(SETS)}")
    sample.add_argument("root", type=Path, nargs="?", default=DATASETS)
    sample.add_argument("--seed", type=int, default=0)
    prior = commands.add_parser("centre-prior", help="maps of a baseline that sees no image")
    prior.add_argument("set", help="a set's folder")
    prior.add_argument("out", type=Path)
    _add_scribbles(commands.add_parser(
        "scribbles", help="scribbles in S-DUTS coding, out of a set's masks",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter))
    return parser


def _add_scribbles(command: argparse.ArgumentParser) -> None:
    command.add_argument("set", help="a set's name or folder, or IMAGES:MASKS")
    command.add_argument("out", type=Path, help="folder for the scribbles; the overview is a "
                                                "picture of the same name beside it")
    for name, default, text in (
            ("thickness", 3, "of a stroke, in pixels"),
            ("length", 0.5, "of the longest stroke, as a share of the image's longer side"),
            ("strokes", 3, "at most so many on the foreground, one for each connected object"),
            ("background-strokes", 2, "at most so many on the background"),
            ("seed", 0, "another seed, other strokes")):
        command.add_argument(f"--{name}", type=type(default), default=default, help=text)
    command.add_argument("--overwrite", action="store_true", help="replace scribbles in OUT")


if __name__ == "__main__":
    sys.exit(main())
