"""Score saliency maps against ground truth: MAE, F, E, S, weighted F and more.

    python eval.py                                      all of results/<method>/<set>/
    python eval.py --data ECSSD DUTS-TE --json scores.json --per-image images.csv
    python eval.py --pred WSSA/ECSSD --gt ECSSD/ground_truth_mask    any two folders
    python eval.py --compare cpd_vgg wssa               is the difference more than chance?
    python eval.py --table --save table.tex table.md    the papers' numbers, ours, the difference
    python eval.py --pred maps --table --reported WSSA=wssa    the same of maps of others

All scores are kept in results/scores.json, of which the table is made. Exit status 0 only when
every map was there and could be scored; --allow-missing scores what is there and says how many.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from metrics import CORE, FAMILIES, PROFILES
from metrics.compare import LINEAR, compare
from report.recipes import Recipes
from report.table import print_report, require_format
from report.tables import (
    csv_text,
    differences_table,
    most_table,
    print_table,
    scores_table,
    write,
)
from scoring import How
from scoring.jobs import Cell, Job, Scored, find_jobs, score_jobs
from scoring.scores import Row, keep_scores, kept_row, read_scores, row_cell, stamp
from utils.cli import parse_with_overrides
from utils.errors import UserError, nearest, reports_errors
from utils.origin import origin_of
from utils.paths import DATASETS, RESULTS, absolute, absolute_spec

SCORES = "scores.json"


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pred", type=Path, metavar="DIR",
                        help="<method>/<set>/ folders, the <set>/ folders of one method, or with "
                             "--gt one folder of maps (default: results/)")
    parser.add_argument("--gt", type=Path, metavar="DIR", help="one folder of masks")
    parser.add_argument("--data", nargs="+", metavar="SET", help="only these sets")
    parser.add_argument("--root", type=Path, default=DATASETS, metavar="DIR",
                        help="where the data sets lie (default: datasets/); data.root=DIR says "
                             "the same")
    parser.add_argument("--gpu", default="auto",
                        help="index, auto or cpu (default: auto); the scores are the same")
    parser.add_argument("--profile", choices=list(PROFILES), default="pysodmetrics",
                        help="whose definitions to follow (default: pysodmetrics)")
    parser.add_argument("--measures", nargs="+", default=["core"], metavar="NAME",
                        help=f"core ({', '.join(CORE)}), all, or some of {', '.join(FAMILIES)}")
    parser.add_argument("--compare", nargs=2, metavar=("A", "B"),
                        help="two methods of --pred, or two folders like --pred: their "
                             "differences image by image")
    parser.add_argument("--table", action="store_true",
                        help="reported | ours | difference, all methods on all sets with ranks and "
                             "averages, and what was scored; of the methods of --pred, without it "
                             "of all in results/scores.json")
    parser.add_argument("--save", nargs="+", metavar="FILE",
                        help="write that table: .md, .tex (booktabs), .csv or .json")
    parser.add_argument("--reported", action="append", metavar="[METHOD=]RECIPE", default=[],
                        help="whose reported numbers a method is held against, a name in configs/ "
                             "or a YAML file (default: the recipe that is called like the method, "
                             "else the one that test.py ran)")
    parser.add_argument("--closest", action="store_true",
                        help="which profile and measure the reported numbers agree with best")
    parser.add_argument("--allow-missing", action="store_true",
                        help="score what can be scored and say how many")
    parser.add_argument("--resize", action="store_true",
                        help="bring maps of another size to the ground truth's (bilinear) and say "
                             "how many")
    parser.add_argument("--no-cache", action="store_true",
                        help="score maps again that an evaluation before has scored")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows, not rounded")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="the same as a table")
    parser.add_argument("--per-image", type=Path, metavar="FILE",
                        help="write every map's scores, not rounded, as CSV")
    args = parse_with_overrides(parser, argv, lists=("data", "measures", "save"))
    for override in args.overrides:
        key, _, value = override.partition("=")
        if key != "data.root":
            raise UserError(f"{override}: of the configuration keys, scoring takes data.root alone")
        args.root = Path(absolute(value))
    args.data = [absolute_spec(spec) for spec in args.data or []]
    args.save = [Path(name) for name in args.save or []]
    for path in args.save:
        require_format(path)
    if args.json and args.json.absolute() == (RESULTS / SCORES).absolute():
        raise UserError(f"--json {args.json}: eval.py keeps all scores there by itself; give "
                        "another name, or leave --json out")
    args.named = bool(args.pred or args.gt or args.compare)
    args.reports = bool(args.table or args.closest or args.save or args.reported)
    return args


@reports_errors
def main(argv: list[str] | None = None) -> int:
    run(argv)
    return 0


def run(argv: list[str] | None = None) -> list[Row]:
    """All that a command line asks for. Returns the rows that it scored, as they are kept.

    Raises:
        UserError: there are maps that could not be scored, or what the arguments say is not there.
    """
    args = parse(argv)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("eval.py shares its work among the cores itself; start it without torchrun")
    how = how_to_score(args)
    recipes = Recipes(args.reported)
    before = read_scores(RESULTS / SCORES)  # a damaged file is said before anything is scored
    jobs, absent = jobs_of(args, before)
    recipes.require([job.method for job in jobs]
                    + [row["method"] for row in before if not args.named])
    scored, failed = score_jobs(jobs, how, args.allow_missing)
    refused = (0 if args.allow_missing else len(absent)) + len(failed)
    without = absent + [job.cell for job in failed]
    rows = [one.row for one in scored]
    if rows and not args.reports:
        print_table(scores_table(rows, PROFILES[args.profile].source))
    if args.compare and not refused:
        show_differences(scored)
    write_files(args, rows, scored)
    if args.reports:
        scored += [other for one in scored for other in under_other_profiles(one, args, recipes)]
    when = stamp()
    new = [kept_row(one, when) for one in scored]
    kept = keep_scores(RESULTS / SCORES, new)
    if args.reports and (scored or not without):
        show_report(args, recipes, kept, [one.job.cell for one in scored], without)
    if refused:
        raise UserError(f"{refused} of {refused + len(rows)} scores are not given, because the "
                        "maps listed above are missing, too many or unusable; repair them, or "
                        "score the others with --allow-missing")
    return new


def jobs_of(args: argparse.Namespace, before: list[Row]) -> tuple[list[Job], list[Cell]]:
    """What there is to score, see ``find_jobs``; a table can also be of what was scored before."""
    try:
        return find_jobs(args.pred or RESULTS, args.gt, args.data, args.root, args.compare)
    except UserError as error:
        if not args.reports or args.named or not before:
            raise
        print(f"note: nothing is scored now, the table is of {RESULTS / SCORES}: {error}",
              file=sys.stderr)
        return [], []


def how_to_score(args: argparse.Namespace) -> How:
    """What the arguments say about scoring a folder."""
    known = ("core", "all", *FAMILIES)
    for name in args.measures:
        if name not in known:
            raise UserError(f"--measures {name}: {nearest(name, known)}")
        if name in FAMILIES and name not in PROFILES[args.profile].families:
            raise UserError(f"the profile {args.profile} does not define {name}; it has "
                            f"{', '.join(PROFILES[args.profile].families)}")
    chosen = {family for name in args.measures
              for family in {"core": CORE, "all": FAMILIES}.get(name, (name,))}
    measures = tuple(family for family in PROFILES[args.profile].families if family in chosen)
    cache = None if args.no_cache else RESULTS / ".scores.sqlite"
    return How(choose_device(args.gpu), args.profile, measures, args.resize, cache)


def choose_device(gpu: str) -> object:
    """Where to score. Without a GPU torch is not imported: scoring does not need it."""
    if gpu == "cpu" or (gpu == "auto" and not list(Path("/dev").glob("nvidia[0-9]*"))):
        return "cpu"
    from utils.device import select_device

    return select_device(gpu)


def under_other_profiles(one: Scored, args: argparse.Namespace,
                         recipes: Recipes) -> list[Scored]:
    """The same maps under the profiles that the method's reported numbers were made with."""
    names = recipes.profiles(one.job.method, one.job.dataset, origin_of(one.job.maps))
    hows = [one.how.under(name) for name in (PROFILES if names and args.closest else names)
            if name != args.profile]
    return [other for how in hows if how.measures
            for other in score_jobs([one.job], how, args.allow_missing, say=False)[0]]


