"""Where the published data sets, which ``catalog.yaml`` lists, lie on disk, and their pairs.

A set lies in a folder under the data root, in any of the layouts below or in its own; names are
compared without case and punctuation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf

from utils.errors import UserError, counted, list_problems, nearest, note_once
from utils.paths import ROOT, folder_pair, home_expanded
from utils.values import read_yaml

from .listing import Listing, is_hidden, list_images
from .pairing import PLAIN, Names, Pair, fit, match
from .stems import listed

#: Folder names for images and for masks, of all layouts but those that a set has to itself.
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "im", "im_aug", "JPEGImages", "RGB")
MASK_FOLDERS = ("masks", "mask", "gts", "gt", "ground_truth_mask", "ground_truth", "gt_aug")
#: Names of mask folders that may hold something else too, such as texts: only with pictures, and
#: only where no folder has a name above.
LABEL_FOLDERS = ("SegmentationClass", "annotations", "annotation", "labels")
#: Folders that hold both, told apart by extension: JPEG images, PNG masks.
MIXED_FOLDERS = ("imgs", "img", "images", "src")
WAY_OUT = ("Name the two folders with IMAGES:MASKS (one folder twice, with data.mask_suffix, if "
           "masks lie among images); images without masks are predicted with test.py --input.")


@dataclass(frozen=True)
class DataSet:
    """A published set; ``catalog.yaml`` says what the fields mean."""

    name: str
    folders: Sequence[str]
    pairs: int | None = None
    layouts: Sequence[tuple[str, str]] = ()
    stem_list: str = ""
    shared_folders: Sequence[str] = ()
    images_without_mask: bool = False
    masks_of_others: bool = False
    left_out: str = ""
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)  # text → stems
    note: str = ""
    mean: Sequence[float] = ()
    std: Sequence[float] = ()


@cache
def known_sets() -> dict[str, DataSet]:
    """Name → set, as ``catalog.yaml`` lists them.

    Raises:
        UserError: an entry that is none, or has a field that is unknown or holds something else.
    """
    path = ROOT / "data/catalog.yaml"
    entries = read_yaml(path)
    if not isinstance(entries, dict):
        raise UserError(f"{path}: expected sets, each a name with its fields")
    for name, entry in entries.items():
        if problem := _problem(entry):
            raise UserError(f"{path}: {name}: {problem}")
    return {name: DataSet(name, **entry) for name, entry in entries.items()}


#: What YAML makes of the types of a set's fields.
_KINDS = {bool: "true or false", int: "a whole number", Sequence: "a list", Mapping: "a mapping",
          str: "a text"}


def _problem(entry: object) -> str:
    """What is wrong with a set's entry in the catalog; empty if nothing is."""
    kinds = get_type_hints(DataSet)
    del kinds["name"]
    if not isinstance(entry, dict) or "folders" not in entry:
        return "expected fields, of which folders: [FOLDER, …] is needed"
    for key, value in entry.items():
        if key not in kinds:
            return f"unknown field {key!r}; {nearest(key, kinds)}"
        kind, word = next((kind, word) for kind, word in _KINDS.items() if kind in
                          (kinds[key], get_origin(kinds[key]), *get_args(kinds[key])))
        if not isinstance(value, kind) or (kind is Sequence and isinstance(value, str)):
            return f"{key} is {value!r}, which is not {word}"
    return ""


@dataclass
class SetOnDisk:
    """A set on the disk, paired, with everything that is wrong about the pairing.

    Attributes:
        notes: what was left out of its folders, and what was assumed of the names.
        homes: the folders in which its folders of masks lie.
    """

    name: str
    pairs: list[Pair]
    problems: list[str]
    entry: DataSet | None = None
    notes: list[str] = field(default_factory=list)
    homes: list[Path] = field(default_factory=list)

    @property
    def count_note(self) -> str:
        """A sentence when the number of pairs is not the published one, else empty."""
        if self.entry is None or self.entry.pairs in (None, len(self.pairs)):
            return ""
        return (f"{self.name}: {counted(len(self.pairs), 'pair')} here, the published set has "
                f"{self.entry.pairs}")


