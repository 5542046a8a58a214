"""Lists such as ``train.txt``, which pick the samples of a set by their names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from utils.errors import UserError

from .affixes import key_of
from .listing import Listing, is_picture


def listed(images: Listing, labels: Listing,
           path: Path) -> tuple[Listing, Listing, list[str]]:
    """The files that a list names, and its lines that name none; all files without the list.

    A line is a name, a file's name or path, or two of them, ``image mask``, parted by spaces or
    tabs. Names may hold spaces too: which reading is meant is decided by the files there are.
    """
    if not path.is_file():
        return images, labels, []
    meant = _Meant(images, labels)
    chosen, problems = set(), []
    for number, line in read_lines(path):
        key = meant.by_line(line)
        if key is None:
            problems.append(f"listed in {path}, line {number}, not found: {line}")
        else:
            chosen.add(key)
    return images.only(chosen.__contains__), labels.only(chosen.__contains__), problems


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a list file that hold something, stripped, and their numbers from 1.

    Raises:
        UserError: it cannot be read, or is not text in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}") from None
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1)
            if line.strip()]


class _Meant:
    """Which key a line or a word of a list means."""

    def __init__(self, images: Listing, labels: Listing):
        files = [(listing, file) for listing in (labels, images) for file in listing]
        self.keys = {key_of(listing.name(file)): listing.key(file) for listing, file in files}
        self.keys |= {key: key for key in self.keys.values()}
        self.folders = {listing.folder.name for listing in (images, labels) if listing.folder}
        self.flat = not any("/" in key for key in self.keys)

    def by_line(self, line: str) -> str | None:
        """The whole line as it is, else two words that both name files (of one key, if they can),
        else the line without its folders, else its longest beginning that names a file."""
        cuts = [cut for cut in range(1, len(line)) if line[cut].isspace()]
        halves = [(line[:cut], line[cut:].strip()) for cut in cuts]
        words = [(self.by_word(a), self.by_word(b) if _alike(a, b) else None) for a, b in halves]
        whole = next((self.keys[name] for name in _bare(line) if name in self.keys), None)
        return whole or next((a for a, b in words if a and a == b), None) \
            or next((a for a, b in words if a and b), None) or self.by_word(line) \
            or next((a for a, _ in reversed(words) if a), None)

    def by_word(self, word: str) -> str | None:
        """The key of a name or path, of which the folders may be left out if no key has one, and
        up to the folder of images or masks."""
        for name in _bare(word):
            parts = name.split("/")
            starts = [0, *(at for at, part in enumerate(parts[:-1], 1) if part in self.folders),
                      *([len(parts) - 1] if self.flat else [])]
            for start in starts:
                if key := self.keys.get("/".join(parts[start:])):
                    return key
        return None


def _alike(first: str, second: str) -> bool:
    """Whether both words are paths or neither is, and both or neither have an extension."""
    return all(is_a(first) == is_a(second) for is_a in
               (lambda word: "/" in word or "\\" in word, lambda word: is_picture(Path(word))))


def _bare(word: str) -> Iterator[str]:
    """A word of a list as a name: as it is, and without the extension of a picture."""
    path = Path(key_of(word.replace("\\", "/")))
    yield path.as_posix()
    if is_picture(path):
        yield path.with_suffix("").as_posix()
