"""One prefix or suffix that all masks or maps have beyond the names of their images."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Affix:
    """A prefix or a suffix of names, on their last part; both empty where there is none."""

    prefix: str = ""
    suffix: str = ""

    def __bool__(self) -> bool:
        return bool(self.prefix or self.suffix)

    def __str__(self) -> str:
        texts = [f"the {kind} {text}" for kind, text in self.parts if text]
        return " and ".join(texts)

    @property
    def parts(self) -> tuple[tuple[str, str], tuple[str, str]]:
        return ("prefix", self.prefix), ("suffix", self.suffix)

    def strip(self, name: str) -> str | None:
        """The name without it, or None where the name lacks it or would be empty."""
        folder, slash, base = name.rpartition("/")
        prefix, suffix = key_of(self.prefix), key_of(self.suffix)
        if len(base) <= len(prefix) + len(suffix) or not base.startswith(prefix) \
                or not base.endswith(suffix):
            return None
        return folder + slash + base[len(prefix):len(base) - len(suffix)]

    def setting(self, keys: str) -> str:
        """How it is given: ``keys`` such as ``data.mask_{}={}``."""
        return " ".join(keys.format(kind, text) for kind, text in self.parts if text)


NONE = Affix()


@dataclass(frozen=True)
class Candidate:
    """An affix that turns names into wanted ones, or wanted names into names (``reverse``)."""

    affix: Affix
    reverse: bool
    count: int


def key_of(name: str) -> str:
    """What names are compared by: composed Unicode, as macOS's archives do not have it."""
    return unicodedata.normalize("NFC", name)


def candidates(extra: Collection[str], missing: Collection[str]) -> list[Candidate]:
    """Affixes by which at least half of the smaller collection are names of the other, the one
    that fits most names first."""
    counts = Counter((affix, reverse) for longer, shorter, reverse in
                     ((extra, set(missing), False), (missing, set(extra), True))
                     for name in longer for affix in _affixes(name, shorter))
    least = min(len(extra), len(missing)) / 2
    return [Candidate(*key, count) for key, count in counts.most_common() if count >= least]


def of_both(names: Collection[str], others: Collection[str]) -> tuple[Affix, Affix] | None:
    """The affix that all names have and another that all others have, such as ``_image`` and
    ``_mask``, if without them the names of the smaller collection are names of the other; or None.
    """
    first, second = _shared(names), _shared(others)
    for part in ("prefix", "suffix"):  # what both have is a part of the names
        if getattr(first, part) == getattr(second, part):
            first, second = (replace(affix, **{part: ""}) for affix in (first, second))
    bare, bare_others = set(map(first.strip, names)), set(map(second.strip, others))
    if not first or not second or None in bare | bare_others or \
            (len(bare), len(bare_others)) != (len(names), len(others)):
        return None
    return (first, second) if bare <= bare_others or bare_others <= bare else None


def _shared(names: Collection[str]) -> Affix:
    """What all names begin and end with, between words; none of a single name."""
    bases = [name.rpartition("/")[2] for name in names]
    if len(bases) < 2:
        return NONE
    backwards = [base[::-1] for base in bases]
    return Affix(_beginning(bases, _within),
                 _beginning(backwards, lambda last, inner: _within(inner, last))[::-1])


def _beginning(bases: Collection[str], within: Callable[[str, str], bool]) -> str:
    """What all begin with, neither a whole one of them nor cut ``within`` a word or a number."""
    first, last = min(bases), max(bases)
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
                  len(first))
    while length and any(len(base) == length or within(base[length - 1], base[length])
                         for base in bases):
        length -= 1
    return first[:length]


def _affixes(name: str, known: set[str]) -> Iterator[Affix]:
    """The affixes without which ``name`` is a known one. Names are not cut within a word or a
    number: ``12`` is not ``2`` with a prefix."""
    folder, slash, base = name.rpartition("/")
    for cut in range(1, len(base)):
        if _within(base[cut - 1], base[cut]):
            continue
        if folder + slash + base[:cut] in known:
            yield Affix(suffix=base[cut:])
        if folder + slash + base[cut:] in known:
            yield Affix(prefix=base[:cut])


def _within(left: str, right: str) -> bool:
    """Whether two neighbouring characters are of one word or number; ``xY`` are of two words."""
    if left.isdigit() and right.isdigit():
        return True
    return left.isalpha() and right.isalpha() and not (left.islower() and right.isupper())
