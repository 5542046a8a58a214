"""Whether the files of pairs decode and fit each other, before anything is computed of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from PIL import Image
from tqdm import tqdm

from utils.errors import UserError, list_problems
from utils.machine import cores
from utils.maps import UnreadableError, open_image

from .decode import decode_image
from .map_sizes import differing, sizes_differ
from .masks import read_mask
from .pairing import Pair
from .sizes import nearly

if TYPE_CHECKING:
    from utils.world import World  # needs torch, which scoring does without


class Remark(str):
    """What is worth knowing of a file that can be used, among what is wrong with others."""


_LARGE = 2**24  # bytes of a file
_ALONE = Lock()


def file_problems(pair: Pair) -> list[str]:
    """What is wrong with the files of a pair: unreadable, truncated, sizes that differ, masks in
    another coding than their set's. Masks that are read as empty and hold something are a
    ``Remark``, at the end."""
    problems, remarks = [], []
    for path in pair.files:
        try:
            if path is pair.image:
                if not jpeg_decodes(path):
                    with _room_for(path):
                        decode_image(path)
            elif path is pair.scribble and pair.labelled is None:
                open_image(path)
            else:
                part = next(name for name in ("mask", "edge", "scribble", "labelled")
                            if path is getattr(pair, name))
                remark = read_mask(path, None, pair.codings.get(part)).remark
                remarks += [Remark(remark)] if remark and part == "mask" else []
        except UnreadableError as error:
            problems.append(str(error))
    if problems or pair.image is None:
        return problems + remarks
    return [sizes_differ(pair.image, size, path, other)
            for path, size, other in differing(pair) if not nearly(size, other)] + remarks


def _room_for(path: Path) -> AbstractContextManager:
    """Lets threads decode small files at the same time, and large ones one after another: a photo
    of 12000×8000 takes 400 MB."""
    return _ALONE if path.exists() and path.stat().st_size > _LARGE else nullcontext()


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


def require_sound(items: Sequence, title: str, find: Callable[[Any], list[str]] = file_problems,
                  world: World | None = None) -> None:
    """Read every file once, on all cores, and raise one error that lists all that is wrong; what
    is a ``Remark`` is printed.

    Args:
        items: pairs, or whatever ``find`` takes.
        find: item → what is wrong with it.
        world: processes that share the work; all raise the same error.

    Raises:
        UserError: unreadable, truncated or empty files, pairs of different sizes.
    """
    mine = items[world.rank::world.size] if world else items
    quiet = None if world is None or world.main else True  # None: quiet where no terminal is
    with ThreadPoolExecutor(cores()) as pool:
        results = tqdm(pool.map(find, mine), total=len(mine), unit="pair", leave=False,
                       desc=f"checking {title}", disable=quiet)
        problems = [problem for result in results for problem in result]
    if world:
        problems = [problem for part in world.gather(problems) for problem in part]
    remarks = [problem for problem in problems if isinstance(problem, Remark)]
    problems = [problem for problem in problems if not isinstance(problem, Remark)]
    if remarks and (world is None or world.main):
        print(f"note: {list_problems(f'{title}: masks without foreground', remarks)}",
              file=sys.stderr)
    if problems:
        raise UserError(list_problems(f"{title}: files that cannot be used", problems,
                                      "Repair or remove them, image and mask together."))
