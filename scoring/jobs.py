"""Finds folders of maps and the data set that each is scored against, and scores them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.catalog import canonical, find_set, lookup, same_set
from data.listing import list_images
from data.pairing import PLAIN, Names, Pair, by_stem, fit
from utils.errors import UserError, list_problems, note_once

from .folders import FolderScores, ScoringOptions, score_folder

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
class JobScores:
    """The scores of a job, with the options that it was scored with."""

    job: Job
    options: ScoringOptions
    result: FolderScores

    @property
    def row(self) -> dict:
        """The scores as a row of ``eval.py --json``."""
        row = {"method": self.job.method, "dataset": self.job.dataset,
               "images": self.result.evaluator.images, "expected": self.result.expected,
               "profile": self.options.profile}
        if self.options.resize:
            row["resized"] = self.result.resized
        return row | self.result.evaluator.compute()

    def is_given(self, allow_missing: bool) -> bool:
        """Whether there is a row: all maps were scored, or some were and some may be missing."""
        return bool(self.result.evaluator.images) and (not self.result.problems or allow_missing)


def score_jobs(jobs: Sequence[Job], options: ScoringOptions, allow_missing: bool,
               quiet: bool = False) -> tuple[list[JobScores], list[Job]]:
    """Score jobs. Those with problems are given only if maps may be missing.

    Args:
        quiet: do not list the problems on stderr.

    Returns:
        The scores that are given, and the jobs whose scores are not.
    """
    scored = [score_job(job, options, quiet) for job in jobs]
    return ([scores for scores in scored if scores.is_given(allow_missing)],
            [scores.job for scores in scored if not scores.is_given(allow_missing)])


def score_job(job: Job, options: ScoringOptions, quiet: bool = False) -> JobScores:
    """Score a job, whatever is wrong with it, and list that on stderr unless ``quiet``."""
    maps = list_images(job.maps, options.names.recursive)
    note_once(maps.note)
    result = score_folder(maps, job.pairs, f"{job.method} {job.dataset}", options)
    if result.evaluator.images == 0 and not result.problems:
        result.problems.append(f"no maps in {job.maps}")
    if result.problems and not quiet:
        print(list_problems(f"{job.method} on {job.dataset}", result.problems), file=sys.stderr)
    return JobScores(job, options, result)


def find_jobs(pred: Path, gt: Path | None, data: Sequence[str], root: Path,
              methods: Sequence[str] | None = None,
              truths_named: Names = PLAIN) -> tuple[list[Job], list[Cell]]:
    """The jobs that there are, and the cells that lack maps or masks.

    Args:
        pred: ``<method>/<set>/`` folders, the ``<set>/`` folders of one method, or with ``gt``
            a folder of maps.
        gt: a folder of masks, or None.
        data: only these sets.
        root: where the data sets lie.
        methods: only these methods, folders in ``pred`` or anywhere.
        truths_named: how the folders of masks, and of images, are read.

    Raises:
        UserError: folders that do not exist, nothing to score, sets that are not there.
    """
    if gt:
        if data:
            raise UserError("--gt names the masks of one folder of maps; leave --data out")
        return folder_jobs([Path(folder) for folder in methods or [pred]], gt,
                           truths_named), []
    jobs, missing, truths = [], [], {}
    for folder in method_folders(pred, data, methods):
        method = folder.absolute().name
        for name in dict.fromkeys(data or [maps.name for maps in subfolders(folder)]):
            try:
                if name not in truths:
                    truths[name] = find_set(name, root, truths_named)
                    if note := truths[name].count_note:
                        print(f"note: {note}; scored against these", file=sys.stderr)
            except UserError as error:
                if data:
                    raise
                print(f"note: {folder / name} is not scored: {error}", file=sys.stderr)
                # A known set is a score that is missing; a folder of another kind is none.
                if lookup(name) is not None or (root / name).is_dir():
                    missing.append((method, canonical(name)))
                continue
            truth = truths[name]
            if maps := map_folder(folder, truth.name):
                jobs.append(Job(method, truth.name, maps, truth.pairs))
            else:
                print(f"note: {method} has no maps of {truth.name}", file=sys.stderr)
                missing.append((method, truth.name))
    if not jobs and not missing:
        raise UserError(f"nothing to score in {pred}: expected <method>/<set>/*.png, for "
                        "example results/cpd_vgg/ECSSD/0001.png; --pred DIR --gt DIR scores "
                        "any two folders")
    return jobs, missing


def folder_jobs(folders: Sequence[Path], masks: Path,
                truths_named: Names = PLAIN) -> list[Job]:
    """Folders of maps against one folder of masks; ``truths_named`` says how that is read."""
    for folder in (masks, *folders):
        if not folder.is_dir():
            raise UserError(f"folder not found: {folder}")
    files = list_images(masks, truths_named.recursive)
    fitted = fit((), files, "maps", "masks", truths_named.affix)
    note_once(files.note, *fitted.notes)
    table, problems = by_stem(fitted.listing, "masks")
    if problems:
        raise UserError(list_problems(f"{masks} is not a folder of masks", problems))
    if not table:
        raise UserError(f"no masks in {masks}; give the folder that holds them")
    pairs = [Pair(name, None, path) for name, path in table.items()]
    # Folders are <method>/<set>, unless several have different names: these are the methods'.
    folders = [folder.absolute() for folder in folders]
    if len({folder.name for folder in folders}) > 1:
        dataset = canonical(masks.absolute().name)
        return [Job(folder.name, dataset, folder, pairs) for folder in folders]
    return [Job(folder.parent.name, canonical(folder.name), folder, pairs) for folder in folders]


def subfolders(folder: Path) -> Iterator[Path]:
    """Folders in ``folder`` that may hold maps."""
    return (path for path in sorted(folder.iterdir())
            if path.is_dir() and not path.name.startswith(("_", ".")))


def method_folders(pred: Path, data: Sequence[str],
                   methods: Sequence[str] | None = None) -> list[Path]:
    """Folders of methods: ``methods``, or ``pred`` itself if it holds sets, or those in it."""
    named = [next(filter(Path.is_dir, (pred / name, Path(name))), None) for name in methods or ()]
    if None in named:
        name = methods[named.index(None)]
        raise UserError(f"method {name}: neither {pred / name} nor {name} is a folder")
    if named:
        return named
    if not pred.is_dir():
        raise UserError(f"folder not found: {pred}")
    folders = list(subfolders(pred))
    is_method = any(lookup(folder.name) or folder.name in data for folder in folders)
    return [pred] if is_method else folders


def map_folder(method: Path, dataset: str) -> Path | None:
    """The method's folder of maps of a set, under any of the names that people use for the set."""
    folders = [folder for folder in subfolders(method) if same_set(folder.name, dataset)]
    if len(folders) > 1:
        raise UserError(f"{method}: several folders hold maps of {dataset} "
                        f"({', '.join(folder.name for folder in folders)}); leave one")
    return folders[0] if folders else None
