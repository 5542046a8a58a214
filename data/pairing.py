"""Image and mask belong together by stem, never by the order in which a folder lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from tqdm import tqdm

from utils.errors import UserError, list_problems
from utils.machine import cores
from utils.maps import UnreadableError

from .decode import decode_image, decode_mask, stored_shape

if TYPE_CHECKING:
    from utils.world import World  # needs torch, which scoring does without

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Pair:
    """One sample: its name (the stem of the image, which names the prediction), and its files.

    A photo has no mask; a mask that is scored against maps from anywhere has no image. Weakly
    labelled images have scribbles: one file in the S-DUTS coding, or, with ``labelled``, one of
    foreground strokes and one of all strokes.
    """

    name: str
    image: Path | None
    mask: Path | None = None
    scribble: Path | None = None
    labelled: Path | None = None
    edge: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The files that it has, the image first."""
        return [path for part in fields(self) if isinstance(path := getattr(self, part.name), Path)]


def list_images(folder: Path) -> list[Path]:
    """Image files of a folder by extension, sorted; hidden and __MACOSX files left out."""
    return sorted(path for path in folder.iterdir()
                  if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
                  and "__MACOSX" not in path.parts and path.is_file())


def by_stem(files: Iterable[Path], what: str) -> tuple[dict[str, Path], list[str]]:
    """Stem → file, and a problem for each stem that two files share."""
    table: dict[str, Path] = {}
    problems = []
    for path in files:
        if path.stem in table:
            problems.append(f"{what} with the same stem: {table[path.stem]} and {path.name}")
        table.setdefault(path.stem, path)
    return table, problems


def match(images: Sequence[Path], labels: Sequence[Path],
          part: str = "mask") -> tuple[list[Pair], list[str]]:
    """Pairs by stem, in the order of the stems, with ``labels`` as their ``part``; and the
    problems: partners missing, duplicates."""
    image_table, problems = by_stem(images, "images")
    label_table, more = by_stem(labels, f"{part}s")
    problems += more
    problems += [f"no {part} for {path}" for stem, path in image_table.items()
                 if stem not in label_table]
    problems += [f"no image for {path}" for stem, path in label_table.items()
                 if stem not in image_table]
    common = sorted(image_table.keys() & label_table.keys())
    return [Pair(stem, image_table[stem], **{part: label_table[stem]}) for stem in common], problems


def attach(pairs: Sequence[Pair], part: str,
           folders: Sequence[Path]) -> tuple[list[Pair], list[str]]:
    """Pairs with their files of ``folders``, by stem, as their ``part``; and the problems: files
    missing, duplicates. Without folders, the pairs as they are."""
    if not folders:
        return list(pairs), []
    names = " or ".join(map(str, folders))
    table, problems = by_stem((path for folder in folders for path in list_images(folder)),
                              f"files in {names}")
    problems += [f"no file in {names} for {pair.image}" for pair in pairs
                 if pair.name not in table]
    return [replace(pair, **{part: table.get(pair.name)}) for pair in pairs], problems


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
    size, turn = stored_shape(pair.image)
    upright = size[::-1] if turn >= 5 else size
    for path in pair.files[1:]:
        map_size, map_turn = stored_shape(path)
        map_upright = map_size[::-1] if map_turn >= 5 else map_size
        # A map without orientation lies as its image lies, or stands already: see decode_mask.
        if map_upright != upright and not (map_turn == 1 and map_size == size):
            problems.append("sizes differ: {} is {}×{}, {} is {}×{}".format(
                pair.image, *upright, path, *map_upright))
    return problems


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
    """Read every file once, on all cores, and raise one error that lists all that is wrong.

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
    if problems:
        raise UserError(list_problems(f"{title}: files that cannot be used", problems,
                                      "Repair or remove them, image and mask together."))
