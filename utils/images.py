"""Opening image files of any kind: only still pictures, only whole ones, and never at any price."""

from __future__ import annotations

import bisect
import ctypes
import io
import itertools
import logging
import math
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from PIL import ExifTags, Image, UnidentifiedImageError

from . import heic
from .bands import PNG
from .errors import UserError

#: Formats of still pictures in pixels. Of what else Pillow opens, some run other programs (EPS runs
#: Ghostscript), and the others hold no photo.
_STILL = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "DIB", "GIF", "AVIF", "PPM", "JPEG2000",
          "PCX", "PSD", "QOI", "SGI", "SUN", "TGA")
_UNMARKED = ("TGA",)  # begins with no mark of its own: tried only where the file's name says so
PIXELS = 300_000_000  # of a picture, at most
#: The same of formats whose decoders take 7, 10 and 20 bytes for each pixel.
_PIXELS_OF = {heic.FORMAT: 100_000_000, "AVIF": 100_000_000, "JPEG2000": 50_000_000}
#: Most pixels that a byte can hold: JPEG has a bit for each block of 8×8, PNG 8 in a byte and 1032
#: bytes in one. Of what is missing Pillow would make grey, and no error, or take gigabytes for it.
_DENSEST = {"JPEG": 512, "MPO": 512, "PNG": 8 * 1032}

Image.init()
SUFFIXES = {suffix: name for suffix, name in Image.registered_extensions().items()
            if name in _STILL and (name in Image.OPEN or name == "MPO")}  # MPO opens as JPEG
FORMATS = tuple(name for name in _STILL if name in Image.OPEN)
if heic.is_installed():  # whose plug-in is loaded with the first file
    SUFFIXES |= dict.fromkeys(heic.SUFFIXES, heic.FORMAT)
# Pillow warns above this number and fails above twice of it, also within a file's frames.
Image.MAX_IMAGE_PIXELS = PIXELS // 2

_ORIENTATION = ExifTags.Base.Orientation
_TURNS = dict(enumerate((
    None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90), start=1))
# Keys of Image.info, which no text in a file can be.
_TURN, _DAMAGED = ("turn",), ("metadata are damaged",)
_LONG = 2**24  # bytes of a file that is not read at once
_PIECE = 2**18  # bytes of a file that are read at a time
_OF_PIXELS = (b"tRNS", b"acTL", b"fcTL", b"fdAT")  # beside the chunks that every decoder must know
_OF_ORIENTATION = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
          stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
#: How files begin that are none of the formats, and that are.
_BEGINNINGS = {
    (b"\x89PNG", b"\xff\xd8", b"II*\0", b"MM\0*", b"GIF8", b"RIFF", b"BM"):
        "or one with a damaged header",
    (b"%!PS", b"\xc5\xd0\xd3\xc6"): "but a PostScript drawing; export it as PNG",
    (b"%PDF",): "but a PDF document; export it as PNG",
    (b"version https://git-lfs",): "but a pointer of Git LFS; fetch the file with git lfs pull",
    (b"<",): "but text, such as a web page or an SVG drawing; download or export it again"}