def find_pairs(spec: str, root: Path) -> list[Pair]:
    """All pairs of a set, by name; see ``find_set``."""
    return find_set(spec, root).pairs


def find_set(spec: str, root: Path, names: Names = PLAIN) -> SetOnDisk:
    """A set whose images and masks all pair up. What is left out of its folders is printed.

    Args:
        spec: a name of the catalog; a folder (under ``root`` or a path) with an image and a
            mask folder in it; or ``IMAGES:MASKS``, two folders. Relative paths are those of
            recipes, relative to the repository; see ``utils.paths.absolute_spec``.
        names: how its folders are read.

    Raises:
        UserError: not found, or images and masks that do not pair up, listed.
    """
    located = locate(spec, root, names)
    note_once(*located.notes)
    if located.problems:
        raise UserError(list_problems(f"{located.name} does not pair up", located.problems,
                                      "`python -m data check` shows the whole set."))
    if not located.pairs:
        raise UserError(f"{located.name}: no pairs found")
    return located


def locate(spec: str, root: Path, names: Names = PLAIN) -> SetOnDisk:
    """Find and pair a set, whatever is wrong with it; see ``find_set`` for the arguments.

    Raises:
        UserError: no such folder, or a folder whose layout is not recognised.
    """
    path = home_expanded(spec)
    if folders := two_folders(spec):
        name = _absolute(folders[0]).parent.name
        return _pair(_listings(folders, names), name, folders[1].parent, None, names)
    entry = lookup(spec)
    if entry is not None:
        return _locate_entry(entry, root, names)
    for folder in (root / path, ROOT / path, path):
        if spec.strip() and folder.is_dir():
            name = _absolute(folder).name
            entry = lookup(name)
            return _pair(_files(folder, entry, folder.parent, names), name, folder, entry, names)
        if folder.is_file():
            raise UserError(f"data set {spec!r}: {folder} is a file; a set is a folder, "
                            "IMAGES:MASKS or a name of the catalog. Photos are predicted with "
                            "test.py --input")
    several = f" Several sets are a list in brackets: [{spec}]." if "," in spec else ""
    raise UserError(f"data set {spec!r} not found: no such folder in {root}, and the catalog does "
                    f"not know it; {nearest(spec, known_sets())}; IMAGES:MASKS names two folders."
                    + several)


def two_folders(spec: str) -> tuple[Path, ...]:
    """The folders of ``IMAGES:MASKS``; none where ``spec`` is of another form.

    Raises:
        UserError: one of the two is missing.
    """
    names = () if home_expanded(spec).is_dir() else folder_pair(spec) or ()
    folders = tuple(ROOT / home_expanded(name) for name in names)
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"data set {spec!r}: " + (
                f"{folder} is a file; name the folder that it lies in" if folder.exists() else
                f"folder not found: {folder}"))
    return folders


def lookup(name: str) -> DataSet | None:
    """The catalog's entry for a set's name or usual folder name."""
    for entry in known_sets().values():
        if _plain(name) in {_plain(entry.name), *map(_plain, entry.folders)}:
            return entry
    return None


def with_statistics_of(name: str, config: DictConfig) -> DictConfig:
    """A recipe's ``data`` group with the mean and deviation of the set ``name``, as the catalog
    knows it; unchanged, with a note, for a set of which it knows none."""
    entry = lookup(name)
    if entry is None or not entry.mean:
        print(f"note: {name}: no statistics of its own are known, the recipe's are used")
        return config
    mean, std = ([value / 255 for value in values] for values in (entry.mean, entry.std))
    return OmegaConf.merge(config, {"mean": mean, "std": std})