def show_report(args: argparse.Namespace, recipes: Recipes, kept: list[Row],
                now: Sequence[Cell], without: Sequence[Cell]) -> None:
    """What the arguments ask for, of the methods scored now, or of all that ever were; ``without``
    the scores of what could not be scored now."""
    sets = [*map(os.path.basename, args.data), *(dataset for _, dataset in now)] \
        if args.data or args.gt else []
    rows = [row for row in kept if not args.named or row_cell(row) in now]
    print_report(rows, recipes, sets=sets, profile=args.profile, without=without,
                 table=args.table, closest=args.closest, save=args.save)


def show_differences(scored: Sequence[Scored]) -> None:
    """Compare the two methods on each data set."""
    by_dataset: dict[str, list[Scored]] = {}
    for one in scored:
        by_dataset.setdefault(one.job.dataset, []).append(one)
    for dataset, found in by_dataset.items():
        if len(found) != 2:
            raise UserError(f"--compare: both methods need maps of {dataset}, only "
                            f"{found[0].job.method} has them")
        (a, b), (one, other) = ([each.job.method for each in found],
                                [each.result.evaluator.per_image for each in found])
        if one.keys() != other.keys():
            raise UserError(f"{a} and {b} have maps of different images of {dataset}; they are "
                            "compared on the same ones")
        differences = compare(one, other)
        if not differences:
            raise UserError(f"none of the measures can be compared image by image: those are "
                            f"{', '.join(LINEAR)}")
        print_table(differences_table(a, b, dataset, differences))
        print_table(most_table(a, b, differences[0]))


def write_files(args: argparse.Namespace, rows: Sequence[dict],
                scored: Sequence[Scored]) -> None:
    """The files that the arguments ask for."""
    if args.json:
        write(args.json, json.dumps(rows, indent=1) + "\n")
    if args.csv:
        write(args.csv, csv_text(rows))
    if args.per_image:
        write(args.per_image, csv_text([
            {"method": one.job.method, "dataset": one.job.dataset, "image": name} | numbers
            for one in scored for name, numbers in sorted(one.result.evaluator.per_image.items())]))


if __name__ == "__main__":
    sys.exit(main())
