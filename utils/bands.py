"""Photos decoded some rows at a time, so that the whole picture never stands in memory."""

from __future__ import annotations

import io
import itertools
import math
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, TiffImagePlugin

PNG = b"\x89PNG\r\n\x1a\n"
_ROWS = 256  # of a band, about
_CHANNELS = {"RGB": 3, "RGBA": 4, "LA": 2, "L": 1}  # of PNG files of 8 bits

#: The tags of a TIFF file that its pixels depend on, beside its height and where its strips lie.
_TIFF_TAGS = (256, 258, 259, 262, 266, 277, 284, 317, 320, 338, 339, 347, 529, 530, 531, 532)
_HEIGHT, _OFFSETS, _ROWS_PER_STRIP, _BYTES = 257, 273, 278, 279


def bands(image: Image.Image) -> Iterator[Image.Image]:
    """The picture of an opened file from top to bottom, as stored, in bands of a multiple of eight
    rows (the last may have fewer), in its own mode.

    Pixels that are not compressed are read band by band. PNG files and TIFF files in strips are
    decoded so, through small files of the same kind; others are decoded whole, and cut. Those are
    turned too where Pillow does that, see ``turns_itself``.

    Raises:
        Exception: whatever Pillow raises for a file that it cannot decode.
    """
    if image.format == "PNG" and _is_plain_png(image):
        return _of_png(image)
    if _is_raw(image):
        return _of_raw(image)
    if image.format == "TIFF" and _is_in_strips(image):
        return _of_tiff(image)
    return _of_whole(image)


def turns_itself(image: Image.Image) -> bool:
    """Whether ``bands`` turns the opened file, as Pillow turns TIFF files."""
    return image.format == "TIFF" and not (_is_raw(image) or _is_in_strips(image))


def _of_whole(image: Image.Image) -> Iterator[Image.Image]:
    image.load()
    width, height = image.size
    for top in range(0, height, _ROWS):
        yield image.crop((0, top, width, min(top + _ROWS, height)))


def _is_raw(image: Image.Image) -> bool:
    """Whether the file has all rows of 8-bit RGB one after another."""
    if image.mode != "RGB" or len(image.tile) != 1:
        return False
    (kind, area, _, options), size = image.tile[0][:4], image.size
    if image.format == "TIFF":
        size = image.tag_v2[256], image.tag_v2[257]
    return (kind == "raw" and tuple(area) == (0, 0, *size) and image.size == size
            and options[0] in ("RGB", "BGR"))


def _of_raw(image: Image.Image) -> Iterator[Image.Image]:
    _, (_, _, width, height), start, (order, stride, direction) = image.tile[0][:4]
    stride = stride or 3 * width
    for top in range(0, height, _ROWS):
        rows = min(_ROWS, height - top)
        image.fp.seek(start + stride * (top if direction > 0 else height - top - rows))
        content = image.fp.read(rows * stride)
        yield Image.frombytes("RGB", (width, rows), content, "raw", order, stride, direction)


def _is_plain_png(image: Image.Image) -> bool:
    """Whether rows follow one another and are of 8 bits, so that a decoded row gives its bytes."""
    return (not image.info.get("interlace") and image.mode in _CHANNELS
            and [tile[3] for tile in image.tile] == [image.mode])


def _of_png(image: Image.Image) -> Iterator[Image.Image]:
    """Each band is a file of its own: its rows as they are filtered in the large one, below the row
    before them, without a filter, which theirs may refer to."""
    width, height = image.size
    length = 1 + width * _CHANNELS[image.mode]
    colours = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}[image.mode]
    content, before = _inflated(image), b""
    for top in range(0, height, _ROWS):
        rows = min(_ROWS, height - top)
        filtered = content.read(rows * length)
        if len(filtered) < rows * length:
            raise OSError("the file is cut short")
        header = struct.pack(">IIBBBBB", width, rows + bool(before), 8, colours, 0, 0, 0)
        file = b"".join([PNG, _chunk(b"IHDR", header),
                         _chunk(b"IDAT", zlib.compress(before + filtered, 0)), _chunk(b"IEND")])
        with Image.open(io.BytesIO(file), formats=["PNG"]) as band:
            band = band.crop((0, bool(before), width, band.height))
        before = b"\0" + band.crop((0, rows - 1, width, rows)).tobytes()
        yield band


