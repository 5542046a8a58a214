"""Reports on what eval.py scored, and on saliency maps, one's own or of others.

    python -m report table                    the papers' numbers, ours, the difference; ranks
    python -m report table --data ECSSD --closest --save table.tex
    python -m report page                     results/<method>/<set>/ → results/report.html
    python -m report page --pred maps/WSSA/ECSSD --gt ECSSD/ground_truth_mask
    python -m report curves --data ECSSD      the figures alone, as PDF and PNG
    python -m report attributes --data ECSSD  what is hard about the images, and for which method
    python -m report table --layout paper --sets ECSSD --columns maxF MAE --save table.tex
                                              one table for a paper
    python -m report figure --data ECSSD --by worst
                                              images, truths and maps as one figure for a paper
    python -m report figure --data ECSSD --by complexity
                                              those of the most complex objects
    python -m report run checkpoints/cpd_vgg  a training's loss, rate and validation, as a figure
    python -m report records                  docs/records/*.json → docs/reproduction.md
    python -m report zoo                      all networks: docs/zoo.md, the README's table, the
                                              speeds in docs/performance.md, docs/export.md's table
    python -m report explain --config u2netp --official --input photo.jpg
                                              what a network has inside while it makes a map

table reads results/scores.json. page, curves and attributes score maps as eval.py does, and figure
where it chooses images by their scores; they need neither a checkpoint nor a recipe. What is wrong
with maps is listed, and shown on the page, and the exit status is 0 only when every map could be
scored.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from metrics import PROFILES
from scoring.arguments import SCORING_KEYS, add_choice, add_maps, add_names, settle
from scoring.jobs import WHY_REFUSED
from scoring.scores import read_scores
from utils.cli import split_overrides
from utils.errors import UserError, counted, nearest, reports_errors
from utils.paths import DOCS, RESULTS
from utils.stop import terminable

from . import figure, paper, paper_formats
from .attributes import command as attributes_command
from .methods import scored_as_asked
from .recipes import Recipes, add_reported
from .records import document, read_records
from .table import print_report, require_format
from .tables import require_own_files, write

SCORING = ("page", "curves", "attributes", "figure")  # commands that score maps


@reports_errors
def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["reproduce"]:
        raise UserError(f"reproducing is a script of its own now: python reproduce.py "
                        f"{' '.join(words[1:])}".rstrip())
    # A word such as wssa=edn is no key of a report, but a value of --reported.
    explains = words[:1] == ["explain"]
    keys = split_overrides([word for word in words if explains or word.startswith("data.")])[1]
    args = _parser().parse_args([word for word in words if word not in keys])
    if args.command in SCORING:
        settle(args, keys)
    elif explains:
        args.overrides = keys
    elif keys:
        raise UserError(f"{keys[0]}: {args.command} reads no masks; {', '.join(SCORING)} do")
    commands = {"table": _table, "page": _page, "curves": _curves,
                "attributes": lambda args: attributes_command.run(
                    args, lambda: scored_as_asked(args, args.methods)),
                "run": _run, "figure": figure.write_figure, "records": _records, "zoo": _zoo,
                "explain": _explain}
    if refused := commands[args.command](args):
        raise UserError(f"not given: {counted(refused, 'score')}, {WHY_REFUSED}")
    return 0


def _table(args: argparse.Namespace) -> None:
    paper.require_layout(args)
    require = paper_formats.require_format if args.layout == "paper" else require_format
    for path in args.save or ():
        require(path)
    require_own_files({RESULTS / "scores.json": "all scores are kept there"},
                      [("--save", path) for path in args.save or ()])
    rows = read_scores(RESULTS / "scores.json")
    if args.layout == "paper":
        paper_formats.print_paper(paper.paper_table(args, rows), args.save or ())
        return
    recipes = Recipes(args.reported)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for name in args.methods or ():
        if name not in methods:
            raise UserError(f"--methods {name}: no scores of it are kept; {nearest(name, methods)}")
    shown = dict.fromkeys(args.methods or methods)
    recipes.require(shown)
    print_report([row for name in shown for row in rows if row["method"] == name], recipes,
                 sets=[Path(spec).name for spec in args.data or ()], profile=args.profile,
                 without=(), table=True, closest=args.closest, save=args.save or ())


def _page(args: argparse.Namespace) -> int:
    from .attributes.kept import kept_attributes
    from .page.page import write_page
    from .page.sheets import Sheets

    # Before anything is scored, which may take a while.
    if not 32 <= args.size <= 2048:
        raise UserError(f"--size {args.size}: pictures have 32 to 2048 pixels")
    if args.out.is_dir():
        raise UserError(f"--out {args.out} is a folder; name the page's file, for example "
                        f"{args.out / 'report.html'}")
    sheets = Sheets(args.explain)
    sets, refused = scored_as_asked(args, args.methods, Recipes(args.reported))
    shown = sheets.shown(sets)
    attributes = {scores.name: kept_attributes(scores.name, scores.pairs, PROFILES[args.profile])
                  for scores in sets}
    with terminable():  # so that half a page's pictures do not stay behind
        store = write_page(args.out, sets, args.profile, args.size, sheets=shown,
                           attributes=attributes)
    megabytes = args.out.stat().st_size / 1e6
    beside = "" if store.embedded else f", its pictures in {store.folder}/ " \
                                       f"({store.bytes / 1e6:.1f} MB): move them together"
    print(f"{args.out} ({megabytes:.1f} MB){beside}")
    return refused


def _curves(args: argparse.Namespace) -> int:
    from .attributes.kept import file_stem
    from .curves import draw_set, to_bytes

    sets, refused = scored_as_asked(args, args.methods)
    stems = attributes_command.distinct(file_stem(scores.name) for scores in sets)
    for stem, scores in zip(stems, sets, strict=True):
        for drawn in draw_set(scores, scores.object_sizes(PROFILES[args.profile])):
            for kind in args.formats or ("pdf", "png"):
                path = args.out / f"{stem}_{drawn.key}.{kind}"
                write(path, to_bytes(drawn, kind))
                print(path)
    return refused


def _run(args: argparse.Namespace) -> None:
    from .curves import to_bytes
    from .run import draw_run

    path = args.out or args.folder / "run.png"
    kind = figure.require_kind(path)
    require_own_files({}, [("--out", path)])
    write(path, to_bytes(draw_run(args.folder), kind))
    print(path)


def _records(args: argparse.Namespace) -> None:
    records = read_records(args.records)
    if not records:
        raise UserError(f"--records {args.records}: no records (.json) in this folder")
    write(args.out, document(records))
    print(f"{args.out}: {counted(len(records), 'record')}")


def _zoo(args: argparse.Namespace) -> None:
    import model  # networks, which the other reports do without

    from .zoo import documents, entries

    for path, text in documents(entries(model.names())).items():
        write(path, text)
        print(path)


def _explain(args: argparse.Namespace) -> None:
    from .explain.command import explain  # networks, which the other reports do without

    explain(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("table", help="reported | ours | difference, all methods on all "
                                              "sets with ranks and averages, what was scored")
    page = commands.add_parser("page", help="an HTML page with scores, curves and all pictures")
    curves = commands.add_parser("curves", help="curves and distributions as figures for papers")
    attributes = commands.add_parser("attributes", help="which attributes of images, such as size "
                                     "or contrast of the object, cost which method most")
    attributes_command.add_arguments(attributes)
    figures = commands.add_parser("figure", help="images, truths and methods' maps as a figure")
    figure.add_arguments(figures)
    run = commands.add_parser("run", help="a run of train.py as a figure: loss terms, learning "
                                          "rate, validation")
    records = commands.add_parser("records", help="docs/reproduction.md, made of all records")
    commands.add_parser("zoo", help="docs/zoo.md, what each network is, costs and is shown to do, "
                                    "and the tables of README.md, docs/performance.md and "
                                    "docs/export.md")
    _add_explain(commands.add_parser("explain", help="a sheet of each image: its map, the side "
                                     "outputs, the trunk's stages, and what decided"))
    paper.add_arguments(table)
    for command in (table, page, curves, attributes):
        add_choice(command)
        command.add_argument("--methods", nargs="+", action="extend", metavar="NAME",
                             help="only these methods, in this order; with --layout paper "
                                  "NAME=LABEL says in LaTeX what it is called" if command is table
                             else "only these methods, in this order")
    for command in (table, page):
        add_reported(command)
    for command in (page, curves, attributes):
        add_maps(command)
        add_names(command)
        command.set_defaults(pred=RESULTS)
    for command in (page, curves, attributes, figures):
        command.epilog = (f"key=value words of {', '.join(SCORING_KEYS)} say how masks are read, "
                          "as for eval.py.")
    table.add_argument("--save", nargs="+", action="extend", type=Path, metavar="FILE",
                       help="write the tables: .md, .tex (booktabs), .csv or .json; with --layout "
                            "paper .tex, .md, .csv or .xlsx")
    table.add_argument("--closest", action="store_true",
                       help="which measure, under the profiles that were scored, the reported "
                            "numbers agree with best (eval.py --closest scores under all)")
    _add_page(page)
    curves.add_argument("--out", type=Path, default=RESULTS / "_curves", metavar="DIR",
                        help="folder for the figures (default: results/_curves)")
    curves.add_argument("--formats", nargs="+", action="extend", choices=figure.FORMATS,
                        help="(default: pdf png)")
    run.add_argument("folder", type=Path, metavar="RUN", help="its folder in checkpoints/")
    run.add_argument("--out", type=Path, metavar="FILE",
                     help=f"the figure, .{', .'.join(figure.FORMATS)} (default: RUN/run.png)")
    records.add_argument("--records", type=Path, default=DOCS / "records", metavar="DIR",
                         help="the folder of records (default: docs/records/)")
    records.add_argument("--out", type=Path, default=DOCS / "reproduction.md", metavar="FILE",
                         help="the document (default: docs/reproduction.md)")
    return parser


def _add_page(page: argparse.ArgumentParser) -> None:
    page.add_argument("--out", type=Path, default=RESULTS / "report.html", metavar="FILE",
                      help="the page (default: results/report.html); pictures that are too many "
                           "for one file lie beside it, in _report/")
    page.add_argument("--size", type=int, default=320, metavar="PIXELS",
                      help="longer side of the pictures (default: 320)")
    page.add_argument("--explain", nargs="+", action="extend", metavar="[METHOD=]FOLDER",
                      default=[], help="sheets that explain made, such as results/_explain/u2netp; "
                                       "they are shown on their images' pages")


def _add_explain(explain: argparse.ArgumentParser) -> None:
    explain.epilog = "key=value words change the configuration, as for test.py."
    explain.add_argument("--input", nargs="+", action="extend", required=True, metavar="PATH",
                         help="images, folders of images, or glob patterns")
    explain.add_argument("--recursive", action="store_true", help="read subfolders too")
    explain.add_argument("--config", metavar="RECIPE", help="as for test.py, with --checkpoint, "
                         "--official and --gpu (default: cpd_vgg)")
    explain.add_argument("--checkpoint", type=Path, metavar="FILE")
    explain.add_argument("--official", action="store_true")
    explain.add_argument("--gpu", default="auto", help="index, auto or cpu (default: auto)")
    explain.add_argument("--layer", metavar="NAME", help="whose CAM is made, such as trunk.conv4; "
                         "it is shown among the stages, too (default: the trunk's last stage)")
    explain.add_argument("--method", metavar="CAM", help="gradcam, gradcam++, layercam, eigencam "
                         "and others of the library grad-cam (default: gradcam)")
    explain.add_argument("--target", metavar="PART", help="whose saliency is explained: object, "
                         "what the map shows as salient; a box X0,Y0,X1,Y1 in the photo's pixels; "
                         "or the file of a mask (default: object)")
    explain.add_argument("--out", type=Path, default=RESULTS / "_explain", metavar="DIR",
                         help="<out>/<name>/<image stem>.png (default: results/_explain)")


if __name__ == "__main__":
    sys.exit(main())
