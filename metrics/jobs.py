"""Which folders of maps there are, and which data set each is scored against."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.catalog import Located, find_set, lookup
from data.pairing import Pair, by_stem, list_images
from utils.errors import UserError, list_problems


@dataclass
class Job:
    """A folder of maps and the pairs to score it against."""

    method: str
    dataset: str
    maps: Path
    pairs: list[Pair]


def find_jobs(pred: Path, gt: Path | None, data: Sequence[str], root: Path,
              methods: Sequence[str] | None = None) -> tuple[list[Job], int]:
    """What there is to score, and how many scores cannot be given for want of maps.

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
    for folder in filter(None, (pred, gt)):
        if not folder.is_dir():
            raise UserError(f"folder not found: {folder}")
    if gt:
        if data:
            raise UserError("--gt names the masks of one folder of maps; leave --data out")
        return [folder_job(folder, gt) for folder in map(Path, methods or [pred])], 0
    jobs, missing, truths = [], 0, {}
    for method in method_folders(pred, data, methods):
        for name in data or [folder.name for folder in subfolders(method)]:
            try:
                truth = truths.get(name) or find_truth(name, root)
            except UserError as error:
                if data:
                    raise
                print(f"note: {method / name} is not scored: {error}", file=sys.stderr)
                continue
            truths[name] = truth
            maps = map_folder(method, truth.name)
            if maps is None:
                print(f"note: {method.name} has no maps of {truth.name}", file=sys.stderr)
                missing += 1
                continue
            jobs.append(Job(method.absolute().name, truth.name, maps, truth.pairs))
    if not jobs:
        raise UserError(f"nothing to score in {pred}: expected <method>/<set>/*.png, for "
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
    if not maps.is_dir():
        raise UserError(f"folder not found: {maps}")
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


def method_folders(pred: Path, data: Sequence[str],
                   methods: Sequence[str] | None = None) -> list[Path]:
    """``methods``, or ``pred`` itself when it holds data sets, else the folders in it."""
    if methods:
        folders = [Path(name) if Path(name).is_dir() else pred / name for name in methods]
        for name, folder in zip(methods, folders, strict=True):
            if not folder.is_dir():
                raise UserError(f"method {name}: neither {name} nor {folder} is a folder")
        return folders
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
