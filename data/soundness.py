"""Whether the files of pairs decode and fit each other, before anything is computed of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from tqdm import tqdm

from utils.errors import UserError, list_problems
from utils.machine import cores
from utils.maps import UnreadableError

from .decode import decode_image, stored_size, upright_size
from .masks import decode_mask
from .pairing import Pair
from .sizes import Size, nearly

if TYPE_CHECKING:
    from utils.world import World  # needs torch, which scoring does without


def file_problems(pair: Pair) -> list[str]:
    """What is wrong with the files of a pair: unreadable, truncated, sizes that differ."""
    problems = []
    for path in pair.files:
        try:
            if not jpeg_decodes(path):
                (decode_image if path is pair.image else decode_mask)(path)
        except UnreadableError as error:
            problems.append(str(error))
    if problems or pair.image is None:
        return problems
    size = upright_size(pair.image)
    for path in pair.files[1:]:
        other = upright_size(path, pair.image)
        if not nearly(size, other):
            problems.append(_sizes_differ(pair.image, size, path, other))
    return problems


def _sizes_differ(image: Path, size: Size, path: Path, other: Size) -> str:
    return "sizes differ: {} is {}×{}, {} is {}×{}".format(image, *size[::-1], path, *other[::-1])


def differing(pair: Pair) -> Iterator[tuple[Path, Size, Size]]:
    """The files of a pair whose sizes are not its image's: path, size of the image and of the file
    (height, width), both upright; from the headers alone.

    Raises:
        UnreadableError: not an image.
    """
    for path in pair.files[1:] if pair.image else ():
        # A file of the same size that says that it is turned is left to those that decode it: in a
        # PNG the orientation may come after all pixels, which have to be read then.
        if stored_size(path) != stored_size(pair.image):
            size, other = upright_size(pair.image), upright_size(path, pair.image)
            if size != other:
                yield path, size, other


def jpeg_decodes(path: Path) -> bool:
    """Whether ``path`` is a colour or grey JPEG of which the whole stream decodes.

    It is decoded at 1/8 of its size, at a third of the cost.
    """
    try:
        with Image.open(path) as file:
            if file.format != "JPEG":
                return False
            file.draft(None, (1, 1))
            file.load()
            return True
    except Exception:
        return False  # the real decoder finds the fault again and words it


def require_sound(pairs: Sequence[Pair], title: str,
                  find: Callable[[int], list[str]] | None = None,
                  world: World | None = None) -> None:
    """Read every file once, on all cores, and raise one error that lists all that is wrong.

    Masks and other labels that differ from their images by a few pixels are counted in a note.

    Args:
        find: a pair's position → what is wrong with it; None for ``file_problems``.
        world: processes that share the work; all raise the same error.

    Raises:
        UserError: unreadable, truncated or empty files, pairs of different sizes.
    """
    def examine(index: int) -> tuple[list[str], list[tuple[int, str]]]:
        problems = file_problems(pairs[index]) if find is None else find(index)
        return problems, [] if problems else _apart(differing(pairs[index]))

    mine = range(len(pairs))[world.rank::world.size] if world else range(len(pairs))
    quiet = None if world is None or world.main else True  # None: quiet where no terminal is
    with ThreadPoolExecutor(cores()) as pool:
        results = list(tqdm(pool.map(examine, mine), total=len(mine), unit="pair", leave=False,
                            desc=f"checking {title}", disable=quiet))
    shares = world.gather(results) if world else [results]
    problems, apart = ([item for share in shares for result in share for item in result[part]]
                       for part in (0, 1))
    if problems:
        raise UserError(list_problems(f"{title}: files that cannot be used", problems,
                                      "Repair or remove them, image and mask together."))
    if apart and not quiet:
        print(f"note: {title}: {len(apart)} masks differ from their images by a few pixels "
              f"({_most(apart)})", file=sys.stderr)


def with_map_sizes(pairs: Sequence[Pair], title: str, quiet: bool = False) -> list[Pair]:
    """Pairs whose maps get the size of the mask where that is nearly the image's.

    Notes say how many these are, and for which masks no such size can be had. Headers are read,
    no pixels.
    """
    sized, apart, others = [], [], []
    for pair in pairs:
        size = None
        try:
            for path, image, mask in differing(Pair(pair.name, pair.image, pair.mask)):
                if nearly(image, mask):
                    apart += _apart([(path, image, size := mask)])
                else:
                    others.append(_sizes_differ(pair.image, image, path, mask))
        except UnreadableError as error:
            others.append(str(error))
        sized.append(pair if size is None else replace(pair, size=size))
    if apart and not quiet:
        print(f"note: {title}: {len(apart)} masks differ from their images by a few pixels; maps "
              f"are written at the masks' sizes ({_most(apart)})", file=sys.stderr)
    if others and not quiet:
        print(f"note: {title}: {len(others)} masks do not fit their images, so eval.py refuses "
              f"these maps, or brings them to their masks' sizes with --resize; the first: "
              f"{others[0]}", file=sys.stderr)
    return sized


def _apart(files: Iterable[tuple[Path, Size, Size]]) -> list[tuple[int, str]]:
    """For each file the most pixels by which a side differs from the image's, and its name."""
    return [(max(abs(a - b) for a, b in zip(*sizes, strict=True)), str(path))
            for path, *sizes in files]


def _most(apart: list[tuple[int, str]]) -> str:
    return "{} at most: {}".format(*max(apart))
