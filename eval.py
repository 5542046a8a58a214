"""Score saliency maps against ground truth: MAE, F, E, S, weighted F and more.

    python eval.py                                      all of results/<method>/<set>/
    python eval.py --data ECSSD DUTS-TE --json scores.json --per-image images.csv
    python eval.py --pred WSSA/ECSSD --gt ECSSD/ground_truth_mask    any two folders
    python eval.py --pred maps --gt masks --name WSSA --set ECSSD    and what they are called
    python eval.py --data ECSSD --limit 20              a quick look at the first 20 images alone
    python eval.py --compare cpd_vgg wssa               is the difference more than chance?
    python eval.py --table --save table.tex table.md    the papers' numbers, ours, the difference
    python eval.py --pred maps --table --reported WSSA=wssa    the same of maps of others

All scores are kept in results/scores.json, of which the table is made; --forget METHOD removes
some. Exit status 0 only when every map was there and could be scored, and every file that was
asked for is written; --allow-missing scores the maps that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from metrics import CORE, MEASURES, PROFILES
from metrics.compare import compare, linear_columns
from report.recipes import Recipes, add_reported
from report.table import print_report, require_format
from report.tables import (
    csv_text,
    differences_table,
    most_table,
    print_table,
    require_own_files,
    scores_table,
    write_all,
)
from scoring import ScoringOptions
from scoring.arguments import add_choice, add_maps, add_names, settle
from scoring.jobs import WHY_REFUSED, Cell, Job, JobScores, find_jobs, score_jobs
from scoring.scores import Row, forget, keep_scores, kept_rows, read_scores, row_cell
from utils.cli import parse_with_overrides
from utils.errors import UserError, counted, nearest, reports_errors
from utils.origin import origin_of
from utils.paths import RESULTS

SCORES = "scores.json"


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line. ``named``: it names maps to score; ``reports``: it asks for a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_what_to_score(parser)
    add_what_to_write(parser)
    args = parse_with_overrides(parser, argv, lists=("data", "measures", "save"))
    settle(args, args.overrides)
    args.measures = args.measures or ["core"]
    args.save = [Path(name) for name in args.save or []]
    for path in args.save:
        require_format(path)
    require_own_files({RESULTS / SCORES: "eval.py keeps all scores there by itself"}, [
        ("--json", args.json), ("--csv", args.csv), ("--per-image", args.per_image),
        *(("--save", path) for path in args.save)])
    args.named = bool(args.pred or args.gt or args.compare)
    args.reports = bool(args.table or args.closest or args.save or args.reported)
    if args.gt and not (args.pred or args.compare):
        raise UserError("--gt names the masks; name the folder of maps with --pred")
    writes = args.json or args.csv or args.per_image
    if args.forget and (args.named or args.reports or args.data or writes):
        raise UserError("--forget only removes scores that are kept; score in another command")
    return args


def add_what_to_score(parser: argparse.ArgumentParser) -> None:
    add_maps(parser)
    add_names(parser)
    add_choice(parser)
    add = parser.add_argument
    add("--gpu", default="auto", help="index, auto or cpu (default: auto); the scores are the same")
    add("--measures", nargs="+", action="extend", metavar="NAME",
        help=f"core ({', '.join(CORE)}), all, or some of {', '.join(MEASURES)} (default: core), or "
             "a number of theirs, such as maxF; "
             "other measures of the same maps stay in results/scores.json")
    add("--compare", nargs=2, metavar=("A", "B"),
        help="two methods of --pred, or two folders like --pred: their differences image by image")
    add("--no-cache", action="store_true", help="does nothing: scores are not cached any more")


def add_what_to_write(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--table", action="store_true",
        help="reported | ours | difference, all methods on all sets with ranks and averages, and "
             "what was scored; of the methods of --pred, without it of all in results/scores.json")
    add("--save", nargs="+", action="extend", metavar="FILE",
        help="write that table: .md, .tex (booktabs), .csv or .json")
    add_reported(parser)
    add("--closest", action="store_true",
        help="which profile and measure the reported numbers agree with best")
    add("--json", type=Path, metavar="FILE", help="write the rows, not rounded")
    add("--csv", type=Path, metavar="FILE", help="write the rows as a table")
    add("--per-image", type=Path, metavar="FILE",
        help="write every map's scores, not rounded, as CSV")
    add("--forget", nargs="+", action="extend", metavar="METHOD[/SET]",
        help="score nothing, but remove the scores of a method, or of it on a set, from "
             "results/scores.json")


@reports_errors
def main(argv: list[str] | None = None) -> int:
    run(argv)
    return 0


def run(argv: list[str] | None = None) -> list[Row]:
    """Score, compare, print and keep what a command line asks for.

    Returns:
        The rows that were scored, as ``results/scores.json`` keeps them.

    Raises:
        UserError: some maps could not be scored, a file could not be written, or what the
            arguments name is not there.
    """
    args = parse(argv)
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UserError("eval.py shares its work among the cores itself; start it without torchrun")
    if args.forget:
        forget(RESULTS / SCORES, args.forget)
        return []
    if args.no_cache:
        print("note: --no-cache does nothing: scores are not cached any more", file=sys.stderr)
    options = scoring_options(args)
    recipes = Recipes(args.reported)
    before = read_scores(RESULTS / SCORES)  # a damaged file is reported before anything is scored
    jobs, absent = jobs_of(args, before)
    recipes.require([job.method for job in jobs]
                    + [row["method"] for row in before if not args.named])
    given, failed = score_jobs(jobs, options, args.allow_missing)
    others = [more for scores in given if args.reports
              for more in under_other_profiles(scores, args, recipes)]
    new = kept_rows(given + others)
    kept = keep_scores(RESULTS / SCORES, new)  # before anything that may fail
    rows = [scores.row for scores in given]
    if rows and not args.reports:
        print_table(scores_table(rows, PROFILES[args.profile].source))
    refused = (0 if args.allow_missing else len(absent)) + len(failed)
    failures = write_files(args, rows, given)
    with noted(failures):
        if args.compare and not refused:
            show_differences(given)
    without = absent + [job.cell for job in failed]
    with noted(failures):
        if args.reports and (given or not without):
            show_report(args, recipes, kept, [scores.job.cell for scores in given], without)
    if refused:
        failures.append(f"not given: {refused} of {counted(refused + len(rows), 'score')}, "
                        f"{WHY_REFUSED}")
    if failures:
        raise UserError("\n".join(failures))
    return new


@contextmanager
def noted(failures: list[str]) -> Iterator[None]:
    """A user error in the block goes to ``failures``, so that what comes after is still done."""
    try:
        yield
    except UserError as error:
        failures.append(str(error))


def jobs_of(args: argparse.Namespace, before: list[Row]) -> tuple[list[Job], list[Cell]]:
    """See ``find_jobs``. Without any maps, a table can still be made of the scores of before."""
    try:
        return find_jobs(args.pred or RESULTS, args.gt, args.data, args.root, args.compare,
                         args.name, args.set, args.words)
    except UserError as error:
        if not args.reports or args.named or not before:
            raise
        print(f"note: nothing is scored now, the table is of {RESULTS / SCORES}: {error}",
              file=sys.stderr)
        return [], []


def scoring_options(args: argparse.Namespace) -> ScoringOptions:
    """How the arguments say that maps are scored."""
    defined = PROFILES[args.profile].measures
    known = ("core", "all", *MEASURES)
    spelled = {word.lower(): name for name, measure in MEASURES.items() for word in measure.columns}
    spelled |= {name.lower(): name for name in known}
    args.measures = [spelled.get(name.lower(), name) for name in args.measures]
    for name in args.measures:
        if name not in known:
            raise UserError(f"--measures {name}: {nearest(name, known)}")
        if name in MEASURES and name not in defined:
            raise UserError(f"the profile {args.profile} does not define {name}; it has "
                            f"{', '.join(defined)}")
    chosen = tuple(measure for name in args.measures
                   for measure in {"core": CORE, "all": MEASURES}.get(name, (name,)))
    return ScoringOptions(choose_device(args.gpu), measures=chosen,
                          resize=args.resize, affix=args.affix,
                          limit=args.limit).under(args.profile)


def choose_device(gpu: str) -> object:
    """Where to score. Without a GPU torch is not imported: scoring does not need it."""
    if gpu == "cpu" or (gpu == "auto" and not list(Path("/dev").glob("nvidia[0-9]*"))):
        return "cpu"
    from utils.device import select_device

    return select_device(gpu)


def under_other_profiles(scores: JobScores, args: argparse.Namespace,
                         recipes: Recipes) -> list[JobScores]:
    """The same maps under the profiles that the method's reported numbers were made with."""
    job = scores.job
    reported = recipes.profiles(job.method, job.dataset, origin_of(job.maps))
    profiles = PROFILES if reported and args.closest else reported
    others = [scores.options.under(name) for name in profiles if name != args.profile]
    return [given for options in others if options.measures
            for given in score_jobs([job], options, args.allow_missing, quiet=True)[0]]


