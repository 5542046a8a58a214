"""Score saliency maps against ground truth: MAE, F, E, S, weighted F and more.

    python eval.py                                      all of results/<method>/<set>/
    python eval.py --data ECSSD DUTS-TE --json scores.json --per-image images.csv
    python eval.py --pred WSSA/ECSSD --gt ECSSD/ground_truth_mask    any two folders
    python eval.py --compare cpd_vgg wssa               is the difference more than chance?

Exit status 0 only when every map was there and could be scored; --allow-missing scores what
is there and says how many.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from data.pairing import list_images
from metrics import CORE, FAMILIES, PROFILES, FolderScores, How, score_folder
from metrics.compare import LINEAR, compare
from metrics.jobs import Job, find_jobs
from report.tables import differences_table, most_table, print_table, scores_table
from utils.cli import parse_with_overrides
from utils.errors import UserError, list_problems, nearest, reports_errors
from utils.paths import DATASETS, RESULTS, absolute, absolute_spec


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pred", type=Path, default=RESULTS, metavar="DIR",
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
    args = parse_with_overrides(parser, argv, lists=("data", "measures"))
    for override in args.overrides:
        key, _, value = override.partition("=")
        if key != "data.root":
            raise UserError(f"{override}: of the configuration keys, scoring takes data.root alone")
        args.root = Path(absolute(value))
    args.data = [absolute_spec(spec) for spec in args.data or []]
    return args


@reports_errors
def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("eval.py shares its work among the cores itself; start it without torchrun")
    how = how_to_score(args)
    jobs, refused = find_jobs(args.pred, args.gt, args.data, args.root, args.compare)
    if args.allow_missing:
        refused = 0
    scored = []
    for job in jobs:
        result = score_folder(list_images(job.maps), job.pairs, f"{job.method} {job.dataset}", how)
        problems = result.problems
        if result.evaluator.images == 0:
            problems = problems or [f"no maps in {job.maps}"]
        if problems:
            print(list_problems(f"{job.method} on {job.dataset}", problems), file=sys.stderr)
        if result.evaluator.images and (not problems or args.allow_missing):
            scored.append((job, result))
        else:
            refused += 1
    rows = [row_of(job, result, args) for job, result in scored]
    if rows:
        print_table(scores_table(rows, PROFILES[args.profile].source))
    if args.compare and not refused:
        show_differences(scored)
    write_files(args, rows, scored)
    if refused:
        raise UserError(f"{refused} of {refused + len(rows)} scores are not given, because the "
                        "maps listed above are missing, too many or unusable; repair them, or "
                        "score the others with --allow-missing")
    return 0


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


def row_of(job: Job, result: FolderScores, args: argparse.Namespace) -> dict:
    """A row of the table."""
    row = {"method": job.method, "dataset": job.dataset, "images": result.evaluator.images,
           "expected": result.expected, "profile": args.profile}
    if args.resize:
        row["resized"] = result.resized
    return row | result.evaluator.compute()


def show_differences(scored: Sequence[tuple[Job, FolderScores]]) -> None:
    """Compare the two methods on each data set."""
    by_dataset: dict[str, list[tuple[Job, FolderScores]]] = {}
    for job, result in scored:
        by_dataset.setdefault(job.dataset, []).append((job, result))
    for dataset, found in by_dataset.items():
        if len(found) != 2:
            raise UserError(f"--compare: both methods need maps of {dataset}, only "
                            f"{found[0][0].method} has them")
        (a, one), (b, other) = found
        if one.evaluator.per_image.keys() != other.evaluator.per_image.keys():
            raise UserError(f"{a.method} and {b.method} have maps of different images of "
                            f"{dataset}; they are compared on the same ones")
        differences = compare(one.evaluator.per_image, other.evaluator.per_image)
        if not differences:
            raise UserError(f"none of the measures can be compared image by image: those are "
                            f"{', '.join(LINEAR)}")
        print_table(differences_table(a.method, b.method, dataset, differences))
        print_table(most_table(a.method, b.method, differences[0]))


def write_files(args: argparse.Namespace, rows: Sequence[dict],
                scored: Sequence[tuple[Job, FolderScores]]) -> None:
    """The files that the arguments ask for."""
    if args.json:
        write(args.json, lambda file: file.write(json.dumps(rows, indent=1) + "\n"))
    if args.csv:
        write(args.csv, lambda file: write_csv(file, rows))
    if args.per_image:
        images = [{"method": job.method, "dataset": job.dataset, "image": name} | numbers
                  for job, result in scored
                  for name, numbers in sorted(result.evaluator.per_image.items())]
        write(args.per_image, lambda file: write_csv(file, images))


def write(path: Path, fill: Callable[[TextIO], object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            fill(file)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def write_csv(file: TextIO, rows: Sequence[dict]) -> None:
    writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
