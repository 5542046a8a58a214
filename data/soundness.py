"""Whether the files of pairs decode and fit each other, before anything is computed of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from utils.errors import UserError, counted, list_problems
from utils.images import UnreadableError, metadata_damaged, open_image, opened, orientation
from utils.machine import cores
from utils.maps import read_map

from .checked import Checked, digest_of
from .decode import decode_image
from .depth import bits_of
from .map_sizes import differing, sizes_differ
from .masks import read_mask
from .pairing import Pair
from .sizes import nearly

if TYPE_CHECKING:
    from utils.world import World  # needs torch, which scoring does without

PATIENCE = 5  # seconds without a word, where no progress bar is
_DARK = 255 // 8
_LARGE = 2**24  # bytes of a file
_ALONE = Lock()


class Notes:
    """What is worth knowing of files that can be used. Threads may add to it at the same time.

    Attributes:
        files: what is noted → the photos that it holds for.
        masks: a sentence for each mask that is not black and yet has no foreground.
    """

    def __init__(self):
        self.files: dict[str, list[Path]] = {}
        self.masks: list[str] = []

    def look(self, path: Path, photo: Image.Image) -> None:
        """Note what the decoded ``photo`` of a file may suffer from."""
        high, bits = np.max(photo.getextrema()), bits_of(photo)
        for what, holds in (
                ("with metadata that cannot be read; taken as upright", metadata_damaged(photo)),
                (f"with {bits} bits in a file of 16; read with that range", 8 < bits < 16),
                (f"nearly black: nothing above {_DARK} of 255, an eighth of the range",
                 high <= _DARK),
                ("with less than a quarter of the range of 16 bits; scale them if they were taken "
                 "with 14", bits == 16 and _DARK < high <= 64)):
            if holds:
                self.files.setdefault(what, []).append(path)

    def __add__(self, other: Notes) -> Notes:
        together = Notes()
        together.files = {what: self.files.get(what, []) + other.files.get(what, [])
                          for what in self.files | other.files}
        together.masks = self.masks + other.masks
        return together

    def lines(self) -> list[str]:
        """A line for each thing noted: how many photos it holds for, and the first names; then
        the masks."""
        lines = [f"{counted(len(paths), 'photo')} {what}: "
                 + ", ".join(path.name for path in sorted(paths)[:3]) + " …" * (len(paths) > 3)
                 for what, paths in self.files.items()]
        return lines + [list_problems("masks without foreground", self.masks)] * bool(self.masks)


def file_problems(pair: Pair, notes: Notes | None = None) -> list[str]:
    """What is wrong with the files of a pair: unreadable, truncated, sizes that differ, masks in
    another coding than their set's.

    What its photo may suffer from, and a mask that is read as empty and holds something, is added
    to ``notes``.
    """
    if apart := _apart(pair):
        return apart
    problems, notes = [], notes or Notes()
    for path in pair.files:
        try:
            if path is pair.image:
                small = small_jpeg(path)
                if small is None or np.max(small.getextrema()) <= _DARK:
                    with _room_for(path):
                        # Its pixels may be brighter than means of 8×8.
                        small = decode_image(path, 1)
                notes.look(path, small)
            elif path is pair.scribble and pair.labelled is None:
                open_image(path)
            elif path in (pair.body, pair.detail):
                read_map(path)
            else:
                part = next(name for name in ("mask", "edge", "scribble", "labelled")
                            if path is getattr(pair, name))
                remark = read_mask(path, None, pair.codings.get(part)).remark
                notes.masks += [remark] if remark and part == "mask" else []
        except UnreadableError as error:
            problems.append(str(error))
    return problems


def _apart(pair: Pair) -> list[str]:
    """The files of a pair whose sizes do not fit, by their headers: a small file may declare a
    picture that takes gigabytes."""
    try:
        return [sizes_differ(pair.image, size, path, other)
                for path, size, other in differing(pair) if not nearly(size, other)]
    except UnreadableError:
        return []  # decoding finds the fault again, and those of the other files


def _room_for(path: Path) -> AbstractContextManager:
    """Lets threads decode small files at the same time, and large ones one after another: a photo
    of 12000×8000 takes 400 MB."""
    return _ALONE if path.exists() and path.stat().st_size > _LARGE else nullcontext()


def small_jpeg(path: Path) -> Image.Image | None:
    """A colour or grey JPEG of which the whole stream decodes, at 1/8 of its size and at a third of
    the cost; None for other files."""
    try:
        with opened(path) as file:
            if file.format not in ("JPEG", "MPO") or file.mode not in ("L", "RGB"):
                return None
            file.draft(None, (1, 1))
            file.load()
            orientation(file)  # notes whether the metadata can be read
            return file
    except UnreadableError:
        return None  # the real decoder finds the fault again and words it


def require_sound(items: Sequence, title: str,
                  find: Callable[[Any, Notes], list[str]] = file_problems,
                  world: World | None = None, checked: Checked | None = None,
                  digest: Callable[[Any], str | None] = digest_of) -> None:
    """Read every file once, on all cores, and raise one error that lists all that is wrong.

    What is no error, but worth knowing, is printed, a line for each kind.

    Args:
        items: pairs, or whatever ``find`` takes.
        find: item, notes → what is wrong with it; what is worth knowing goes into the notes.
        world: processes that share the work; all raise the same error.
        checked: what earlier checks had nothing to tell of, which is not read again; what this one
            has nothing to tell of is added. How many were not read is printed.
        digest: by which an item is known there.

    Raises:
        UserError: unreadable, truncated or empty files, pairs of different sizes.
    """
    mine = items[world.rank::world.size] if world else items
    known = checked.read() if checked else ()

    def look(item: Any) -> tuple[str | None, list[str], Notes | None]:
        # What the files are is asked before they are read: they may change in between.
        key, notes = digest(item) if checked else None, Notes()
        return (key, [], None) if key in known else (key, find(item, notes), notes)

    with ThreadPoolExecutor(cores()) as pool:
        results = list(_shown(pool.map(look, mine), len(mine), title,
                              world is None or world.main))
    used = [key for key, _, notes in results if notes is None]
    new = [key for key, problems, notes in results
           if key and notes is not None and not problems and not notes.lines()]
    problems = [problem for _, own, _ in results for problem in own]
    notes = sum((own for _, _, own in results if own is not None and own.lines()), start=Notes())
    if world:
        used, new, problems = ([each for part in world.gather(own) for each in part]
                               for own in (used, new, problems))
        notes = sum(world.gather(notes), start=Notes())
    if world is None or world.main:
        if used:
            print(f"{title}: {len(used)} of {len(items)} were checked before, and have not changed "
                  f"since ({checked.path})")
        if checked:
            checked.add(used, new)
        for line in notes.lines():
            print(f"note: {title}: {line}", file=sys.stderr)
    if problems:
        raise UserError(list_problems(f"{title}: files that cannot be used", problems,
                                      "Repair or remove them, image and mask together."))


def _shown(results: Iterable, count: int, title: str, main: bool) -> Iterator:
    """The results as they come, with a progress bar, or where no terminal is with one line if they
    take long."""
    start, told = time.monotonic(), not main or sys.stderr.isatty()
    bar = tqdm(results, total=count, unit="pair", leave=False, desc=f"checking {title}",
               disable=None if main else True)
    for number, result in enumerate(bar, start=1):
        yield result
        elapsed = time.monotonic() - start
        if not told and elapsed > PATIENCE:
            told = True
            print(f"note: checking {title}: {number} of {count} in {elapsed:.0f} s; about "
                  f"{(count - number) * elapsed / number:.0f} s left", file=sys.stderr, flush=True)
