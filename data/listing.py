"""What lies in a folder: the pictures, and everything else, which is counted and named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from utils import heic
from utils.errors import counted, printable
from utils.images import SUFFIXES

from .affixes import NONE, Affix, key_of

#: What systems leave in folders, in lower case; nobody means it when they name the folder.
_OF_SYSTEMS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir",
               "lost+found", "$recycle.bin", "system volume information"}
SHOWN = 10  # names in a note


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder, and what else lies there.

    Attributes:
        files: the pictures, sorted. A link that leads nowhere counts by its name: whoever opens it
            reports it.
        folder: what the names of the files are relative to; None for files of several folders,
            which are named by their stems alone.
        left_out: names of all other files, hidden ones and those of systems aside.
        subfolders: names of the folders that were not descended into.
        affix: what the files' names have beyond the names of the samples.
    """

    files: list[Path]
    folder: Path | None = None
    left_out: tuple[str, ...] = ()
    subfolders: tuple[str, ...] = ()
    affix: Affix = NONE

    def __iter__(self) -> Iterator[Path]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def name(self, path: Path) -> str:
        """A file's own name: its path in the folder, with ``/``, without extension."""
        inner = path.relative_to(self.folder) if self.folder else Path(path.name)
        return (inner.parent / inner.stem).as_posix()

    def key(self, path: Path) -> str:
        """What a file is matched by: its name in composed Unicode, without the affix."""
        key = key_of(self.name(path))
        bare = self.affix.strip(key)
        return key if bare is None else bare

    def only(self, wanted: Callable[[str], bool]) -> Listing:
        """The same with those files alone whose keys are ``wanted``."""
        return replace(self, files=[path for path in self.files if wanted(self.key(path))])

    @property
    def note(self) -> str:
        """A sentence on what is left out; empty if nothing is."""
        return note_on(self.folder, self.left_out, self.subfolders)


def note_on(where: object, left_out: Sequence[str], subfolders: Sequence[str] = ()) -> str:
    """A sentence on files that are left out and folders that were not descended into; empty where
    there are none of either."""
    parts = []
    if left_out:
        parts.append(f"{counted(len(left_out), 'file')} left out: {shown(left_out)}")
    if subfolders:
        parts.append(f"{counted(len(subfolders), 'subfolder')} ({shown(subfolders)}), see "
                     "--recursive (data.recursive=true)")
    if any(name.lower().endswith(heic.SUFFIXES) for name in left_out) and not heic.is_installed():
        parts.append(f"photos in HEIC are read after {heic.INSTALL}")
    return f"{where}: {'; '.join(parts)}" if parts else ""


def list_images(folder: Path, recursive: bool = False) -> Listing:
    """The pictures of a folder, by extension: see ``is_picture``.

    Args:
        recursive: those in its subfolders too, also where these are links.
    """
    files, left_out, subfolders = [], [], []
    if "__MACOSX" in folder.parts:
        return Listing([], folder)
    waiting = [(folder, (folder.resolve(),))]  # a folder, and where it and those above it lie
    while waiting:
        here, above = waiting.pop()
        for path in sorted(here.iterdir()):
            name = path.relative_to(folder).as_posix()
            if is_hidden(path.name):
                continue
            if path.is_dir():
                place = path.resolve()
                if not recursive:
                    subfolders.append(name)
                elif place in above:
                    left_out.append(f"{name} (a link to a folder above)")
                else:
                    waiting.append((path, (*above, place)))
            elif is_picture(path) and (path.is_file() or not path.exists()):
                files.append(path)
            else:
                left_out.append(name + " (no file)" * is_picture(path))  # a pipe, a socket
    return Listing(sorted(files), folder, tuple(sorted(left_out)), tuple(sorted(subfolders)))


def others_in(folder: Path, own: Collection[Path]) -> list[Path]:
    """The files in a folder, at any depth, that are not ``own``; hidden ones and those of systems
    aside."""
    return [path for path in sorted(folder.rglob("*"))
            if not path.is_dir() and not is_hidden(path.name) and path not in own]


def is_picture(path: Path) -> bool:
    """Whether the extension is one of a format that Pillow reads as a still picture."""
    return path.suffix.lower() in SUFFIXES


def shown(names: Sequence[str]) -> str:
    """The first names of many, as they can be printed on any terminal."""
    more = f", … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(printable(name) for name in names[:SHOWN]) + more


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden or of a system: what nobody means who names a folder."""
    return name.startswith(".") or name.lower() in _OF_SYSTEMS
