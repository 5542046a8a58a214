"""The doctor: reads every file of a data set, and prints what it is and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from utils.errors import UserError, counted, list_problems, note_once, printable
from utils.images import stored_shape
from utils.machine import cores
from utils.paths import absolute_spec, home_expanded
from utils.schema import DataConfig

from .catalog import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    MASK_FOLDERS,
    SetOnDisk,
    folders_beside,
    installed,
    locate,
    lookup,
)
from .coding import with_coding
from .listing import is_hidden
from .map_sizes import differing
from .masks import mask_of
from .pairing import Names, Pair
from .soundness import Notes, file_problems


@dataclass
class Finding:
    """What the files of a pair are, and what is wrong with them."""

    problems: list[str] = field(default_factory=list)
    size: tuple[int, int] | None = None  # width, height of the image
    values: str = ""  # binary | anti-aliased | grey
    area: str = ""  # empty | full | "" for neither
    turned: bool = False  # the image has an EXIF orientation
    apart: bool = False  # a label has nearly the image's size, and not quite
    notes: Notes = field(default_factory=Notes)


def examine(pair: Pair) -> Finding:
    """Decode both files of a pair."""
    finding = Finding()
    finding.problems = file_problems(pair, finding.notes)
    if finding.problems:
        return finding
    finding.size, turn = stored_shape(pair.image)
    finding.turned = turn != 1
    finding.apart = any(differing(pair))
    mask = mask_of(pair).values
    finding.values = mask_values(mask)
    finding.area = {0: "empty", 1: "full"}.get((mask > 128).mean(), "")
    if finding.area == "full":
        finding.problems.append(f"full mask: {pair.mask}")
    finding.problems += finding.notes.masks
    finding.notes.masks = []
    return finding


def mask_values(mask: np.ndarray) -> str:
    """``binary`` (0 and 255), ``anti-aliased`` (under 5 % of pixels between), or ``grey``."""
    between = ((mask > 0) & (mask < 255)).mean()
    return "binary" if between == 0 else "anti-aliased" if between < 0.05 else "grey"


@dataclass
class Diagnosis:
    """A set's findings, summed up.

    Attributes:
        uncertain: why it is not known how the set's masks are coded; the files were not read then.
    """

    located: SetOnDisk
    findings: list[Finding]
    uncertain: str = ""

    @property
    def problems(self) -> list[str]:
        located = self.located
        count = [located.count_note] if located.count_note else []
        if not located.pairs and not located.problems:
            count.append(f"{located.name}: no pairs")
        unclear = [self.uncertain] if self.uncertain else []
        return count + located.problems + unclear + [p for f in self.findings for p in f.problems]

    @property
    def note(self) -> str:
        """What is worth knowing and is no fault."""
        entry, turned, apart = (self.located.entry, sum(f.turned for f in self.findings),
                                sum(f.apart for f in self.findings))
        notes = [entry.note] if entry and entry.note else []
        if apart:
            number = counted(apart, "mask differs from its image",
                             "masks differ from their images")
            notes.append(f"{number} by a few pixels")
        empty = [pair.name for pair, finding in zip(self.located.pairs, self.findings, strict=False)
                 if finding.area == "empty" and not finding.problems]
        if empty:
            names = ", ".join(empty[:5]) + (", …" if len(empty) > 5 else "")
            notes.append(f"{counted(len(empty), 'empty mask')}: {names}")
        if turned:
            number = counted(turned, "image is turned by its", "images are turned by their")
            notes.append(f"{number} EXIF orientation")
        notes += sum((f.notes for f in self.findings), start=Notes()).lines()
        return f"{self.located.name}: {'; '.join(notes)}" if notes else ""

    def row(self) -> list[str]:
        count = self.located.entry and self.located.entry.pairs
        values = Counter(f.values for f in self.findings if f.values)
        areas = Counter(f.area for f in self.findings)
        sides = zip(*(f.size for f in self.findings if f.size), strict=True)  # widths, heights
        return [self.located.name,
                f"{len(self.located.pairs)}" + (f" of {count}" if count else ""),
                " × ".join(f"{min(side)}–{max(side)}" for side in sides) or "–",
                ", ".join(f"{n} {kind}" for kind, n in sorted(values.items())) or "–",
                f"{areas['empty']}/{areas['full']}",
                str(len(self.problems)) if self.problems else "none"]


def find_sets(spec: str, root: Path, names: Names) -> list[SetOnDisk]:
    """The sets that ``spec`` names: what ``find_set`` takes; or a folder, which is a set, holds
    sets of the catalog, or holds other folders of images and masks.

    Raises:
        UserError: there is nothing that looks like a data set.
    """
    folder = home_expanded(spec).absolute()
    if not spec.strip() or not folder.is_dir():
        return [locate(absolute_spec(spec), root, names)]
    sets = list(installed(folder, names))
    parts = folders_beside(folder, IMAGE_FOLDERS, MASK_FOLDERS, "masks", LABEL_FOLDERS) or ()
    if parts and not sets:
        sets.append(locate(str(folder), folder, names))
    # A folder such as TestDataset holds sets and is none, and that of a set's images is none.
    known = {*parts, *(parent for located in sets for pair in located.pairs[:1]
                       for path in pair.files for parent in path.parents)}
    notes = []
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        if lookup(path.name) is None and path not in known and not is_hidden(path.name):
            try:
                sets.append(locate(str(path), folder, names))
            except UserError as error:
                if not parts:  # beside the images of a set lies much that is none
                    notes.append(f"note: {path.name}: not examined: {error}")
    if not sets:
        try:
            sets.append(locate(str(folder), folder, names))
        except UserError as error:
            raise UserError(f"no data set in {spec}: neither one of the catalog nor a folder of "
                            f"images beside a folder of masks\n{error}") from None
    elif notes:
        print("\n".join(notes))
    return sets


def check(specs: Sequence[str], root: Path, names: Names,
          options: DataConfig | None = None) -> int:
    """Print the table and the problems; 0 when all is well, else 1.

    Args:
        specs: see ``find_sets``.
        root: where sets lie that are named as in the catalog.
        names: how their folders are read.
        options: what is decided on the coding of masks, see ``coding.with_coding``.
    """
    diagnoses = []
    with ThreadPoolExecutor(cores()) as pool:
        for located in [located for spec in specs for located in find_sets(spec, root, names)]:
            note_once(*located.notes)
            try:
                located.pairs = with_coding(located.pairs, options, located.name)
            except UserError as error:
                diagnoses.append(Diagnosis(located, [], str(error)))
                continue
            findings = tqdm(pool.map(examine, located.pairs), total=len(located.pairs),
                            unit="pair", desc=located.name, disable=None, leave=False)
            diagnoses.append(Diagnosis(located, list(findings)))
    table = Table(title=printable(f"data sets in {' '.join(specs)}"))
    table.add_column("set", no_wrap=True)
    for heading in ("pairs", "width × height", "mask values", "empty/full", "problems"):
        table.add_column(heading, overflow="fold")
    for diagnosis in diagnoses:
        table.add_row(*map(printable, diagnosis.row()))
    Console(markup=False, emoji=False).print(table)  # names of folders are no markup
    for diagnosis in diagnoses:
        if diagnosis.problems:
            print(printable(list_problems(diagnosis.located.name, diagnosis.problems)))
        if note := diagnosis.note:
            print(printable(note))
    return 1 if any(d.problems for d in diagnoses) else 0
