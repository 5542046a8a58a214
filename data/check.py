"""The doctor: reads every file of a data set, and prints what it is and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from utils.errors import UserError, list_problems
from utils.images import stored_shape
from utils.machine import cores

from .catalog import SetOnDisk, installed, locate, lookup
from .map_sizes import differing
from .masks import decode_mask
from .pairing import Pair
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
    mask = decode_mask(pair.mask, pair.image)
    finding.values = mask_values(mask)
    finding.area = {0: "empty", 1: "full"}.get((mask > 128).mean(), "")
    if finding.area:
        finding.problems.append(f"{finding.area} mask: {pair.mask}")
    return finding


def mask_values(mask: np.ndarray) -> str:
    """``binary`` (0 and 255), ``anti-aliased`` (under 5 % of pixels between), or ``grey``."""
    between = ((mask > 0) & (mask < 255)).mean()
    return "binary" if between == 0 else "anti-aliased" if between < 0.05 else "grey"


@dataclass
class Diagnosis:
    """A set's findings, summed up."""

    located: SetOnDisk
    findings: list[Finding]

    @property
    def problems(self) -> list[str]:
        located = self.located
        count = [located.count_note] if located.count_note else []
        if not located.pairs and not located.problems:
            count.append(f"{located.name}: no pairs")
        return count + located.problems + [p for f in self.findings for p in f.problems]

    @property
    def note(self) -> str:
        """What is worth knowing and is no fault."""
        entry, turned, apart = (self.located.entry, sum(f.turned for f in self.findings),
                                sum(f.apart for f in self.findings))
        notes = [entry.note] if entry and entry.note else []
        if apart:
            notes.append(f"{apart} masks differ from their images by a few pixels")
        if turned:
            notes.append(f"{turned} images are turned by their EXIF orientation")
        notes += sum((f.notes for f in self.findings), start=Notes()).lines()
        return f"{self.located.name}: {'; '.join(notes)}" if notes else ""

    def row(self) -> list[str]:
        entry = self.located.entry
        values = Counter(f.values for f in self.findings if f.values)
        areas = Counter(f.area for f in self.findings)
        sides = zip(*(f.size for f in self.findings if f.size), strict=True)  # widths, heights
        return [self.located.name,
                f"{len(self.located.pairs)}" + (f" of {entry.pairs}" if entry else ""),
                " × ".join(f"{min(side)}–{max(side)}" for side in sides) or "–",
                ", ".join(f"{n} {kind}" for kind, n in sorted(values.items())) or "–",
                f"{areas['empty']}/{areas['full']}",
                str(len(self.problems)) if self.problems else "none"]


def find_sets(root: Path) -> list[SetOnDisk]:
    """The sets under ``root``: those of the catalog, other folder pairs, or ``root`` itself.

    Raises:
        UserError: it holds nothing that looks like a data set.
    """
    if not root.is_dir():
        raise UserError(f"folder not found: {root}")
    sets = list(installed(root))
    # A folder such as TestDataset holds sets and is none.
    holders = {parent for located in sets for pair in located.pairs[:1]
               for parent in pair.image.parents}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if lookup(folder.name) is None and folder not in holders:
            try:
                sets.append(locate(str(folder.absolute()), root))
            except UserError as error:
                print(f"note: {folder.name}: not examined: {error}")
    if not sets:
        try:
            sets.append(locate(str(root.absolute()), root))
        except UserError as error:
            raise UserError(f"no data set in {root}: neither one of the catalog nor a folder of "
                            f"images beside a folder of masks\n{error}") from None
    return sets


def check(root: Path) -> int:
    """Print the table and the problems; 0 when all is well, else 1."""
    diagnoses = []
    with ThreadPoolExecutor(cores()) as pool:
        for located in find_sets(root):
            findings = tqdm(pool.map(examine, located.pairs), total=len(located.pairs),
                            unit="pair", desc=located.name, disable=None, leave=False)
            diagnoses.append(Diagnosis(located, list(findings)))
    table = Table(title=f"data sets in {root}")
    table.add_column("set", no_wrap=True)
    for heading in ("pairs", "width × height", "mask values", "empty/full", "problems"):
        table.add_column(heading, overflow="fold")
    for diagnosis in diagnoses:
        table.add_row(*diagnosis.row())
    Console(markup=False, emoji=False).print(table)  # names of folders are no markup
    for diagnosis in diagnoses:
        if diagnosis.problems:
            print(list_problems(diagnosis.located.name, diagnosis.problems))
        if note := diagnosis.note:
            print(note)
    return 1 if any(d.problems for d in diagnoses) else 0
