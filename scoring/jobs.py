"""Which folders of maps there are, and which data set each is scored against."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.catalog import Located, canonical, find_set, lookup
from data.pairing import Pair, by_stem, list_images
from utils.errors import UserError, list_problems

from .folders import FolderScores, How, score_folder

#: A method and a data set: a cell of a table.
Cell = tuple[str, str]


@dataclass
class Job:
    """A folder of maps and the pairs to score it against."""

    method: str
    dataset: str
    maps: Path
    pairs: list[Pair]

    @property
    def cell(self) -> Cell:
        return self.method, self.dataset


@dataclass
class Scored:
    """A job, how it was scored, and what came of it."""

    job: Job
    how: How
    result: FolderScores

    @property
    def row(self) -> dict:
        """The scores as a row of ``eval.py --json``."""
        row = {"method": self.job.method, "dataset": self.job.dataset,
               "images": self.result.evaluator.images, "expected": self.result.expected,
               "profile": self.how.profile}
        if self.how.resize:
            row["resized"] = self.result.resized
        return row | self.result.evaluator.compute()

    def is_given(self, allow_missing: bool) -> bool:
        """Whether there is a row: of all maps, or of some where some may be missing."""
        return bool(self.result.evaluator.images) and (not self.result.problems or allow_missing)


def score_jobs(jobs: Sequence[Job], how: How, allow_missing: bool,
               say: bool = True) -> tuple[list[Scored], list[Job]]:
    """Score jobs; those with problems, which are said, are given only if some may be missing.

    Returns:
        What was scored, and the jobs that were not.
    """
    scored, failed = [], []
    for job in jobs:
        one = score_job(job, how, say)
        if one.is_given(allow_missing):
            scored.append(one)
        else:
            failed.append(job)
    return scored, failed


def score_job(job: Job, how: How, say: bool = True) -> Scored:
    """Score a job, whatever is wrong with it; that is said."""
    result = score_folder(list_images(job.maps), job.pairs, f"{job.method} {job.dataset}", how)
    if result.evaluator.images == 0 and not result.problems:
        result.problems.append(f"no maps in {job.maps}")
    if result.problems and say:
        print(list_problems(f"{job.method} on {job.dataset}", result.problems), file=sys.stderr)
    return Scored(job, how, result)


def find_jobs(pred: Path, gt: Path | None, data: Sequence[str], root: Path,
              methods: Sequence[str] | None = None) -> tuple[list[Job], list[Cell]]:
    """What there is to score, and what cannot be for want of maps or masks.

    Args:
        pred: ``<method>/<set>/`` folders, the ``<set>/`` folders of one method, or with ``gt``
            a folder of maps.
        gt: a folder of masks, or None.
        data: only these sets.
        root: where the data sets lie.
        methods: only these methods, folders in ``pred`` or anywhere.

    Raises:
        UserError: folders that do not exist, nothing to score, sets that are not there.
    """
    if gt:
        if data:
            raise UserError("--gt names the masks of one folder of maps; leave --data out")
        return folder_jobs([Path(folder) for folder in methods or [pred]], gt), []
    jobs, missing, truths = [], [], {}
    for method in method_folders(pred, data, methods):
        for name in dict.fromkeys(data or [folder.name for folder in subfolders(method)]):
            try:
                truth = truths.get(name) or find_truth(name, root)
            except UserError as error:
                if data:
                    raise
                print(f"note: {method / name} is not scored: {error}", file=sys.stderr)
                # A folder of another kind is no score that is missing; a known set is.
                if lookup(name) is not None or (root / name).is_dir():
                    missing.append((method.absolute().name, canonical(name)))
                continue
            truths[name] = truth
            maps = map_folder(method, truth.name)
            if maps is None:
                print(f"note: {method.name} has no maps of {truth.name}", file=sys.stderr)
                missing.append((method.absolute().name, truth.name))
                continue
            jobs.append(Job(method.absolute().name, truth.name, maps, truth.pairs))
    if not jobs and not missing:
        raise UserError(f"nothing to score in {pred}: expected <method>/<set>/*.png, for "
                        "example results/cpd_vgg/ECSSD/0001.png; --pred DIR --gt DIR scores "
                        "any two folders")
    return jobs, missing


def folder_jobs(folders: Sequence[Path], masks: Path) -> list[Job]:
    """Folders of maps against one folder of masks."""
    if not masks.is_dir():
        raise UserError(f"folder not found: {masks}")
    table, problems = by_stem(list_images(masks), "masks")
    if problems:
        raise UserError(list_problems(f"{masks} is not a folder of masks", problems))
    if not table:
        raise UserError(f"no masks in {masks}; give the folder that holds them")
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"folder not found: {folder}")
    pairs = [Pair(stem, None, path) for stem, path in table.items()]
    # <method>/<set> as elsewhere, unless several folders have names of their own.
    folders = [folder.absolute() for folder in folders]
    if len({folder.name for folder in folders}) > 1:
        dataset = canonical(masks.absolute().name)
        return [Job(folder.name, dataset, folder, pairs) for folder in folders]
    return [Job(folder.parent.name, canonical(folder.name), folder, pairs) for folder in folders]


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


def method_folders(pred: Path, data: Sequence[str],
                   methods: Sequence[str] | None = None) -> list[Path]:
    """``methods``, or ``pred`` itself when it holds data sets, else the folders in it."""
    if methods:
        folders = []
        for name in methods:
            found = [folder for folder in (pred / name, Path(name)) if folder.is_dir()]
            if not found:
                raise UserError(f"method {name}: neither {pred / name} nor {name} is a folder")
            folders.append(found[0])
        return folders
    if not pred.is_dir():
        raise UserError(f"folder not found: {pred}")
    names = [folder.name for folder in subfolders(pred)]
    is_method = any(lookup(name) or name in data for name in names)
    return [pred] if is_method else list(subfolders(pred))


def map_folder(method: Path, dataset: str) -> Path | None:
    """The method's folder for a set, under the set's name or another that people use."""
    entry = lookup(dataset)
    found = [folder for folder in subfolders(method) if folder.name == dataset
             or (entry is not None and lookup(folder.name) == entry)]
    if len(found) > 1:
        raise UserError(f"{method}: several folders hold maps of {dataset} "
                        f"({', '.join(folder.name for folder in found)}); leave one")
    return found[0] if found else None
