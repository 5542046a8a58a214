"""Where the published data sets, which ``catalog.yaml`` lists, lie on disk, and their pairs.

A set lies in a folder under the data root, in any of the layouts below or in its own; names are
compared without case and punctuation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from utils.errors import UserError, list_problems, nearest
from utils.paths import ROOT, folder_pair
from utils.values import read_yaml

from .pairing import SUFFIXES, Pair, list_images, match

#: Folder names for images and for masks, of all layouts but those that a set has to itself.
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "im_aug")
MASK_FOLDERS = ("masks", "mask", "gts", "gt", "ground_truth_mask", "ground_truth", "gt_aug")
#: Folders that hold both, told apart by extension: JPEG images, PNG masks.
MIXED_FOLDERS = ("imgs", "img", "images", "src")


@dataclass(frozen=True)
class DataSet:
    """A published set; ``catalog.yaml`` says what the fields mean."""

    name: str
    pairs: int
    folders: Sequence[str]
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
    """Name → set, as ``catalog.yaml`` lists them."""
    entries = read_yaml(ROOT / "data/catalog.yaml")
    return {name: DataSet(name, **entry) for name, entry in entries.items()}


@dataclass
class SetOnDisk:
    """A set on the disk, paired, with everything that is wrong about the pairing."""

    name: str
    pairs: list[Pair]
    problems: list[str]
    entry: DataSet | None = None

    @property
    def count_note(self) -> str:
        """A sentence when the number of pairs is not the published one, else empty."""
        if self.entry is None or len(self.pairs) == self.entry.pairs:
            return ""
        return (f"{self.name}: {len(self.pairs)} pairs here, the published set has "
                f"{self.entry.pairs}")


def find_pairs(spec: str, root: Path) -> list[Pair]:
    """All pairs of a set, by stem; see ``find_set``."""
    return find_set(spec, root).pairs


def find_set(spec: str, root: Path) -> SetOnDisk:
    """A set whose images and masks all pair up.

    Args:
        spec: a name of the catalog; a folder (under ``root`` or a path) with an image and a
            mask folder in it; or ``IMAGES:MASKS``, two folders. Relative paths are those of
            recipes, relative to the repository; see ``utils.paths.absolute_spec``.

    Raises:
        UserError: not found, or images and masks that do not pair up, listed.
    """
    located = locate(spec, root)
    if located.problems:
        raise UserError(list_problems(f"{located.name} does not pair up", located.problems,
                                      "`python -m data check` shows the whole set."))
    if not located.pairs:
        raise UserError(f"{located.name}: no pairs found")
    return located


def locate(spec: str, root: Path) -> SetOnDisk:
    """Find and pair a set, whatever is wrong with it; see ``find_set`` for ``spec``.

    Raises:
        UserError: no such folder, or a folder whose layout is not recognised.
    """
    path = Path(spec).expanduser()
    if folders := two_folders(spec):
        return SetOnDisk(_absolute(folders[0]).parent.name, *match(*map(list_images, folders)))
    entry = lookup(spec)
    if entry is not None:
        return _locate_entry(entry, root)
    for folder in (root / path, ROOT / path, path):
        if spec.strip() and folder.is_dir():
            name = _absolute(folder).name
            entry = lookup(name)
            return _pair(_files(folder, entry, folder.parent), name, folder, entry)
    raise UserError(f"data set {spec!r} not found: no such folder in {root}, and the catalog does "
                    f"not know it; {nearest(spec, known_sets())}; IMAGES:MASKS names two folders")


def two_folders(spec: str) -> tuple[Path, ...]:
    """The folders of ``IMAGES:MASKS``; none where ``spec`` is of another form.

    Raises:
        UserError: one of the two is missing.
    """
    names = () if Path(spec).expanduser().is_dir() else folder_pair(spec) or ()
    folders = tuple(ROOT / Path(name).expanduser() for name in names)
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"data set {spec!r}: folder not found: {folder}")
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


def installed(root: Path) -> Iterator[SetOnDisk]:
    """All sets of the catalog that lie under ``root``; those not understood as a problem."""
    for entry in known_sets().values():
        try:
            yield _locate_entry(entry, root)
        except UserError as error:
            if any(subfolder(root, name) for name in entry.folders):
                yield SetOnDisk(entry.name, [], [str(error)], entry)


def _locate_entry(entry: DataSet, root: Path) -> SetOnDisk:
    own, shared = ([f for name in names if (f := subfolder(root, name))]
                   for names in (entry.folders, entry.shared_folders))
    shared = [folder for folder in shared if (folder / entry.stem_list).is_file()]
    tried = []
    for folder in (*own, *shared, root):
        try:
            files = _files(folder, entry, root)
        except UserError as error:
            if folder != root:
                tried.append(str(error))
            continue
        return _pair(files, entry.name, folder, entry)
    if tried:
        raise UserError("\n".join(tried))
    get = f"It is {entry.note} {root}" if entry.note.startswith("built in") \
        else "docs/datasets.md says where to get it."
    raise UserError(f"{entry.name} not found under {root}; looked for "
                    f"{', '.join(entry.folders)}. {get}")


def _files(folder: Path, entry: DataSet | None, root: Path) -> tuple[list[Path], list[Path]]:
    """Image and mask files of a set's folder, in whichever layout it has."""
    for images, masks in entry.layouts if entry else ():
        if all(own := (subfolder(folder, images), subfolder(folder, masks))):
            return list_images(own[0]), list_images(own[1])
    if folder == root and entry is not None:  # the root is shared, generic names prove nothing
        raise UserError(f"{entry.name} not found in {folder}")
    if folders := folders_beside(folder, IMAGE_FOLDERS, MASK_FOLDERS, "masks"):
        return list_images(folders[0]), list_images(folders[1])
    mixed = [f for f in (folder, *sorted(folder.rglob("*")))
             if f.is_dir() and (f == folder or _plain(f.name) in MIXED_FOLDERS)]
    files = sorted({path for f in mixed for path in list_images(f)})
    images = [path for path in files if path.suffix.lower() in (".jpg", ".jpeg")]
    masks = [path for path in files if path.suffix.lower() == ".png"]
    if images and masks:
        return images, masks
    raise UserError(f"{folder}: no image folder ({', '.join(IMAGE_FOLDERS)}) beside a mask folder "
                    f"({', '.join(MASK_FOLDERS)}), and no .jpg with .png in one folder")