def canonical(name: str) -> str:
    """The catalog's name of a set, as it may be written otherwise; other names as they are."""
    entry = lookup(name)
    return entry.name if entry else name


def same_set(first: str, second: str) -> bool:
    """Whether two names, as people write them, mean the same data set."""
    return canonical(first) == canonical(second)


def installed(root: Path, names: Names) -> Iterator[SetOnDisk]:
    """All sets of the catalog that lie under ``root``; those not understood as a problem."""
    for entry in known_sets().values():
        try:
            yield _locate_entry(entry, root, names)
        except UserError as error:
            if any(subfolder(root, name) for name in entry.folders):
                yield SetOnDisk(entry.name, [], [str(error)], entry)


def _locate_entry(entry: DataSet, root: Path, names: Names) -> SetOnDisk:
    own, shared = ([f for name in folders if (f := subfolder(root, name))]
                   for folders in (entry.folders, entry.shared_folders))
    shared = [folder for folder in shared if (folder / entry.stem_list).is_file()]
    tried = []
    for folder in (*own, *shared, root):
        try:
            files = _files(folder, entry, root, names)
        except UserError as error:
            if folder != root:
                tried.append(str(error))
            continue
        return _pair(files, entry.name, folder, entry, names)
    if tried:
        raise UserError("\n".join(tried))
    get = f"It is {entry.note} {root}" if entry.note.startswith("built in") \
        else "docs/datasets.md says where to get it."
    lists = f", and for {entry.stem_list} in {', '.join(entry.shared_folders)}" \
        if entry.shared_folders else ""
    raise UserError(f"{entry.name} not found under {root}; looked for "
                    f"{', '.join(entry.folders)}{lists}. {get}")


#: Images, masks, and what is left out of their folders.
_Files = tuple[Listing, Listing, list[str]]


def _listings(folders: Sequence[Path], names: Names) -> _Files:
    images, masks = (list_images(folder, names.recursive) for folder in folders)
    return images, masks, [images.note, masks.note]


def _files(folder: Path, entry: DataSet | None, root: Path, names: Names) -> _Files:
    """Image and mask files of a set's folder, in whichever layout it has."""
    for layout in entry.layouts if entry else ():
        if all(own := [subfolder(folder, name) for name in layout]):
            return _listings(own, names)
    if folder == root and entry is not None:  # the root is shared, generic names prove nothing
        raise UserError(f"{entry.name} not found in {folder}")
    if folders := folders_beside(folder, IMAGE_FOLDERS, MASK_FOLDERS, "masks", LABEL_FOLDERS):
        return _listings(folders, names)
    if mixed := _mixed_files(folder, entry, names):
        return mixed
    raise UserError(f"{folder}: no image folder ({', '.join(IMAGE_FOLDERS)}) beside a mask folder "
                    f"({', '.join(MASK_FOLDERS + LABEL_FOLDERS)}), and no .jpg with .png of the "
                    f"same names in one folder. {WAY_OUT}")


def _mixed_files(folder: Path, entry: DataSet | None, names: Names) -> _Files | None:
    """JPEG images and PNG masks of the same names in one folder, or in several; None without."""
    if names.recursive and entry is None:
        listings, within = [list_images(folder, recursive=True)], folder
    else:
        folders = [f for f in (folder, *sorted(folder.rglob("*")))
                   if f.is_dir() and (f == folder or _plain(f.name) in MIXED_FOLDERS)]
        listings, within = [listing for f in folders if (listing := list_images(f))], None
    images, masks = (Listing(sorted({path for listing in listings for path in listing
                                     if path.suffix.lower() in suffixes}), within)
                     for suffixes in ((".jpg", ".jpeg", ".jpe", ".jfif"), (".png",)))
    named = fit(map(images.name, images), masks, "images", "masks", names.affix)
    if not {named.key(images.name(path)) for path in images} & \
            set(map(named.listing.key, named.listing)):
        return None
    taken = {*images, *masks, *([folder / entry.stem_list] if entry and entry.stem_list else [])}
    for number, listing in enumerate(listings):
        left_out = *listing.left_out, *(path.name for path in listing)
        listings[number] = replace(
            listing, left_out=tuple(n for n in left_out if listing.folder / n not in taken),
            subfolders=tuple(n for n in listing.subfolders if not any(
                path.is_relative_to(listing.folder / n) for path in taken)))
    return images, masks, [listing.note for listing in listings]