def silence_pillow() -> None:
    """Keep Pillow and its libtiff from printing: what is wrong with a file is an error or, in its
    metadata, no matter."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with suppress(OSError, AttributeError):  # where libtiff can be reached
        libtiff = ctypes.CDLL(Image.core.__file__)
        libtiff.TIFFSetWarningHandler(None)
        libtiff.TIFFSetErrorHandler(None)


silence_pillow()


class UnreadableError(UserError):
    """A file that does not decode; the message names it and says why."""

    @classmethod
    def of(cls, path: Path, error: Exception) -> UnreadableError:
        """The error for what Pillow raised while it read ``path``."""
        if isinstance(error, cls):
            return error
        if isinstance(error, FileNotFoundError):
            reason = "a link to a file that is missing" if path.is_symlink() else "no such file"
        elif isinstance(error, UnidentifiedImageError):
            reason = f"not an image file{_what_it_is(path)}"
        elif isinstance(error, Image.DecompressionBombError):
            reason = _too_many(PIXELS)
        else:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return cls(f"{path}: cannot be decoded ({reason})")


def _too_many(pixels: int, where: str = "") -> str:
    return (f"more than {pixels // 10**6} megapixels{where}; make smaller copies, of masks too, "
            "such as with ImageMagick: magick FILE -resize 50% COPY.png")


def _what_it_is(path: Path) -> str:
    """Half a sentence on a file that is no image, by its first bytes; empty if they say nothing."""
    with path.open("rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    if heic.is_heic(start):
        return heic.advice()
    if start[4:12] == b"ftypavif":
        return " but a picture in AVIF; pip install 'pillow>=11.3', or save it as JPEG or PNG"
    if start[4:8] == b"ftyp":  # videos
        return f" but one of the kind {start[8:12].decode('latin-1')!a}; save it as JPEG or PNG"
    return next((f" {what}" for marks, what in _BEGINNINGS.items() if start.startswith(marks)), "")


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The file with its header read and checked; in the block, ``load()`` reads its pixels.

    Raises:
        UnreadableError: missing, no file, empty, not an image, of several pictures or more than
            ``PIXELS``; also in place of what Pillow raises in the block.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its writer
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "not a file")
            raise UnreadableError(f"{path}: {kind}, not an image file")
        if status.st_size == 0:
            raise UnreadableError(f"{path}: empty file (0 bytes)")
        named = SUFFIXES.get(path.suffix.lower())
        formats = [name for name in FORMATS if name not in _UNMARKED or name == named]
        with path.open("rb") as file, _identified(file, formats) as image:
            if math.prod(image.size) > _DENSEST.get(image.format, PIXELS) * status.st_size:
                raise OSError("the file is cut short")
            if math.prod(image.size) > (most := _PIXELS_OF.get(image.format, PIXELS)):
                raise OSError(_too_many(most, f" in a file of {image.format}"))
            if _is_several(image):
                raise UnreadableError(f"{path}: holds several pictures; give one still picture")
            yield image
    except UserError:
        raise
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error, …
        raise UnreadableError.of(path, error) from None


def open_image(path: Path) -> Image.Image:
    """The decoded file, in its own mode, turned upright as its own metadata say.

    Raises:
        UnreadableError: see ``opened``; truncated, or a checksum tells that the file is damaged.
    """
    with opened(path) as image:
        return loaded(image)


def picture_in_memory(image: Image.Image) -> Image.Image:
    """A picture that the caller holds, loaded and upright as ``open_image`` gives that of a file;
    its metadata are left as they are.

    Raises:
        UnreadableError: it does not decode, moves or has pages, or has no pixels.
    """
    name, info = Path(getattr(image, "filename", "") or "the picture"), dict(image.info)
    try:
        if not all(image.size):
            raise UnreadableError(f"{name}: has no pixels, its size is {image.size}")
        if _is_several(image):
            raise UnreadableError(f"{name}: holds several pictures; give one still picture")
        return loaded(image)
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error, …
        raise UnreadableError.of(name, error) from None
    finally:
        image.info = info


def loaded(image: Image.Image) -> Image.Image:
    """The picture of a file that is ``opened``; see ``open_image``."""
    turn, by_pillow, kind = orientation(image), turned_by_pillow(image), image.format
    image.load()
    if not by_pillow:
        image = turned(image, turn)
    if image.mode in ("La", "RGBa"):  # colours times alpha, of which little else is known
        image = image.convert(image.mode.upper())
    image.info[_TURN], image.format = turn, kind  # of which Pillow's copies know nothing
    return image


def turned_by_pillow(image: Image.Image) -> bool:
    """Whether Pillow turns an opened file as it loads it."""
    return image.format == "TIFF" and _stored_orientation(image) in _TURNS


def own_turn(image: Image.Image) -> int:
    """The orientation by which ``open_image`` turned the picture; 1 for none."""
    return image.info.get(_TURN, 1)


def metadata_damaged(image: Image.Image) -> bool:
    """Whether ``open_image`` could not read the picture's metadata, and took it for upright."""
    return image.info.get(_DAMAGED, False)


def stored_shape(path: Path) -> tuple[tuple[int, int], int]:
    """Width and height as stored, and orientation, without decoding pixels.

    Raises:
        UnreadableError: see ``opened``.
    """
    with opened(path) as image:
        size = image.size
        if image.format == "TIFF":  # Pillow gives some of them turned before they are loaded
            size = image.tag_v2[256], image.tag_v2[257]
        return size, orientation(image)


def declared_pixels(path: Path) -> int:
    """How many pixels a file declares to have, of a PNG file by its first bytes alone.

    Raises:
        UnreadableError: see ``opened``.
    """
    with suppress(OSError), path.open("rb") as file:
        start = file.read(24)
        if start.startswith(PNG):
            return math.prod(struct.unpack(">II", start[16:].ljust(8, b"\0")))
    return math.prod(stored_shape(path)[0])


def orientation(image: Image.Image) -> int:
    """Orientation by EXIF, else by XMP: 1 (upright) to 8; 1 where none can be read.

    A whole number counts in whatever type the file writes it, digits of a text included. It is the
    file's until ``load()``, in which Pillow turns TIFF files.
    """
    value = _stored_orientation(image)
    if isinstance(value, bytes):  # of the types BYTE and UNDEFINED
        value = value.strip(b"\0 ")
        value = value.decode() if value.isdigit() else int.from_bytes(value, "little")
    if isinstance(value, str) and value.strip("\0 ").isdecimal():
        value = int(value.strip("\0 "))
    return int(value) if value in _TURNS else 1


