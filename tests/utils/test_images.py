"""Image files that are damaged, huge, moving, or no images at all."""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from utils import images
from utils.images import (
    FORMATS,
    SUFFIXES,
    UnreadableError,
    declared_pixels,
    open_image,
    opened,
    silence_pillow,
    stored_shape,
)

GREY = np.add.outer(np.arange(24) * 7, np.arange(32) * 5).astype(np.uint8)
COLOUR = np.stack([GREY, GREY.T.reshape(GREY.shape), 255 - GREY], axis=2)


def saved(kind: str, values: np.ndarray = COLOUR, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(
        ">I", zlib.crc32(kind + content))


def test_of_a_damaged_png_no_other_pixels_are_read(tmp_path):
    """Each bit that flips, each block that is zeroed, each end that is missing."""
    grey = GREY[:6, :9]
    path, whole = tmp_path / "map.png", saved("PNG", grey)
    files = [whole[:n] for n in range(1, len(whole))]
    files += [whole[:i] + bytes(8) + whole[i + 8:] for i in range(0, len(whole) - 8, 4)]
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        files.append(bytes(damaged))
    refused = 0
    for content in files:
        path.write_bytes(content)
        try:
            assert (np.asarray(open_image(path)) == grey).all()
        except UnreadableError:
            refused += 1
    assert refused == len(files)
    path.write_bytes(whole + b"what some programs append")
    assert (np.asarray(open_image(path)) == grey).all()


KINDS = {"PNG": {}, "JPEG": {}, "WEBP": {"lossless": True}, "BMP": {}, "GIF": {}, "TGA": {},
         "TIFF": {}, "PPM": {}, "JPEG2000": {}, "PCX": {}, "SGI": {},
         "LZW": {"compression": "tiff_lzw"}, "ZIP": {"compression": "tiff_adobe_deflate"}}
SAVED = {kind: saved("TIFF" if "compression" in options else kind, **options)
         for kind, options in KINDS.items()}
if "AVIF" in Image.OPEN:
    SAVED["AVIF"] = saved("AVIF", speed=10)


@pytest.mark.parametrize("kind", SAVED)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
       st.floats(0, 1), st.booleans())
@settings(max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_file_is_an_image_or_one_error(tmp_path, capfd, kind, edits, end, in_header):
    content = bytearray(SAVED[kind])
    for place, value in edits:
        content[int(place * (min(len(content), 100) if in_header else len(content)))] = value
    if end < 0.3:
        content = content[:int(end / 0.3 * len(content))]
    path = tmp_path / ("x.tga" if kind == "TGA" else "x.png")
    path.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        silence_pillow()  # pytest takes back what was set when the module was imported
        for read in (open_image, stored_shape):
            try:
                read(path)
            except UnreadableError as error:
                assert str(path) in str(error)
    assert not caught
    assert capfd.readouterr() == ("", "")  # libtiff's C code prints where nobody tells it not to


def lying(kind: str, side: int) -> bytes:
    """A short file of which the header gives another width and height."""
    content = bytearray(saved(kind))
    where, form = {"PNG": (16, ">II"), "BMP": (18, "<ii"), "GIF": (6, "<HH"),
                   "JPEG": (content.find(b"\xff\xc0") + 5, ">HH")}[kind]
    struct.pack_into(form, content, where, side, side)
    if kind == "PNG":
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "JPEG"])
def test_too_many_pixels_are_refused_by_the_header_alone(tmp_path, kind):
    path = tmp_path / "x.png"
    path.write_bytes(lying(kind, 60000))
    for read in (open_image, stored_shape):
        with pytest.raises(UnreadableError, match="more than 300 megapixels; make smaller copies"):
            read(path)