def _chunk(kind: bytes, content: bytes = b"") -> bytes:
    return b"".join([struct.pack(">I", len(content)), kind, content,
                     struct.pack(">I", zlib.crc32(kind + content))])


def _inflated(image: Image.Image) -> io.BufferedReader:
    return io.BufferedReader(_Inflated(image), 2**16)


class _Inflated(io.RawIOBase):
    """The filtered rows of an opened PNG file, read from its pixel chunks on demand."""

    def __init__(self, image: Image.Image):
        self._file, self._left = image.fp, 0
        self._inflate = zlib.decompressobj()
        self._file.seek(len(PNG))

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:
        content = b""
        while not content and not self._inflate.eof:
            compressed = self._inflate.unconsumed_tail or self._next()
            if not compressed:
                break
            content = self._inflate.decompress(compressed, len(target))
        target[:len(content)] = content
        return len(content)

    def _next(self) -> bytes:
        """More bytes of the pixel chunks; none at their end."""
        while self._left == 0:
            header = self._file.read(8)
            if len(header) < 8:
                return b""
            length = int.from_bytes(header[:4], "big")
            if header[4:] == b"IDAT":
                self._left = length
            else:
                self._file.seek(length, io.SEEK_CUR)
            if self._left == 0:
                self._file.seek(4, io.SEEK_CUR)
        content = self._file.read(min(self._left, 2**16))
        self._left -= len(content)
        if self._left == 0:
            self._file.seek(4, io.SEEK_CUR)
        return content


def _is_in_strips(image: Image.Image) -> bool:
    """Whether rows follow one another in strips that hold all channels."""
    tags = image.tag_v2
    strips = len(tags.get(_OFFSETS, ()))
    rows = tags.get(_ROWS_PER_STRIP, image.height)
    return (strips > 1 and len(tags.get(_BYTES, ())) == strips == -(-tags[_HEIGHT] // rows)
            and tags.get(284, 1) == 1 and tags.get(258, (1,))[0] == 8
            and (tags[256], tags[_HEIGHT]) == image.size)


def _of_tiff(image: Image.Image) -> Iterator[Image.Image]:
    """Each band is a file of its own, with the strips as they are compressed in the large one."""
    tags, height = image.tag_v2, image.height
    rows, strips = tags[_ROWS_PER_STRIP], tags[_OFFSETS]
    step = 8 // math.gcd(8, rows)  # strips that have a multiple of eight rows
    step *= max(1, _ROWS // (step * rows))
    for first in range(0, len(strips), step):
        own = TiffImagePlugin.ImageFileDirectory_v2(prefix=tags.prefix)
        for tag in _TIFF_TAGS:
            if tag in tags:
                own.tagtype[tag] = tags.tagtype[tag]
                own[tag] = tags[tag]
        content = []
        for offset, size in list(zip(strips, tags[_BYTES], strict=True))[first:first + step]:
            image.fp.seek(offset)
            content.append(image.fp.read(size))
        lengths = [len(part) for part in content]
        own[_HEIGHT] = min(height - first * rows, step * rows)
        own[_ROWS_PER_STRIP] = rows
        # From the end of the tags; Pillow adds where that is.
        own[_OFFSETS] = tuple(itertools.accumulate([0, *lengths[:-1]]))
        own[_BYTES] = tuple(lengths)
        order = "<" if tags.prefix == b"II" else ">"
        head = tags.prefix + struct.pack(order + "HI", 42, 8)
        file = b"".join([head, own.tobytes(8), *content])
        with Image.open(io.BytesIO(file), formats=["TIFF"]) as band:
            band.load()
            yield band
