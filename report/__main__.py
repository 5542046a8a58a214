"""Reports on saliency maps, one's own or of others, and reproductions of recipes.

    python -m report page                     results/<method>/<set>/ → results/report.html
    python -m report page --pred maps --data ECSSD --out ecssd.html
    python -m report page --pred maps/WSSA/ECSSD --gt ECSSD/ground_truth_mask
    python -m report curves --data ECSSD      the figures alone, as PDF and PNG
    python -m report reproduce configs/demo.yaml      train, test, eval, the table and a record
    python -m report records                  docs/records/*.json → docs/reproduction.md

The scores are eval.py's, and so is the exit status: 0 only when every map was there and could be
scored. What is wrong is listed, and shown on the page. page and curves need neither a checkpoint
nor a recipe.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from metrics import PROFILES
from utils.cli import parse_with_overrides
from utils.errors import UserError, reports_errors
from utils.paths import DATASETS, DOCS, RESULTS, absolute_spec
from utils.stop import terminable

from .files import write
from .methods import Request, ScoredSet, score_sets
from .recipes import Recipes


@reports_errors
def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["reproduce"]:  # its key=value words may stand anywhere
        return _reproduce(words)
    args = _parser().parse_args(words)
    if args.command == "records":
        return _records(args)
    if args.command == "page":
        _require_sound(args)
    sets, refused = score_sets(Request(
        args.pred, args.root, args.gt, [absolute_spec(spec) for spec in args.data or []],
        args.methods, args.profile, args.resize, args.allow_missing,
        Recipes(args.reported) if args.command == "page" else None))
    with terminable():  # so that half a page's pictures do not stay behind
        (_page if args.command == "page" else _curves)(args, sets)
    if refused:
        raise UserError(f"{refused} scores are not given, because the maps listed above are "
                        "missing, too many or unusable; repair them, or score the others with "
                        "--allow-missing")
    return 0


def _reproduce(words: list[str]) -> int:
    args = parse_with_overrides(reproduce_parser(), words[1:], lists=("data",))
    configs = [word for word in args.overrides if "=" not in word or Path(word).is_file()]
    overrides = [word for word in args.overrides if word not in configs]
    if not configs:
        raise UserError("reproduce what? Name a recipe, for example configs/cpd_vgg.yaml, "
                        "before --data")
    from .reproduce import reproduce

    return reproduce([Path(config) for config in configs], overrides, args.data or [], args.gpu,
                     args.records, ["python", "-m", "report", *words])


def _records(args: argparse.Namespace) -> int:
    from .document import document
    from .records import read_records

    found = read_records(args.records)
    write(args.out, document(found))
    print(f"{args.out}: {len(found)} record(s)")
    return 0


def _require_sound(args: argparse.Namespace) -> None:
    """Before anything is scored, which may take a while."""
    if not 32 <= args.size <= 2048:
        raise UserError(f"--size {args.size}: pictures have 32 to 2048 pixels")
    if args.out.is_dir():
        raise UserError(f"--out {args.out} is a folder; name the page's file, for example "
                        f"{args.out / 'report.html'}")


def _page(args: argparse.Namespace, sets: list[ScoredSet]) -> None:
    from .page.page import write_page

    store = write_page(args.out, sets, args.profile, args.size)
    megabytes = args.out.stat().st_size / 1e6
    beside = "" if store.embedded else f", its pictures in {store.folder}/ " \
                                       f"({store.bytes / 1e6:.1f} MB): move them together"
    print(f"{args.out} ({megabytes:.1f} MB){beside}")


def _curves(args: argparse.Namespace, sets: list[ScoredSet]) -> None:
    from .curves import draw_set, write_figures
    from .page.thumbnails import object_sizes

    for found in sets:
        drawn = draw_set(found, object_sizes(found, PROFILES[args.profile]))
        for path in write_figures(args.out, found.name, drawn, args.formats):
            print(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    page = commands.add_parser("page", help="an HTML page with scores, curves and all pictures")
    page.add_argument("--out", type=Path, default=RESULTS / "report.html", metavar="FILE",
                      help="the page (default: results/report.html); pictures that are too many "
                           "for one file lie beside it, in _report/")
    page.add_argument("--size", type=int, default=320, metavar="PIXELS",
                      help="longer side of the pictures (default: 320)")
    page.add_argument("--reported", action="append", metavar="[METHOD=]RECIPE", default=[],
                      help="whose reported numbers a method is held against, as in eval.py")
    curves = commands.add_parser("curves", help="curves and distributions as figures for papers")
    curves.add_argument("--out", type=Path, default=RESULTS / "_curves", metavar="DIR",
                        help="folder for the figures (default: results/_curves)")
    curves.add_argument("--formats", nargs="+", choices=("pdf", "png", "svg"),
                        default=["pdf", "png"])
    for command in (page, curves):
        _add_input(command)
    commands.add_parser("reproduce", help="train, test, eval, the table and a record of recipes",
                        parents=[reproduce_parser(add_help=False)])
    records = commands.add_parser("records", help="docs/reproduction.md, made of all records")
    records.add_argument("--records", type=Path, default=DOCS / "records", metavar="DIR",
                         help="the folder of records (default: docs/records/)")
    records.add_argument("--out", type=Path, default=DOCS / "reproduction.md", metavar="FILE",
                         help="the document (default: docs/reproduction.md)")
    return parser


def reproduce_parser(add_help: bool = True) -> argparse.ArgumentParser:
    """Of ``reproduce``, which takes recipes and ``key=value`` words in any order."""
    parser = argparse.ArgumentParser(
        prog="python -m report reproduce", add_help=add_help,
        usage="python -m report reproduce CONFIG … [--data SET …] [--gpu GPU] [--records DIR] "
              "[key=value …]",
        description="Runs train.py, test.py and eval.py --table for each recipe, and writes a "
                    "record of it. What is done already is kept: a finished training, maps of the "
                    "same weights, scores; a run that was stopped goes on. key=value words go "
                    "over every recipe.")
    parser.add_argument("--data", nargs="+", metavar="SET",
                        help="sets to test on (default: the recipe's)")
    parser.add_argument("--gpu", default="auto", help="index, auto or cpu (default: auto)")
    parser.add_argument("--records", type=Path, default=DOCS / "records", metavar="DIR",
                        help="where the records go (default: docs/records/)")
    return parser


def _add_input(command: argparse.ArgumentParser) -> None:
    """What to report on: eval.py's options."""
    command.add_argument("--pred", type=Path, default=RESULTS, metavar="DIR",
                         help="<method>/<set>/ folders, the <set>/ folders of one method, or with "
                              "--gt one folder of maps (default: results/)")
    command.add_argument("--gt", type=Path, metavar="DIR", help="one folder of masks")
    command.add_argument("--data", nargs="+", metavar="SET", help="only these sets")
    command.add_argument("--root", type=Path, default=DATASETS, metavar="DIR",
                         help="where the data sets lie (default: datasets/)")
    command.add_argument("--methods", nargs="+", metavar="NAME",
                         help="only these methods of --pred, in this order")
    command.add_argument("--profile", choices=list(PROFILES), default="pysodmetrics",
                         help="whose definitions to follow (default: pysodmetrics)")
    command.add_argument("--allow-missing", action="store_true",
                         help="give the scores of what can be scored")
    command.add_argument("--resize", action="store_true",
                         help="bring maps of another size to the ground truth's")


if __name__ == "__main__":
    sys.exit(main())
