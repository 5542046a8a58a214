"""What is taken of a folder, and that everything else is counted and named."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from PIL import Image

from data.listing import SHOWN, list_images
from utils import heic
from utils.images import SUFFIXES

from .made import SQUARE, save

#: Kinds of pictures that are taken, in upper and lower case.
PICTURES = ["a.jpg", "b.JPEG", "c.png", "d.gif", "e.jfif", "f.avif", "g.ppm", "h.tga", "i.jp2",
            "j.webp", "k.TIF", "l.bmp", "m.pgm", "n.a.png"]
#: What is left out: no picture, a picture without or with another extension, what Pillow would
#: run another program for, and a name that only begins like a system's.
OTHERS = ["film.mp4", "text.txt", "no_extension", "wrong.dat", "drawing.eps", "page.pdf",
          "photo.raw", "x.svg", "Thumbs.db.bak", "图 片.psb"]
#: What nobody means.
HIDDEN = [".DS_Store", "._a.jpg", "Thumbs.db", "desktop.ini", "DESKTOP.INI", ".hidden.png"]


def strays(folder: Path) -> Path:
    """A folder with every kind of file, subfolder and special file."""
    for name in PICTURES:
        save(folder / name, SQUARE, format="PNG")
    for name in (*OTHERS, *HIDDEN):
        (folder / name).write_bytes(b"x")
    save(folder / "no_extension", SQUARE, format="PNG")
    for name in ("night/a.jpg", "night/deep/er/a.jpg", "named.jpg/b.png", "__MACOSX/c.png",
                 ".cache/d.png", "night/film.avi"):
        save(folder / name, SQUARE, format="PNG")
    os.mkfifo(folder / "pipe.png")
    (folder / "dangling.jpg").symlink_to(folder / "nowhere")
    (folder / "dangling.txt").symlink_to(folder / "nowhere")
    (folder / "link.png").symlink_to(folder / "c.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "circle").symlink_to(folder)
    return folder


def test_what_is_kept_and_what_is_named_is_all_that_lies_there(tmp_path):
    folder = strays(tmp_path)
    listing = list_images(folder)
    kept = {path.name for path in listing}
    # Links that lead nowhere are kept by their names: whoever opens them reports them.
    assert kept == {*PICTURES, "dangling.jpg", "loop.png", "link.png"}
    assert {*listing.left_out} == {*OTHERS, "dangling.txt", "pipe.png (no file)"}
    assert {*listing.subfolders} == {"circle", "named.jpg", "night"}
    ignored = {*HIDDEN, "__MACOSX", ".cache"}
    entries = {name.removesuffix(" (no file)") for name in
               (*kept, *listing.left_out, *listing.subfolders)}
    there_are = [path.name for path in folder.iterdir()]
    assert entries | ignored == set(there_are)
    assert len(listing) + len(listing.left_out) + len(listing.subfolders) + len(ignored) \
        == len(there_are)
    assert re.match(rf"{folder}: 12 files left out: .*, … and 2 more; 3 subfolders \(circle, "
                    r"named.jpg, night\), see --recursive", listing.note)
    assert listing.note.count(",") == SHOWN + 2 + 1


def test_subfolders_are_read_on_request_and_links_to_what_is_above_are_not_followed(tmp_path):
    folder = strays(tmp_path / "photos")
    (folder / "linked").symlink_to(save(tmp_path / "else/z.jpg", SQUARE).parent)
    listing = list_images(folder, recursive=True)
    flat = [listing.name(path) for path in list_images(folder)]
    assert sorted(map(listing.name, listing)) == sorted(
        [*flat, "night/a", "night/deep/er/a", "named.jpg/b", "linked/z"])
    assert listing.subfolders == ()
    assert "circle (a link to a folder above)" in listing.left_out
    assert "night/film.avi" in listing.left_out  # by its name, whatever it holds


def test_a_folder_of_pictures_alone_has_no_note(tmp_path):
    save(tmp_path / "a.png", SQUARE)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert list_images(tmp_path).note == ""
    (tmp_path / "readme.txt").write_text("x")
    assert list_images(tmp_path).note == f"{tmp_path}: 1 file left out: readme.txt"


def test_every_extension_is_one_that_pillow_reads():
    assert {".jpg", ".gif", ".jfif", ".avif", ".ppm", ".tga", ".jp2", ".tiff"} <= SUFFIXES.keys()
    assert not {".eps", ".ps", ".pdf", ".wmf", ".emf", ".mpg", ".h5", ".txt"} & SUFFIXES.keys()
    assert all(Image.registered_extensions()[suffix] for suffix in SUFFIXES
               if suffix not in heic.SUFFIXES)  # whose plug-in is loaded with the first file


def test_names_that_are_no_text_are_printed_escaped(tmp_path):
    try:
        Path(os.fsdecode(bytes(tmp_path) + b"/\xcd\xcf.mp4")).write_bytes(b"x")
    except OSError:
        pytest.skip("the file system takes text alone")
    assert list_images(tmp_path).note.endswith(r"left out: \udccd\udccf.mp4")
