"""Finds folders of maps and the data set that each is scored against, and scores them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data.catalog import canonical, lookup
from data.coding import with_coding
from data.listing import list_images
from data.pairing import Names, Pair, by_stem, fit
from utils.errors import SHOWN_PROBLEMS, UserError, counted, list_problems, note_once
from utils.schema import DataConfig

from .folders import FolderScores, ScoringOptions, score_folder
from .layout import INPUT, Folders, map_folder, methods_in, require_folder
from .truths import Truth, Truths, masks_for

#: A method and a data set: a cell of a table.
Cell = tuple[str, str]
#: Why scores are not given, after their number, and how to get them.
WHY_REFUSED = ("because the maps or masks above are missing, too many or unusable; mend them, or "
               "score the others with --allow-missing")


@dataclass
class Job:
    """A folder of maps and the pairs to score it against.

    Attributes:
        masks: what is decided on how the masks are found and decoded.
        uncertain: why it is not known how the masks are coded, or why they cannot be scored so;
            empty where it is.
    """

    method: str
    dataset: str
    maps: Path
    pairs: list[Pair]
    masks: DataConfig = field(default_factory=DataConfig)
    uncertain: str = ""

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
        if self.options.limit and self.options.limit < self.result.expected:
            row["limit"] = self.options.limit
        if self.options.resize:
            row["resized"] = self.result.resized
        row["empty"] = self.result.empty
        if codings := {str(coding) for pair in self.job.pairs
                       if (coding := pair.codings.get("mask")) and not coding.ordinary}:
            row["masks"] = "; ".join(sorted(codings))
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
    decide_codings(jobs, options)
    scored = [score_job(job, options, quiet) for job in jobs]
    return ([scores for scores in scored if scores.is_given(allow_missing)],
            [scores.job for scores in scored if not scores.is_given(allow_missing)])


def decide_codings(jobs: Sequence[Job], options: ScoringOptions) -> None:
    """Decide for the masks of each set how they are coded, unless that was done, and print what is
    not black to white."""
    decided: dict[tuple, tuple[list[Pair], str]] = {}  # by the list that jobs of a set share
    for job in jobs:
        if all("mask" in pair.codings for pair in job.pairs):
            continue
        key = id(job.pairs), repr(job.masks)
        if key not in decided:
            try:
                options.require_measures(job.masks)
                decided[key] = with_coding(job.pairs, job.masks, job.dataset), ""
            except UserError as error:
                decided[key] = job.pairs, str(error)
        job.pairs, job.uncertain = decided[key]


def score_job(job: Job, options: ScoringOptions, quiet: bool = False) -> JobScores:
    """Score a job, whatever is wrong with it, and list that on stderr unless ``quiet``."""
    maps = list_images(job.maps, job.masks.recursive)
    note_once(maps.note)
    if job.uncertain:
        result = FolderScores(options.evaluator(), len(job.pairs), [job.uncertain])
    else:
        result = score_folder(maps, job.pairs, f"{job.method} {job.dataset}", options)
    if result.remarks and not quiet:
        title = f"masks of {job.dataset} without foreground"
        print(f"note: {list_problems(title, result.remarks)}", file=sys.stderr)
    if result.evaluator.images == 0 and not result.problems:
        result.problems.append(f"no maps in {job.maps}")
    if result.problems and not quiet:
        print(list_problems(f"{job.method} on {job.dataset}", result.problems), file=sys.stderr)
    if not quiet:
        print_doubts(job, maps)
    return JobScores(job, options, result)


def print_doubts(job: Job, maps: Sequence[Path]) -> None:
    """A note for what can be scored, but is hardly meant."""
    if jpeg := [path for path in maps if path.suffix.lower() in (".jpg", ".jpeg", ".jfif")]:
        print(f"note: {job.method} on {job.dataset} has {counted(len(jpeg), 'JPEG map')}, whose "
              "values are not quite those that were predicted", file=sys.stderr)


def find_jobs(pred: Path, gt: Path | None, data: Sequence[str], root: Path | None = None,
              methods: Sequence[str] | None = None, names: Sequence[str] = (),
              dataset: str = "", words: Sequence[str] = ()) -> tuple[list[Job], list[Cell]]:
    """The jobs that there are, and the cells that lack maps or masks.

    Args:
        pred: ``<method>/<set>/`` or ``<set>/<method>/`` folders, the ``<set>/`` folders of one
            method, or with ``gt`` a folder of maps.
        gt: a folder of masks, or None.
        data: only these sets.
        root: where the data sets lie; None for datasets/ or, where a set is not there, the root
            that test.py had it from.
        methods: only these methods, folders in ``pred`` or anywhere.
        names: what the methods are called, in their order, instead of as their folders.
        dataset: what the set of ``gt`` is called.
        words: what is decided on masks, see ``masks_for``.

    Raises:
        UserError: folders that do not exist, nothing to score, sets that are not there, two
            methods of one name.
    """
    if gt:
        if data:
            raise UserError("--gt names the masks of one folder of maps; leave --data out, --set "
                            "names the set")
        return folder_jobs([Path(folder) for folder in methods or [pred]], gt, names, dataset,
                           words), []
    if dataset:
        raise UserError("--set says what the set of --gt is called; --data chooses sets")
    truths, jobs, missing, unscored = Truths(root, words), [], [], {}
    methods = methods_in(pred, data, truths.root, methods)
    for method, (_, folders) in zip(_renamed([name for name, _ in methods], names), methods,
                                    strict=True):
        sets, errors = _sets_of(folders, data, truths)
        for name, error in errors.items():
            # A known set is a score that is missing; a folder of another kind is none.
            is_set = lookup(name) is not None or (truths.root / name).is_dir()
            if is_set:
                missing.append((method, canonical(name)))
            if is_set or name != INPUT:
                unscored.setdefault(name, (error, []))[1].append(folders[name])
        for truth in sets:
            name = truth.located.name
            if maps := map_folder(method, folders, name):
                jobs.append(Job(method, name, maps, truth.located.pairs, truth.masks))
            else:
                print(f"note: {method} has no maps of {name}", file=sys.stderr)
                missing.append((method, name))
    _print_unscored(unscored)
    if not jobs and not missing:
        photos = next((folders[INPUT] for _, folders in methods if INPUT in folders), None)
        raise UserError(f"nothing to score in {pred}: expected <method>/<set>/*.png, for "
                        "example results/cpd_vgg/ECSSD/0001.png; --pred DIR --gt DIR scores "
                        "any two folders" + (f". {photos} holds maps of photos, which have no "
                                             "ground truth" if photos else ""))
    _require_distinct(jobs)
    return jobs, missing


def _sets_of(folders: Folders, data: Sequence[str],
             truths: Truths) -> tuple[list[Truth], dict[str, UserError]]:
    """The sets that a method is scored on, each once, and why names of its folders are none;
    with ``data``, that is raised."""
    sets: dict[str, Truth] = {}
    errors = {}
    for name in dict.fromkeys(data or folders):
        try:
            truth = truths.of(name, folders)
        except UserError as error:
            if data:
                raise
            errors[name] = error
            continue
        own = truth.located
        if sets.setdefault(own.name, truth).located.pairs != own.pairs:
            raise UserError(f"two different sets are called {own.name}; score them one at a time")
    return list(sets.values()), errors


def folder_jobs(folders: Sequence[Path], masks: Path, names: Sequence[str] = (),
                dataset: str = "", words: Sequence[str] = ()) -> list[Job]:
    """Folders of maps against one folder of masks.

    Args:
        names: what the methods are called. Without them: folders of different names are called
            by these and the set like the folder of masks; others are ``<method>/<set>``.
        dataset: what the set is called.
        words: what is decided on masks, see ``masks_for``.

    Raises:
        UserError: no such folders, no masks, two methods of one name.
    """
    require_folder(masks, "--gt")
    for folder in folders:
        require_folder(folder, "--pred")
        if folder.resolve() == masks.resolve():
            note_once(f"{folder}: the maps are the masks themselves")
    folders = [folder.absolute() for folder in folders]
    read = [masks_for(folder, words) for folder in folders]
    pairs = {names: _masks_alone(masks, names) for names in map(Names.of, read)}
    if len({folder.name for folder in folders}) > 1:
        cells = [(folder.name, masks.absolute().name) for folder in folders]
    else:
        cells = [(folder.parent.name or folder.name, folder.name) for folder in folders]
    methods = _renamed([method for method, _ in cells], names)
    jobs = [Job(method, canonical(dataset or own), folder, pairs[Names.of(data)], data)
            for method, folder, (_, own), data in zip(methods, folders, cells, read, strict=True)]
    _require_distinct(jobs)
    return jobs


def _masks_alone(folder: Path, names: Names) -> list[Pair]:
    """A folder of masks as pairs without images."""
    files = list_images(folder, names.recursive)
    fitted = fit((), files, "maps", "masks", names.affix)
    note_once(files.note, *fitted.notes)
    table, problems = by_stem(fitted.listing, "masks")
    if problems:
        raise UserError(list_problems(f"{folder} is not a folder of masks", problems))
    if not table:
        raise UserError(f"no masks in {folder}; give the folder that holds them")
    return [Pair(name, None, path) for name, path in sorted(table.items())]  # as of a set


def _renamed(methods: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    """``names`` instead of ``methods``, if there are any."""
    if names and len(names) != len(methods):
        raise UserError(f"--name gives {counted(len(names), 'name')}, but the methods are "
                        f"{', '.join(methods) or 'none'}; give each its name, in this order")
    if not all(name.strip() for name in names):
        raise UserError("--name: a name has letters")
    return names or methods


def _require_distinct(jobs: Iterable[Job]) -> None:
    folders: dict[Cell, Path] = {}
    for job in jobs:
        if job.cell in folders:
            raise UserError(f"two methods are called {job.method}: {folders[job.cell]} and "
                            f"{job.maps}; eval.py --name A B tells them apart")
        folders[job.cell] = job.maps


def _print_unscored(unscored: dict[str, tuple[UserError, list[Path]]]) -> None:
    """A note for each name of folders that are not scored, of the first of many."""
    for error, folders in list(unscored.values())[:SHOWN_PROBLEMS]:
        more = f" (and {len(folders) - 1} more of that name)" if len(folders) > 1 else ""
        print(f"note: {folders[0]}{more} is not scored: {error}", file=sys.stderr)
    if len(unscored) > SHOWN_PROBLEMS:
        print(f"note: folders of {counted(len(unscored) - SHOWN_PROBLEMS, 'more name')} are not "
              "scored", file=sys.stderr)
