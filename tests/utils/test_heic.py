"""Photos in HEIC, with the plug-in where it is installed, and without it; photos in AVIF."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from data.decode import decode_image
from data.inputs import collect_inputs
from data.listing import list_images
from utils import heic
from utils.errors import UserError
from utils.images import SUFFIXES, UnreadableError, open_image, opened, stored_shape
from utils.paths import ROOT

INSTALLED = importlib.util.find_spec("pillow_heif") is not None
needs_plugin = pytest.mark.skipif(not INSTALLED, reason="needs pillow-heif")
COLOUR = np.dstack([np.add.outer(np.arange(48) * 3, np.arange(64) * step) for step in (1, 0, 2)]) \
    .astype(np.uint8)
START = b"\0\0\0\x18ftyp"  # of every such file; its kind follows


@pytest.fixture
def photo(tmp_path) -> Path:
    """A photo in HEIC, with transparency."""
    heic.register()
    Image.fromarray(np.dstack([COLOUR, COLOUR[..., :1]])).save(tmp_path / "photo.HEIC", quality=95)
    return tmp_path / "photo.HEIC"


def difference(first: Image.Image, second: np.ndarray) -> float:
    return np.abs(np.asarray(first).astype(int) - second).mean()


@needs_plugin
def test_a_photo_in_heic_is_decoded_and_taken_of_a_folder(photo):
    assert difference(decode_image(photo), COLOUR) < 4
    assert open_image(photo).mode == "RGBA" and stored_shape(photo) == ((64, 48), 1)
    assert [pair.image for pair in collect_inputs([str(photo.parent)], None)] == [photo]
    assert SUFFIXES[".heic"] == heic.FORMAT


@needs_plugin
def test_heic_is_read_by_content_whole_and_as_one_picture(photo, tmp_path):
    other = tmp_path / "named.jpg"
    other.write_bytes(photo.read_bytes())
    assert open_image(other).size == (64, 48)
    other.write_bytes(photo.read_bytes()[:300])
    with pytest.raises(UnreadableError, match=r"named.jpg: cannot be decoded"):
        open_image(other)
    other.write_bytes(START + b"heic" + bytes(20))
    with pytest.raises(UnreadableError, match="or a photo in HEIC that pillow-heif does not read"):
        open_image(other)
    picture = Image.fromarray(COLOUR)
    picture.save(tmp_path / "two.heic", save_all=True, append_images=[picture.rotate(180)])
    with pytest.raises(UnreadableError, match=r"two.heic: holds several pictures"):
        open_image(tmp_path / "two.heic")


@pytest.mark.parametrize("kind", [b"heic", b"heix", b"mif1"])
def test_without_the_plugin_heic_is_named_with_its_remedy(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(heic, "is_installed", lambda: False)
    path = tmp_path / "photo.heic"
    path.write_bytes(START + kind + bytes(20))
    with pytest.raises(UserError, match=r"photo.heic: .* but a photo in HEIC; pip install "
                                        r"pillow-heif, or save it as JPEG"):
        collect_inputs([str(path)], None)
    monkeypatch.delitem(SUFFIXES, ".heic", raising=False)
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    listing = list_images(tmp_path)
    assert listing.files == [tmp_path / "a.png"]
    assert listing.note.endswith("1 file left out: photo.heic; photos in HEIC are read after pip "
                                 "install pillow-heif")


def test_the_plugin_is_not_loaded_before_it_is_needed():
    program = "import sys, utils.images; sys.exit('pillow_heif' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_a_photo_in_avif_is_decoded(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(COLOUR).save(tmp_path / "photo.avif", quality=95, speed=10, exif=turned)
    with opened(tmp_path / "photo.avif") as image:
        assert image.format == "AVIF"
    assert difference(decode_image(tmp_path / "photo.avif"), np.rot90(COLOUR, -1)) < 4


def test_avif_is_named_with_its_remedy_where_pillow_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.images.FORMATS", ("PNG", "JPEG"))
    (tmp_path / "x.avif").write_bytes(START + b"avif" + bytes(20))
    with pytest.raises(UnreadableError, match=r"a picture in AVIF; pip install 'pillow>=11.3'"):
        open_image(tmp_path / "x.avif")