def _stored_orientation(image: Image.Image) -> object:
    """What the metadata hold as the orientation, as Pillow reads its type; 1 where they hold none,
    or nothing that can be read."""
    try:
        # The own method of PNG files decodes the pixels too, and hides what is wrong with those.
        exif = Image.Image.getexif(image)
        image.info[_DAMAGED] = metadata_damaged(image) or ("exif" in image.info and not exif)
        value = exif.get(_ORIENTATION, 1)
        hash(value)
        return value
    except Exception:  # metadata are damaged in as many ways as Pillow has parsers
        image.info[_DAMAGED] = True
        return 1


def turned(image: Image.Image, turn: int) -> Image.Image:
    """The image upright that has the orientation ``turn``."""
    return image if turn == 1 else image.transpose(_TURNS[turn])


def _is_several(image: Image.Image) -> bool:
    """Whether an opened file moves or has pages: whether one picture would be a choice."""
    if image.format in ("MPO", "PSD"):  # a photo with its preview or depth, a picture's layers
        return False
    several = getattr(image, "is_animated", False)
    if several and image.format == "TIFF":
        several = any(not (tags.get(254, 0) & 5 or tags.get(255) == 2)  # a smaller copy, or a mask
                      for tags in _tags_of_pages(image))
        image.seek(0)
    return several


def _tags_of_pages(image: Image.Image) -> Iterator[Mapping]:
    """The tags of a TIFF file's pages behind the first, of so many as somebody may have meant."""
    with suppress(EOFError):
        for number in range(1, 100):
            image.seek(number)
            yield image.tag_v2


def _identified(file: IO[bytes], formats: Sequence[str]) -> Image.Image:
    """An opened file with its header read. Metadata that Pillow cannot read keep it from no more
    than their content."""
    start = file.read(12)
    file.seek(0)
    if start.startswith(PNG):
        content = file if os.fstat(file.fileno()).st_size > _LONG else io.BytesIO(file.read())
        return Image.open(_essential_chunks(content), formats=formats)
    if heic.is_heic(start) and heic.is_installed():
        heic.register()
        formats = [*formats, heic.FORMAT]
    try:
        return Image.open(file, formats=formats)
    except Exception:
        if start[4:] not in (b"ftypavif", b"ftypavis"):
            raise
        file.seek(0)
        image = Image.open(io.BytesIO(file.read().replace(b"Exif", b"none")), formats=formats)
        image.info[_DAMAGED] = True
        return image


def _essential_chunks(file: IO[bytes]) -> IO[bytes]:
    """A PNG file with what its pixels and its orientation depend on alone, the latter in front.

    Of the other chunks, Pillow may read some after all pixels, and fail at others. Of a long file,
    pixels are read once for their checksums, and stay in the file.

    Raises:
        OSError: a checksum does not fit, or the file is cut short.
    """
    start, kind, pixels, metadata = len(PNG), b"", [], []
    size = file.seek(0, io.SEEK_END)
    while kind != b"IEND":
        file.seek(start)
        header = file.read(8)
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        end = start + 12 + length
        if size < end:
            raise OSError("the file is cut short")
        beginning, checksum = b"", zlib.crc32(kind)
        for place in range(0, length, _PIECE):
            piece = file.read(min(_PIECE, length - place))
            beginning, checksum = beginning or piece[:22], zlib.crc32(piece, checksum)
        if checksum != int.from_bytes(file.read(4), "big"):
            raise OSError(f"the file is damaged: the checksum of its chunk {kind!r} does not fit")
        if kind[:1].isupper() or kind in _OF_PIXELS:
            pixels.append((start, end))
        elif kind == b"eXIf" or beginning.startswith(_OF_ORIENTATION):
            metadata.append((start, end))
        start = end
    parts = [(0, len(PNG)), *pixels[:1], *metadata, *pixels[1:]]
    if isinstance(file, io.BytesIO):
        content = file.getbuffer()
        return io.BytesIO(b"".join(content[start:end] for start, end in parts))
    return io.BufferedReader(_Parts(file, parts), _PIECE)


class _Parts(io.RawIOBase):
    """Parts of a file, each from its start to its end, as one file."""

    def __init__(self, file: IO[bytes], parts: Sequence[tuple[int, int]]):
        self._file, self._parts, self._place = file, parts, 0
        self._ends = list(itertools.accumulate(end - start for start, end in parts))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + (0, self._place, self._ends[-1])[whence]
        return self._place

    def readinto(self, target: memoryview) -> int:
        number = bisect.bisect_right(self._ends, self._place)
        if number == len(self._parts):
            return 0
        left = self._ends[number] - self._place
        self._file.seek(self._parts[number][1] - left)
        content = self._file.read(min(left, len(target)))
        target[:len(content)] = content
        self._place += len(content)
        return len(content)