def show_report(args: argparse.Namespace, recipes: Recipes, kept: list[Row],
                now: Sequence[Cell], without: Sequence[Cell]) -> None:
    """Print and save the papers' table of the methods that were scored now, or of all that ever
    were; ``without`` are cells that could not be scored now."""
    sets = [*map(os.path.basename, args.data), *(dataset for _, dataset in now)] \
        if args.data or args.gt else []
    rows = [row for row in kept if not args.named or row_cell(row) in now]
    print_report(rows, recipes, sets=sets, profile=args.profile, without=without,
                 table=args.table, closest=args.closest, save=args.save)


def show_differences(given: Sequence[JobScores]) -> None:
    """Compare the two methods on each data set."""
    for dataset in dict.fromkeys(scores.job.dataset for scores in given):
        methods = [scores for scores in given if scores.job.dataset == dataset]
        names = [scores.job.method for scores in methods]
        if len(names) != 2:
            raise UserError(f"--compare: both methods need maps of {dataset}, only "
                            f"{names[0]} has them")
        a, b = (scores.result.evaluator.per_image for scores in methods)
        if a.keys() != b.keys():
            raise UserError(f"{names[0]} and {names[1]} have maps of different images of "
                            f"{dataset}; they are compared on the same ones")
        differences = compare(a, b)
        if not differences:
            raise UserError(f"none of the measures can be compared image by image: those are "
                            f"{', '.join(linear_columns())}")
        print_table(differences_table(*names, dataset, differences))
        if differences[0].most:
            print_table(most_table(*names, differences[0]))


def write_files(args: argparse.Namespace, rows: Sequence[Row],
                given: Sequence[JobScores]) -> list[str]:
    """Write the files that the arguments name. Returns what could not be written."""
    per_image = [{"method": scores.job.method, "dataset": scores.job.dataset, "image": name}
                 | numbers for scores in given if args.per_image
                 for name, numbers in sorted(scores.result.evaluator.per_image.items())]
    files = ((args.json, json.dumps(rows, indent=1) + "\n"), (args.csv, csv_text(rows)),
             (args.per_image, csv_text(per_image)))
    return write_all((path, text) for path, text in files if path)


if __name__ == "__main__":
    sys.exit(main())