def folders_beside(folder: Path, image_names: Sequence[str], label_names: Sequence[str],
                   what: str, doubtful: Sequence[str] = ()) -> tuple[Path, Path] | None:
    """The folder of images and that of labels in ``folder``, if it has both.

    Args:
        doubtful: names of folders of labels that count if no other is there and if they hold
            pictures.

    Raises:
        UserError: several have one of the names.
    """
    images, labels, others = ([f for name in names if (f := subfolder(folder, name))]
                              for names in (image_names, label_names, doubtful))
    labels = labels or [path for path in others if list_images(path, recursive=True)]
    if len(images) > 1 or len(labels) > 1:
        names = ", ".join(path.name for path in images + labels)
        raise UserError(f"{folder}: several folders could hold the images or the {what} ({names}); "
                        f"name the two with IMAGES:{what.upper()}")
    return (images[0], labels[0]) if images and labels else None


def _pair(files: _Files, name: str, folder: Path, entry: DataSet | None,
          names: Names) -> SetOnDisk:
    images, masks, notes = files
    if among := not set(images).isdisjoint(masks):  # one folder, in which masks have the affix
        images = images.only(lambda key: names.affix.strip(key) is None)
        masks = masks.only(lambda key: names.affix.strip(key) is not None)
    fitted = fit(map(images.name, images), masks, "images", "masks", names.affix)
    images, masks = replace(images, affix=fitted.affix), fitted.listing
    problems = list(fitted.problems)
    if among and not (images and masks):
        problems.append(f"{images.folder} holds both images and masks; data.mask_suffix or "
                        "data.mask_prefix tells the masks' names from the images'. Where .png "
                        "masks have the names of .jpg images, name the folder once")
        images, masks = (listing.only(lambda key: False) for listing in (images, masks))
    if entry is not None and entry.stem_list:
        images, masks, more = listed(images, masks, folder / entry.stem_list)
        problems += more
    if entry is not None and entry.left_out:
        images, masks = (listing.only(lambda key: entry.left_out not in key)
                         for listing in (images, masks))
    if entry is not None and entry.images_without_mask:
        images = images.only(set(map(masks.key, masks)).__contains__)
    if entry is not None and entry.masks_of_others:
        masks = masks.only(set(map(images.key, images)).__contains__)
    pairs, more = match(images, masks, explained=fitted.explained)
    known = entry.known if entry else {}
    homes = [masks.folder.parent] if masks.folder else sorted(
        {path.parent.parent for path in masks})
    return SetOnDisk(name, pairs, [_with_note(p, known) for p in problems + more], entry,
                     [*notes, *fitted.notes], homes)


def _with_note(problem: str, known: Mapping[str, Sequence[str]]) -> str:
    stems = {Path(word).stem for word in re.split(r"[/\s]", problem)} | set(problem.split())
    for text, own in known.items():
        if stems & set(own):
            return f"{problem} (known: {text})"
    return problem


def _absolute(path: str | Path) -> Path:
    """Without ``..``, and without following links: a linked set keeps its name."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9/]", "", name.lower())


def subfolder(parent: Path, name: str) -> Path | None:
    """``parent/name``, each part compared without case and punctuation."""
    for part in name.split("/"):
        if not parent.is_dir():
            return None
        parent = next((child for child in sorted(parent.iterdir())
                       if _plain(child.name) == _plain(part) and child.is_dir()
                       and not is_hidden(child.name)), None)
        if parent is None:
            return None
    return parent
