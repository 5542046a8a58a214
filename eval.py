"""Score saliency maps against ground truth: MAE, maxF, meanF, adpF, as PySODMetrics 1.6.2.

    python eval.py                                      all of results/<method>/<set>/
    python eval.py --data ECSSD DUTS-TE --json scores.json
    python eval.py --pred WSSA/ECSSD --gt ECSSD/ground_truth_mask    any two folders

Exit status 0 only when every map was there and could be scored; --allow-missing scores what
is there and says how many.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from data.catalog import Located, find_set, lookup
from data.pairing import Pair, by_stem, list_images
from metrics import joint_histogram, score_folder
from metrics.histogram import joint_histogram_torch
from report.tables import scores_table
from utils.cli import parse_with_overrides
from utils.errors import UserError, list_problems, reports_errors
from utils.paths import DATASETS, RESULTS, absolute, absolute_spec


@dataclass
class Job:
    """A folder of maps and the pairs to score it against."""

    method: str
    dataset: str
    maps: Path
    pairs: list[Pair]


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
    parser.add_argument("--profile", choices=["pysodmetrics"], default="pysodmetrics",
                        help="whose definitions to follow (default: pysodmetrics)")
    parser.add_argument("--allow-missing", action="store_true",
                        help="score what can be scored and say how many")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows, not rounded")
    args = parse_with_overrides(parser, argv, lists=("data",))
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
    counter = choose_counter(args.gpu)
    jobs, refused = find_jobs(args)
    rows = []
    for job in jobs:
        row, problems = score(job, counter)
        if problems:
            print(list_problems(f"{job.method} on {job.dataset}", problems), file=sys.stderr)
        if row is not None and (not problems or args.allow_missing):
            rows.append(row)
        else:
            refused += 1
    if args.json:
        write_json(args.json, rows)
    if rows:
        Console().print(scores_table(rows, args.profile))
    if refused:
        raise UserError(f"{refused} of {refused + len(rows)} scores are not given, because the "
                        "maps listed above are missing, too many or unusable; repair them, or "
                        "score the others with --allow-missing")
    return 0


def choose_counter(gpu: str):
    """The histogram backend. Without a GPU torch is not imported: scoring does not need it."""
    if gpu == "cpu" or (gpu == "auto" and not list(Path("/dev").glob("nvidia[0-9]*"))):
        return joint_histogram
    from utils.device import select_device

    device = select_device(gpu)
    if device.type == "cpu":
        return joint_histogram
    return functools.partial(joint_histogram_torch, device=device)


def find_jobs(args: argparse.Namespace) -> tuple[list[Job], int]:
    """What the arguments ask to score, and how many scores cannot be given for want of maps.

    Raises:
        UserError: folders that do not exist, nothing to score, sets that are not there.
    """
    for folder in filter(None, (args.pred, args.gt)):
        if not folder.is_dir():
            raise UserError(f"folder not found: {folder}")
    if args.gt:
        if args.data:
            raise UserError("--gt names the masks of one folder of maps; leave --data out")
        return [folder_job(args.pred, args.gt)], 0
    jobs, missing, truths = [], 0, {}
    for method in method_folders(args.pred, args.data):
        for name in args.data or [folder.name for folder in subfolders(method)]:
            try:
                truth = truths.get(name) or find_truth(name, args.root)
            except UserError as error:
                if args.data:
                    raise
                print(f"note: {method / name} is not scored: {error}", file=sys.stderr)
                continue
            truths[name] = truth
            maps = map_folder(method, truth.name)
            if maps is None:
                print(f"note: {method.name} has no maps of {truth.name}", file=sys.stderr)
                missing += not args.allow_missing
                continue
            jobs.append(Job(method.absolute().name, truth.name, maps, truth.pairs))
    if not jobs:
        raise UserError(f"nothing to score in {args.pred}: expected <method>/<set>/*.png, for "
                        "example results/cpd_vgg/ECSSD/0001.png; --pred DIR --gt DIR scores "
                        "any two folders")
    return jobs, missing


def folder_job(maps: Path, masks: Path) -> Job:
    """Any two folders."""
    table, problems = by_stem(list_images(masks), "masks")
    if problems:
        raise UserError(list_problems(f"{masks} is not a folder of masks", problems))
    if not table:
        raise UserError(f"no masks in {masks}; give the folder that holds them")
    maps = maps.absolute()
    pairs = [Pair(stem, None, path) for stem, path in table.items()]
    return Job(maps.parent.name, maps.name, maps, pairs)


def find_truth(name: str, root: Path) -> Located:
    """A data set whose images and masks pair up; a count that surprises is said."""
    found = find_set(name, root)
    if found.count_note:
        print(f"note: {found.count_note}; scored against these", file=sys.stderr)
    return found


def subfolders(folder: Path) -> Iterator[Path]:
    """Folders in ``folder`` that may hold maps."""
    return (path for path in sorted(folder.iterdir())
            if path.is_dir() and not path.name.startswith(("_", ".")))


def method_folders(pred: Path, data: list[str]) -> list[Path]:
    """``pred`` itself when it holds data sets, else the folders in it."""
    names = [folder.name for folder in subfolders(pred)]
    is_method = any(lookup(name) or name in data for name in names)
    return [pred] if is_method else list(subfolders(pred))


def map_folder(method: Path, dataset: str) -> Path | None:
    """The method's folder for a set, under the set's name or another that people use."""
    for folder in subfolders(method):
        if folder.name == dataset:
            return folder
    entry = lookup(dataset)
    return next((folder for folder in subfolders(method)
                 if entry is not None and lookup(folder.name) == entry), None)


def score(job: Job, counter) -> tuple[dict | None, list[str]]:
    """A row of the table (None when no map could be scored), and what was wrong."""
    result = score_folder(list_images(job.maps), job.pairs, f"{job.method} {job.dataset}", counter)
    if result.scores.images == 0:
        return None, result.problems or [f"no maps in {job.maps}"]
    row = {"method": job.method, "dataset": job.dataset, "images": result.scores.images,
           "expected": result.expected, **result.scores.summary()}
    return row, result.problems


def write_json(path: Path, rows: list[dict]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
