"""Images that are named one by one: files, folders and patterns, not those of a set; and how many
of them are taken."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from utils.errors import UserError, list_problems, note_once
from utils.world import World

from .affixes import key_of
from .listing import Listing, is_hidden, is_picture, list_images, note_on
from .pairing import Pair, distinct
from .soundness import require_sound


def collect_inputs(inputs: Sequence[str], world: World, recursive: bool = False,
                   option: str = "--input", limit: int | None = None) -> list[Pair]:
    """Images named by files, folders and glob patterns, each checked; their names must differ.

    What lies in a folder, or fits a pattern, and is no picture is left out and printed.

    Args:
        recursive: those of subfolders too, whose names then begin with these.
        option: what messages call the words.
        limit: take only so many, the first; the others are not read.
    """
    named: dict[Path, str] = {}
    for entry in inputs:
        listings = list_input(entry, recursive, option)
        note_once(*(listing.note for listing in listings))
        if not any(listings):
            raise UserError(f"{option} {entry}: no images in it")
        for listing in listings:
            for path in listing:
                named.setdefault(path.absolute(), listing.name(path))
    _, problems = distinct(((key_of(name), name, path) for path, name in named.items()), "images")
    if problems and option == "--input":
        raise UserError(list_problems("maps are named by stem, and these share one", problems,
                                      "Predict them one folder at a time with different --out, or "
                                      "the folder that holds them with --recursive."))
    pairs = first_of([Pair(name, path) for path, name in named.items()], limit, option)
    require_sound(pairs, "input", world=world)
    return pairs


def first_of(pairs: list[Pair], limit: int | None, title: str) -> list[Pair]:
    """The first ``limit`` of the pairs, which is printed; all without a limit."""
    if limit is None or limit >= len(pairs):
        return pairs
    print(f"{title}: the first {limit} of {len(pairs)} images (--limit)")
    return pairs[:limit]


def list_input(entry: str, recursive: bool, option: str) -> list[Listing]:
    """The pictures that one word of an option names; a file that it names counts whatever it is.

    Raises:
        UserError: there is nothing of the name.
    """
    if Path(entry).is_dir():
        return [list_images(Path(entry), recursive)]
    if Path(entry).exists() or Path(entry).is_symlink():
        return [Listing([Path(entry)])]
    matches = [path for path in sorted(map(Path, glob.glob(entry, recursive=True)))
               if not is_hidden(path.name)]
    if not matches:
        raise UserError(f"{option} {entry}: no such file, folder or match")
    files = [path for path in matches if not path.is_dir()]
    note_once(note_on(f"{option} {entry}", [str(path) for path in files if not is_picture(path)]))
    return [Listing([path for path in files if is_picture(path)]),
            *(list_images(path, recursive) for path in matches if path.is_dir())]
