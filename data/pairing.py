"""Image and mask belong together by name, never by the order in which a folder lists them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.errors import note_once

from .affixes import NONE, Affix, candidates, key_of, of_both
from .listing import Listing, list_images, shown

if TYPE_CHECKING:
    from .masks import MaskCoding

#: How an affix is given, for the files that have it: the kind (prefix or suffix) and its text.
SETTINGS = {"masks": "data.mask_{}={}", "maps": "--{}={}"}
SHOWN_AFFIXES = 3  # in a message


@dataclass(frozen=True)
class Pair:
    """One sample: its name (the image's, which names the prediction), and its files.

    The name is the image's stem, with its folders where a set was listed with its subfolders. A
    photo has no mask; a mask that is scored against maps from anywhere has no image. Weakly
    labelled images have scribbles: one file in the S-DUTS coding, or, with ``labelled``, one of
    foreground strokes and one of all strokes. ``size`` is the height and width of its map, where
    that is not the image's own size (see ``map_sizes``). ``codings`` has what the files of its set
    hold, by the name of the field (see ``coding.with_coding``); without an entry they are black to
    white.
    """

    name: str
    image: Path | None
    mask: Path | None = None
    scribble: Path | None = None
    labelled: Path | None = None
    edge: Path | None = None
    body: Path | None = None
    detail: Path | None = None
    size: tuple[int, int] | None = None
    codings: Mapping[str, MaskCoding] = field(default_factory=dict, compare=False)

    @property
    def files(self) -> list[Path]:
        """The files that it has, the image first."""
        return [path for part in fields(self) if isinstance(path := getattr(self, part.name), Path)]


@dataclass(frozen=True)
class Names:
    """How the folders of a set, or of maps, are read.

    Attributes:
        recursive: with their subfolders, which then are part of the names.
        affix: what the names of all masks, or of all maps, have beyond those of the images; none
            to find out.
    """

    recursive: bool = False
    affix: Affix = NONE

    @classmethod
    def of(cls, data: Any) -> Names:
        """As a recipe's ``data`` group says."""
        return cls(data.recursive, Affix(data.mask_prefix, data.mask_suffix))


PLAIN = Names()


@dataclass(frozen=True)
class Fit:
    """How the keys of a listing become those of samples.

    Attributes:
        affix: what the samples' keys have beyond those of the listing.
        listing: with the affix that its names have beyond those of the samples.
        notes: what was assumed of the names.
        problems: what could not be decided, a line for all files that it is about.
        explained: the keys of these files and samples.
    """

    affix: Affix
    listing: Listing
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    explained: frozenset[str] = frozenset()

    def key(self, name: str) -> str:
        """The key of the sample ``name``."""
        bare = self.affix.strip(key_of(name))
        return key_of(name) if bare is None else bare


def fit(names: Iterable[str], listing: Listing, word: str, files: str,
        affix: Affix | None = None) -> Fit:
    """Find the affix by which the ``files`` of a listing are named otherwise than the samples.

    An ``affix`` that is given is that of the files: those without it are left out, unless none has
    it. Otherwise one is recognised, or one of the files and another of the samples, where no file
    is named like a sample, and it makes all names of the smaller side names of the other. Whatever
    else looks like an affix becomes a problem.

    Args:
        names: of the samples.
        word: what the samples are called, such as images.
        files: what the files are called, such as masks.
    """
    where = f"{listing.folder}: " if listing.folder else ""
    if affix:
        return _with_given(listing, affix, f"{where}{files}")
    keys, others = set(map(key_of, names)), set(map(listing.key, listing))
    missing, extra = keys - others, others - keys
    likely = candidates(extra, missing) if missing and extra else []
    if not likely and not keys & others and (both := of_both(keys, others)):
        own, theirs = both
        return Fit(own, replace(listing, affix=theirs),
                   [f"{where}{files} are named with {theirs}, {word} with {own}"])
    if not likely:
        return Fit(NONE, listing)
    best = likely[0]
    if len(likely) == 1 and best.count == min(len(keys), len(others)):
        note = [f"{where}{word if best.reverse else files} are named with {best.affix}"]
        return Fit(best.affix, listing, note) if best.reverse else \
            Fit(NONE, replace(listing, affix=best.affix), note)
    problem, explained = "", set()
    for candidate in likely[:SHOWN_AFFIXES]:
        longer, shorter = (missing, extra) if candidate.reverse else (extra, missing)
        bare = {key: candidate.affix.strip(key) for key in longer}
        explained |= {key for both in bare.items() if both[1] in shorter for key in both}
        named = word if candidate.reverse else files
        setting = candidate.affix.setting(SETTINGS.get(named, ""))
        problem += (f"{'; ' if problem else where}{candidate.count} of {len(longer)} {named} "
                    f"without a partner would have one without {candidate.affix}"
                    + (f" ({setting} takes those that have it)" if setting else ""))
    return Fit(NONE, listing, [], [problem], frozenset(explained))


def _with_given(listing: Listing, affix: Affix, files: str) -> Fit:
    with_it = [path for path in listing if affix.strip(key_of(listing.name(path))) is not None]
    if not with_it:
        return Fit(NONE, listing, [f"{files}: none is named with {affix}; the names are taken "
                                      "as they are"])
    others = [path.name for path in listing if path not in set(with_it)]
    note = f"{files}: {len(others)} without {affix} are left out: {shown(others)}"
    return Fit(NONE, replace(listing, files=with_it, affix=affix), [note] if others else [])


def by_stem(files: Iterable[Path], what: str) -> tuple[dict[str, Path], list[str]]:
    """Key (see ``Listing.key``) → file, and a problem for each file whose key another has."""
    listing = as_listing(files)
    return distinct(((listing.key(path), listing.name(path), path) for path in listing), what)


def distinct(files: Iterable[tuple[str, str, Path]],
             what: str) -> tuple[dict[str, Path], list[str]]:
    """The same for files with their keys and names."""
    table: dict[str, tuple[str, Path]] = {}
    problems = []
    for key, name, path in files:
        first_name, first = table.setdefault(key, (name, path))
        if first is not path:
            forms = "" if first_name == name else \
                ", but for the form of their Unicode (NFC, NFD)"
            other = path.name if path.parent == first.parent else path
            problems.append(f"{what} with the same stem{forms}: {first} and {other}")
    return {key: path for key, (_, path) in table.items()}, problems


def as_listing(files: Iterable[Path]) -> Listing:
    """A listing as it is; other files as one, named by their stems."""
    return files if isinstance(files, Listing) else Listing(list(files))


def match(images: Listing, labels: Listing, part: str = "mask",
          explained: frozenset[str] = frozenset()) -> tuple[list[Pair], list[str]]:
    """Pairs by key, in the order of the keys, with ``labels`` as their ``part``; and the problems:
    duplicates, and partners missing, but for those of ``explained`` keys."""
    image_table, problems = by_stem(images, "images")
    label_table, more = by_stem(labels, f"{part}s")
    problems += more
    problems += [f"no {part} for {path}" for key, path in image_table.items()
                 if key not in label_table and key not in explained]
    problems += [f"no image for {path}" for key, path in label_table.items()
                 if key not in image_table and key not in explained]
    common = sorted(image_table.keys() & label_table.keys())
    return [Pair(images.name(image_table[key]), image_table[key], **{part: label_table[key]})
            for key in common], problems


def assign(maps: Iterable[Path], pairs: Sequence[Pair], affix: Affix | None = None,
           limit: int | None = None) -> tuple[dict[str, Path], list[str], list[str]]:
    """Name of a pair → its map; the problems: maps missing, too many, or of one name; and notes.

    Maps that share a name are nobody's.

    Args:
        affix: what the names of the maps have beyond those of the pairs; none to find out.
        limit: that only the first so many pairs need maps; those of the others are not too many.
    """
    names = fit([pair.name for pair in pairs], as_listing(maps), "masks", "maps", affix)
    table, problems = by_stem(names.listing, "maps")
    keys = {names.key(pair.name): pair for pair in pairs}
    problems += names.problems
    problems += [f"no map for {pair.mask}" for pair in pairs[:limit]
                 if (key := names.key(pair.name)) not in table and key not in names.explained]
    problems += [f"no mask for {path}" for key, path in table.items()
                 if key not in keys and key not in names.explained]
    number = Counter(map(names.listing.key, names.listing))
    return ({pair.name: table[key] for key, pair in keys.items() if number[key] == 1}, problems,
            names.notes)


def attach(pairs: Sequence[Pair], part: str, folders: Sequence[Path],
           recursive: bool = False) -> tuple[list[Pair], list[str]]:
    """Pairs with their files of ``folders``, by name, as their ``part``; and the problems: files
    missing, duplicates. Without folders, the pairs as they are; what is left out is printed."""
    attached, problems = {}, []
    for folder in folders:
        listing = list_images(folder, recursive)
        names = fit([pair.name for pair in pairs], listing, "images", f"{part}s")
        note_once(listing.note, *names.notes)
        table, more = by_stem(names.listing, f"files in {folder}")
        problems += more + names.problems
        for pair in pairs:
            if path := table.get(names.key(pair.name)):
                first = attached.setdefault(pair.name, path)
                if first != path:
                    problems.append(f"files with the same stem: {first} and {path}")
    if folders:
        where = " or ".join(map(str, folders))
        problems += [f"no file in {where} for {pair.image}" for pair in pairs
                     if pair.name not in attached]
    return [replace(pair, **{part: attached[pair.name]}) if pair.name in attached else pair
            for pair in pairs], problems