def test_a_png_that_is_much_too_short_for_its_size_is_refused_by_its_header(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(lying("PNG", 12000))
    with pytest.raises(UnreadableError, match="cut short"):
        stored_shape(path)  # decodes nothing, which would take gigabytes
    Image.new("1", (5000, 5000)).save(path, optimize=True)  # as short as they get
    assert open_image(path).size == (5000, 5000)


def test_a_jpeg_that_is_much_too_short_is_not_filled_with_grey(tmp_path):
    path = tmp_path / "x.jpg"
    path.write_bytes(lying("JPEG", 5000))
    with pytest.raises(UnreadableError, match="cut short"):
        open_image(path)
    Image.new("L", (5000, 5000)).save(path, quality=1, optimize=True)  # as short as they get
    assert open_image(path).size == (5000, 5000)
    Image.new("L", (5000, 5000)).save(path, quality=1, progressive=True)
    assert open_image(path).size == (5000, 5000)


def test_formats_that_take_much_memory_have_bounds_of_their_own(tmp_path, monkeypatch):
    (tmp_path / "x.jp2").write_bytes(SAVED["JPEG2000"])
    assert open_image(tmp_path / "x.jp2").size == (32, 24)
    monkeypatch.setitem(images._PIXELS_OF, "JPEG2000", 32 * 24 - 1)
    with pytest.raises(UnreadableError, match=r"in a file of JPEG2000; .*magick FILE"):
        stored_shape(tmp_path / "x.jp2")


def test_a_long_png_is_checked_as_a_short_one_is_and_stays_in_its_file(tmp_path, monkeypatch):
    path, whole = tmp_path / "x.png", saved("PNG")
    monkeypatch.setattr(images, "_LONG", 0)
    monkeypatch.setattr(images, "_PIECE", 64)
    path.write_bytes(whole[:33] + chunk(b"gAMA", b"\1") + whole[33:])
    assert (np.asarray(open_image(path)) == COLOUR).all()
    path.write_bytes(whole[:90] + bytes([whole[90] ^ 1]) + whole[91:])
    with pytest.raises(UnreadableError, match="checksum"):
        stored_shape(path)
    path.write_bytes(whole[:-20])
    with pytest.raises(UnreadableError, match="cut short"):
        open_image(path)


@pytest.mark.parametrize("size", [(32, 24), (7, 900)])
def test_declared_pixels_are_those_of_the_header(tmp_path, size):
    for kind in ("PNG", "JPEG"):
        Image.new("RGB", size).save(tmp_path / "x", kind)
        assert declared_pixels(tmp_path / "x") == size[0] * size[1]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_moving_pictures_and_pages_are_refused(tmp_path, kind):
    first, second = Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)
    first.save(tmp_path / "x.png", kind, save_all=True, append_images=[second])
    for read in (open_image, stored_shape):
        with pytest.raises(UnreadableError, match="several pictures"):
            read(tmp_path / "x.png")
    first.save(tmp_path / "x.png", kind, save_all=True)
    assert open_image(tmp_path / "x.png").size == (32, 24)


def test_previews_within_a_photo_are_no_other_pictures(tmp_path):
    for name, kind, options in (("x.jpg", "MPO", {}), ("x.tif", "TIFF", {"tiffinfo": {254: 1}})):
        Image.fromarray(COLOUR).save(tmp_path / name, kind, save_all=True, **options,
                                     append_images=[Image.fromarray(COLOUR[::4, ::4])])
    with Image.open(tmp_path / "x.tif") as file:
        assert file.n_frames == 2
    for name in ("x.jpg", "x.tif"):
        assert open_image(tmp_path / name).size == (32, 24)
    assert (np.asarray(open_image(tmp_path / "x.tif")) == COLOUR).all()


def test_what_is_no_file_is_named_and_never_waited_for(tmp_path):
    names = {"pipe.png": "a pipe", "folder.png": "a folder", "loop.png": "symbolic links",
             "broken.png": "a link to a file that is missing"}
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "broken.png").symlink_to("nowhere")
    for name, reason in names.items():
        with pytest.raises(UnreadableError, match=f"^{re.escape(str(tmp_path / name))}.*{reason}"):
            open_image(tmp_path / name)


@pytest.mark.parametrize("content, reason", [
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", " but a PostScript drawing"),
    (b"%PDF-1.7", " but a PDF document"), (b"\n <html>", " but text, such as a web page"),
    (b"version https://git-lfs.github.com/spec/v1\n", " but .*git lfs pull"),
    (b"\0\0\0\x18ftypqt  " + bytes(20), " but one of the kind 'qt  '"),
    (b"\x89PNH" + bytes(20), r"\)$"), (b"GIF89a", " or one with a damaged header"),
    (SAVED["TGA"], r"\)$")])  # it has no mark: whatever begins like it would be one
def test_what_is_taken_for_an_image_is_named(tmp_path, content, reason):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UnreadableError, match=f"cannot be decoded .not an image file{reason}"):
        open_image(tmp_path / "x.png")


def test_no_format_that_runs_other_programs_is_opened():
    assert {"EPS", "WMF", "MPEG", "HDF5"}.isdisjoint(FORMATS)
    assert {"PNG", "JPEG", "GIF", "TGA", "PPM"} <= set(FORMATS)
    assert {".jpg", ".jfif", ".png", ".gif", ".tga", ".ppm", ".webp", ".tif"} <= set(SUFFIXES)
    assert {".eps", ".ps", ".wmf", ".mpg", ".pdf"}.isdisjoint(SUFFIXES)


@pytest.mark.parametrize("kind, content", [
    (b"gAMA", b"\1"), (b"cHRM", b"\1"), (b"zTXt", b"key\0\7what"), (b"iCCP", b"name\0\7"),
    (b"iCCP", b"name\0\0" + zlib.compress(bytes(3_000_000))), (b"pHYs", b"")])
@pytest.mark.parametrize("place", [33, -12])  # behind the header, before the end
def test_chunks_that_do_not_concern_pixels_cannot_spoil_them(tmp_path, kind, content, place):
    whole = saved("PNG")
    (tmp_path / "x.png").write_bytes(whole[:place] + chunk(kind, content) + whole[place:])
    assert (np.asarray(open_image(tmp_path / "x.png")) == COLOUR).all()


def test_what_fails_while_a_file_is_open_is_named(tmp_path):
    (tmp_path / "x.png").write_bytes(saved("PNG"))
    with pytest.raises(UnreadableError, match=r"x\.png: cannot be decoded \(a reason\)"), \
            opened(tmp_path / "x.png"):
        raise ValueError("a reason")