def folders_beside(folder: Path, image_names: Sequence[str], label_names: Sequence[str],
                   what: str) -> tuple[Path, Path] | None:
    """The folder of images and that of labels in ``folder``, if it has both.

    Raises:
        UserError: several have one of the names.
    """
    images, labels = ([f for name in names if (f := subfolder(folder, name))]
                      for names in (image_names, label_names))
    if len(images) > 1 or len(labels) > 1:
        names = ", ".join(path.name for path in images + labels)
        raise UserError(f"{folder}: several folders could hold the images or the {what} ({names}); "
                        f"name the two with IMAGES:{what.upper()}")
    return (images[0], labels[0]) if images and labels else None


def _pair(files: tuple[list[Path], list[Path]], name: str, folder: Path,
          entry: DataSet | None) -> SetOnDisk:
    images, masks = files
    problems = []
    if entry is not None and entry.stem_list:
        images, masks, problems = listed(images, masks, folder / entry.stem_list)
    if entry is not None and entry.left_out:
        images, masks = ([path for path in files if entry.left_out not in path.stem]
                         for files in (images, masks))
    if entry is not None and entry.images_without_mask:
        images = _with_stems(images, {path.stem for path in masks})
    if entry is not None and entry.masks_of_others:
        masks = _with_stems(masks, {path.stem for path in images})
    pairs, more = match(images, masks)
    known = entry.known if entry else {}
    return SetOnDisk(name, pairs, [_with_note(p, known) for p in problems + more], entry)


def listed(images: list[Path], labels: list[Path],
           stem_list: Path) -> tuple[list[Path], list[Path], list[str]]:
    """The files whose stems a list file names, and what it names in vain; all without the file."""
    if not stem_list.is_file():
        return images, labels, []
    stems = read_stems(stem_list)
    images, labels = _with_stems(images, stems), _with_stems(labels, stems)
    missing = stems - {path.stem for path in images + labels}
    return images, labels, [f"listed in {stem_list}, not found: {stem}" for stem in sorted(missing)]


def _with_stems(files: list[Path], stems: set[str]) -> list[Path]:
    return [path for path in files if path.stem in stems]


def _with_note(problem: str, known: Mapping[str, Sequence[str]]) -> str:
    for text, stems in known.items():
        if any(stem in problem for stem in stems):
            return f"{problem} (known: {text})"
    return problem


def read_stems(path: Path) -> set[str]:
    """Stems of a list file: one item a line, a stem, a file name, or ``image mask`` paths."""
    stems = set()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}") from None
    for line in text.replace("\\", "/").splitlines():
        if line.strip():
            first = Path(line.split()[0])
            stems.add(first.stem if first.suffix.lower() in SUFFIXES else first.name)
    return stems


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
                       if _plain(child.name) == _plain(part) and child.is_dir()), None)
        if parent is None:
            return None
    return parent
