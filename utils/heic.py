"""HEIC, the format of phones' photos. Pillow reads it with the plug-in pillow-heif, which is loaded
where the first such file is opened."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

#: How the names of such files end, in lower case.
SUFFIXES = (".heic", ".heif", ".hif")
FORMAT = "HEIF"  # as the plug-in calls it
INSTALL = "pip install pillow-heif"
#: Kinds of the files, as their bytes 4 to 11 tell; files of AVIF may have the last two, as well.
_KINDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heic(start: bytes) -> bool:
    """Whether a file that begins with these 12 bytes or more is of HEIC, or may be."""
    return start[4:8] == b"ftyp" and start[8:12] in _KINDS


def is_installed() -> bool:
    """Whether the plug-in is there."""
    return find_spec("pillow_heif") is not None


def advice() -> str:
    """The half of a sentence that begins with "not an image file", for one that ``is_heic``."""
    if is_installed():
        return " or a photo in HEIC that pillow-heif does not read; save it as JPEG or PNG"
    return f" but a photo in HEIC; {INSTALL}, or save it as JPEG or PNG"


@cache
def register() -> None:
    """Make ``Image.open`` know the format, upright and in 8 bits.

    Raises:
        ImportError: the plug-in is not there, or does not load.
    """
    from pillow_heif import register_heif_opener

    register_heif_opener()
