"""Image and mask belong together by stem, never by the order in which a folder lists them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass  # needs torch, which scoring does without

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Pair:
    """One sample: its name (the stem of the image, which names the prediction), and its files.

    A photo has no mask; a mask that is scored against maps from anywhere has no image. Weakly
    labelled images have scribbles: one file in the S-DUTS coding, or, with ``labelled``, one of
    foreground strokes and one of all strokes. ``size`` is the height and width of its map, where
    that is not the image's own size (see ``map_sizes``).
    """

    name: str
    image: Path | None
    mask: Path | None = None
    scribble: Path | None = None
    labelled: Path | None = None
    edge: Path | None = None
    size: tuple[int, int] | None = None

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
