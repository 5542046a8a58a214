"""The data sets that maps are scored against, found and read as test.py did or as is given."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.catalog import SetOnDisk, find_set, same_set
from data.pairing import Names
from utils.errors import UserError, note_once
from utils.mask_keys import MASK_KEYS, completed, key_of, read_words
from utils.origin import origin_of
from utils.paths import DATASETS
from utils.schema import DataConfig

from .layout import Folders


@dataclass(frozen=True)
class Truth:
    """A data set, and what is decided on how its masks are found and decoded."""

    located: SetOnDisk
    masks: DataConfig


class Truths:
    """The data sets that maps are scored against; each is looked for once.

    Args:
        root: where they lie; None for datasets/ or, where a set is not there, the root that
            test.py had it from.
        words: what the command line decides on masks, see ``masks_for``.
    """

    def __init__(self, root: Path | None, words: Sequence[str] = ()):
        self.root, self._given, self._words = root or DATASETS, root is not None, words
        self._sets: dict[tuple[str, Path, Names], SetOnDisk | UserError] = {}
        self._noted: set[str] = set()

    def of(self, spec: str, folders: Folders) -> Truth:
        """The set that ``spec`` names, for a method's folders of maps.

        Raises:
            UserError: see ``find_set``.
        """
        name = Path(spec).name
        maps = next((path for own, path in folders.items() if same_set(own, name)), None)
        masks = masks_for(maps, self._words)
        return Truth(self._located(spec, _root_of(maps), Names.of(masks)), masks)

    def _located(self, spec: str, other: Path | None, names: Names) -> SetOnDisk:
        if other is None or other.resolve() == self.root.resolve():
            return self._noting_count(self._find(spec, self.root, names))
        try:
            located = self._find(spec, self.root, names)
        except UserError as error:
            if self._given:
                raise UserError(f"{error}\ntest.py had {spec} from {other}") from None
            located = self._find(spec, other, names)
            self._note(f"{spec} is taken from {other}, as test.py did, because: {error}")
        else:
            if not self._given:
                self._note(f"{spec} is scored against {self.root}, but test.py had it from "
                           f"{other}; --root DIR chooses")
        return self._noting_count(located)

    def _noting_count(self, located: SetOnDisk) -> SetOnDisk:
        if located.count_note:
            self._note(f"{located.count_note}; scored against these")
        return located

    def _find(self, spec: str, root: Path, names: Names) -> SetOnDisk:
        key = spec, root, names
        if key not in self._sets:
            try:
                self._sets[key] = find_set(spec, root, names)
            except UserError as error:
                self._sets[key] = error
        if isinstance(located := self._sets[key], UserError):
            raise located
        return located

    def _note(self, text: str) -> None:
        if text not in self._noted:
            print(f"note: {text}", file=sys.stderr)
            self._noted.add(text)


def masks_for(maps: Path | None, given: Sequence[str]) -> DataConfig:
    """How the masks are read that a folder of maps is scored against: as the ``given`` words say,
    and on keys that these leave open as test.py was told when it made the maps. What is taken from
    there, or differs from it, is printed.

    Raises:
        UserError: a value that the schema does not allow.
    """
    recorded = _recorded_words(maps)
    words = completed(given, recorded)
    if taken := [word for word in recorded if word in words and word not in given]:
        note_once(f"masks for {maps} are read with {' '.join(taken)}, as test.py was told; give "
                  "these keys to read them otherwise")
    values = {key_of(word): _value(word) for word in given}
    if others := [word for word in recorded if word not in words
                  and (key_of(word) not in values or values[key_of(word)] != _value(word))]:
        note_once(f"masks for {maps} are read with {' '.join(given)}, as given here; test.py was "
                  f"told {' '.join(others)}")
    return read_words(words, f"what is decided on the masks for {maps}")


def _value(word: str) -> object:
    """The value of a ``key=value`` word."""
    return getattr(read_words([word]), key_of(word).removeprefix("data."))


def _recorded_words(maps: Path | None) -> list[str]:
    """The words that test.py wrote beside maps; none for maps of others and of earlier versions."""
    words = (origin_of(maps) or {}).get("masks") if maps else None
    return [word for word in words if isinstance(word, str) and key_of(word) in MASK_KEYS] \
        if isinstance(words, list) else []


def _root_of(maps: Path | None) -> Path | None:
    """Where test.py had the set of maps from; None where it did not write that."""
    root = (origin_of(maps) or {}).get("root") if maps else None
    return Path(root) if isinstance(root, str) else None
