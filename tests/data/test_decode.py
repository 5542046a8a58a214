"""Image files of every kind, read as images, masks and scribbles."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from data import decode_image, decode_mask, decode_scribble
from data.coding import decide
from data.decode import upright_size
from data.depth import bits_of
from data.strokes import decode_strokes
from utils.errors import UserError
from utils.images import UnreadableError

from .made import COLOUR, SQUARE, save


def palette_of(rgb):
    return Image.fromarray(rgb).quantize(16)


@pytest.mark.parametrize("name, image", [
    ("rgb.png", Image.fromarray(COLOUR)),
    ("palette.png", palette_of(COLOUR)),
    ("rgba.png", Image.fromarray(COLOUR).convert("RGBA")),
    ("cmyk.tif", Image.fromarray(COLOUR).convert("CMYK"))])
def test_colour_files_decode_to_the_same_rgb(tmp_path, name, image):
    image.save(tmp_path / name)
    image = decode_image(tmp_path / name)
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - COLOUR).max() <= 1


def test_channels_are_rgb_not_bgr(tmp_path):
    red = decode_image(save(tmp_path / "red.png", np.full((2, 2, 3), (255, 0, 0), np.uint8)))
    assert red.getpixel((0, 0)) == (255, 0, 0)


def test_cmyk_jpeg_decodes_to_its_colours(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg")
    r, g, b = decode_image(tmp_path / "red.jpg").getpixel((8, 8))
    assert r > 240
    assert max(g, b) < 15


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 48).reshape(6, 8).astype(np.uint16)
    path = save(tmp_path / "deep.png", ramp)
    image = np.asarray(decode_image(path))
    assert np.abs(image[..., 0] - ramp / 257).max() <= 0.5
    assert np.abs(decode_mask(path) - ramp / 257).max() <= 0.5


@pytest.mark.parametrize("top, bits, brightest", [
    (4095, 12, 255), (3000, 12, 187), (1023, 10, 255), (255, 8, 255), (31, 8, 31),
    (4096, 16, 16), (16383, 16, 64), (65535, 16, 255)])
@pytest.mark.parametrize("name", ["photo.png", "photo.tif"])
def test_a_photo_of_fewer_bits_in_a_file_of_16_is_not_black(tmp_path, name, top, bits, brightest):
    values = np.linspace(0, top, 48).reshape(6, 8).round().astype(np.uint16)
    photo = decode_image(save(tmp_path / name, values))
    assert np.abs(np.asarray(photo)[..., 0] - values * (brightest / top)).max() <= 1
    assert (bits_of(photo), np.asarray(photo).max()) == (bits, brightest)


@pytest.mark.parametrize("top, bits, brightest", [
    (4095, 12, 255), (255, 8, 255), (16383, 16, 64), (65535, 16, 255)])
@pytest.mark.parametrize("name, options", [
    ("photo.png", {}), ("photo.tif", {}), ("turned.png", {"turn": 6})])
def test_colours_of_16_bits_keep_them(tmp_path, name, options, top, bits, brightest):
    values = np.linspace(0, top, 144).reshape(6, 8, 3).round().astype(np.uint16)
    cv2.imwrite(str(tmp_path / name), values[..., ::-1])
    if options:
        content = (tmp_path / name).read_bytes()
        exif = exif_block(6, 3)[6:]
        chunk = b"eXIf" + exif
        (tmp_path / name).write_bytes(content[:33] + len(exif).to_bytes(4, "big") + chunk
                                      + zlib.crc32(chunk).to_bytes(4, "big") + content[33:])
        values = np.rot90(values, -1)
    photo = decode_image(tmp_path / name)
    assert np.abs(np.asarray(photo) - values * (brightest / top)).max() <= 1
    assert (bits_of(photo), np.asarray(photo).max()) == (bits, brightest)


@pytest.mark.parametrize("tag, stated, bits", [
    (281, 16383, 14), (281, 4095, 12), (281, 65535, 16), (281, 100, 10), (341, 4095.0, 12)])
def test_the_depth_that_a_tiff_states_counts_if_its_values_keep_to_it(tmp_path, tag, stated, bits):
    values = np.linspace(0, 900, 48).reshape(6, 8).astype(np.uint16)
    photo = decode_image(save(tmp_path / "a.tif", values, tiffinfo={tag: stated}))
    assert bits_of(photo) == bits
    assert np.asarray(photo).max() == round(900 * 255 / (2**bits - 1))


@pytest.mark.parametrize("name, make", [
    ("binary.png", lambda m: Image.fromarray(m)),
    ("bilevel.png", lambda m: Image.fromarray(m).convert("1")),
    ("zero_one.png", lambda m: Image.fromarray(m // 255)),
    ("rgb.png", lambda m: Image.fromarray(m).convert("RGB")),
    ("rgba.png", lambda m: Image.fromarray(m).convert("RGBA")),
    ("sixteen.png", lambda m: Image.fromarray(m.astype(np.uint16) * 257)),
    ("twelve_bit.png", lambda m: Image.fromarray((m > 0).astype(np.uint16) * 4095)),
    ("invisible.png", lambda m: Image.merge("LA", (Image.fromarray(m),
                                                   Image.new("L", m.shape[::-1])))),
    ("alpha_only.png", lambda m: Image.merge("LA", (Image.new("L", m.shape[::-1]),
                                                    Image.fromarray(m)))),
    ("white_on_nothing.png", lambda m: Image.merge("LA", (Image.fromarray(m),
                                                          Image.fromarray(m))))])
def test_masks_in_every_coding_are_the_same(tmp_path, name, make):
    make(SQUARE).save(tmp_path / name)
    mask = decode_mask(tmp_path / name, None, decide([tmp_path / name]))
    assert mask.dtype == np.uint8
    assert (mask == SQUARE).all()


@pytest.mark.parametrize("colour", [(255, 255, 255), (128, 0, 0), (1, 1, 1), (0, 255, 0)])
def test_palette_masks(tmp_path, colour):
    image = Image.fromarray(SQUARE // 255).convert("P")
    image.putpalette([0, 0, 0, *colour])
    image.save(tmp_path / "palette.png")
    coding = decide([tmp_path / "palette.png"])
    assert (decode_mask(tmp_path / "palette.png", None, coding) == SQUARE).all()


def test_grey_mask_values_are_kept(tmp_path):
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    assert (decode_mask(save(tmp_path / "grey.png", grey)) == grey).all()


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_turns_image_and_mask_together(tmp_path, turn):
    lying = np.repeat(SQUARE[..., None], 3, axis=2)
    image_path = save(tmp_path / "photo.png", lying, turn)
    mask_path = save(tmp_path / "mask.png", SQUARE)
    image = decode_image(image_path)
    mask = decode_mask(mask_path, image_path)
    assert (np.asarray(image)[..., 0] == mask).all()
    assert mask.shape == ((6, 8) if turn < 5 else (8, 6))


def exif_block(value, kind: int) -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[0x0112] = kind
    tags[0x0112] = value
    return b"Exif\0\0II*\0\x08\0\0\0" + tags.tobytes(8)


def of_bytes(value: int) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Tags of a TIFF file whose orientation is of the type BYTE, which Pillow does not follow."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[0x0112] = 1
    tags[0x0112] = bytes([value])
    return tags


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
RATIONAL = TiffImagePlugin.IFDRational


@pytest.mark.parametrize("options, turned", [
    ({"exif": exif_block(6, 3)}, True), ({"exif": exif_block(RATIONAL(6, 1), 5)}, True),
    ({"exif": exif_block(6.0, 11)}, True), ({"exif": exif_block((6, 6), 3)}, True),
    ({"exif": exif_block("6", 2)}, True), ({"exif": exif_block(b"\x06", 1)}, True),
    ({"exif": exif_block(b"6\0", 7)}, True), ({"exif": exif_block("six", 2)}, False),
    ({"exif": exif_block(b"\x06\x01", 1)}, False),
    ({"exif": exif_block(RATIONAL(13, 2), 5)}, False),
    ({"exif": exif_block(RATIONAL(6, 0), 5)}, False), ({"exif": exif_block(9, 3)}, False),
    ({"exif": b"Exif\0\0garbage"}, False), ({"exif": exif_block(6, 3)[:17]}, False),
    ({"xmp": XMP}, True), ({"tiffinfo": {0x0112: 6}}, True), ({"tiffinfo": of_bytes(6)}, True)])
def test_all_readers_take_the_same_orientation_from_a_file(tmp_path, options, turned):
    lying = Image.fromarray(SQUARE)
    kinds = ["tif"] if "tiffinfo" in options else ["jpg", "webp"] + ["png"] * ("exif" in options)
    for kind in kinds:
        path = tmp_path / f"photo.{kind}"
        lying.convert("RGB").save(path, **options)
        shape = (8, 6) if turned else (6, 8)
        assert upright_size(path) == upright_size(path, path) == shape[::-1]
        assert decode_image(path).size == shape[::-1]
        assert decode_mask(path).shape == decode_mask(path, path).shape == shape
        mask = save(tmp_path / "mask.png", SQUARE)
        assert decode_mask(mask, path).shape == upright_size(mask, path)[::-1] == shape


@pytest.mark.parametrize("turn", range(2, 9))
def test_a_mask_with_an_orientation_of_its_own_is_turned_by_that_alone(tmp_path, turn):
    image = save(tmp_path / "photo.jpg", np.zeros((6, 8, 3), np.uint8), turn)
    expected = decode_mask(save(tmp_path / "bare.png", SQUARE), image)
    for name, options in (("a.png", {"orientation": turn}), ("a.tif", {"tiffinfo": {274: turn}})):
        assert (decode_mask(save(tmp_path / name, SQUARE, **options), image) == expected).all()


def test_a_damaged_exif_text_of_a_png_means_upright(tmp_path):
    """ImageMagick writes EXIF as hexadecimal text."""
    for text in ("\nexif\n    88\nthis is no number", "", "\nexif\n  8\n4578"):
        info = PngInfo()
        info.add_text("Raw profile type exif", text)
        Image.fromarray(COLOUR).save(tmp_path / "a.png", pnginfo=info)
        assert (np.asarray(decode_image(tmp_path / "a.png")) == COLOUR).all()
        assert decode_mask(save(tmp_path / "b.png", SQUARE), tmp_path / "a.png").shape == (6, 8)


def test_a_mask_drawn_on_the_upright_image_is_left_upright(tmp_path):
    image_path = save(tmp_path / "photo.jpg", np.zeros((6, 8, 3), np.uint8), 6)
    upright = np.ascontiguousarray(np.rot90(SQUARE, -1))
    mask_path = save(tmp_path / "mask.png", upright)
    assert (decode_mask(mask_path, image_path) == upright).all()


@pytest.mark.parametrize("content, reason", [
    (b"", "empty file"), (b"not an image", "not an image"), (None, "no such file")])
def test_unreadable_files_are_named(tmp_path, content, reason):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    for decode in (decode_image, decode_mask, decode_scribble):
        with pytest.raises(UnreadableError, match=reason) as error:
            decode(path)
        assert str(path) in str(error.value)


def test_a_jpeg_under_a_png_name_decodes(tmp_path):
    """The published repair of DUTS-TR's two known masks leaves such files."""
    save(tmp_path / "x.jpg", SQUARE, quality=95).rename(tmp_path / "x.png")
    assert decode_mask(tmp_path / "x.png").shape == SQUARE.shape


def test_scribbles_are_remapped(tmp_path):
    codes = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    expected = [[255, 1, 0], [0, 1, 255]]
    assert decode_scribble(save(tmp_path / "s.png", codes)).tolist() == expected
    palette = Image.fromarray(codes).convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    palette.save(tmp_path / "p.png")
    assert decode_scribble(tmp_path / "p.png").tolist() == expected
    for mode in ("RGB", "LA", "RGBA"):  # three equal channels, and alpha, say nothing more
        Image.fromarray(codes).convert(mode).save(tmp_path / f"{mode}.png")
        assert decode_scribble(tmp_path / f"{mode}.png").tolist() == expected


def test_a_scribble_value_outside_the_table_names_file_and_value(tmp_path):
    path = save(tmp_path / "bad.png", np.array([[0, 1, 7]], np.uint8))
    with pytest.raises(UserError, match="value 7") as error:
        decode_scribble(path)
    assert "bad.png" in str(error.value)


def test_foreground_strokes_are_labelled_strokes(tmp_path):
    strokes = save(tmp_path / "strokes.png", SQUARE)
    more = save(tmp_path / "more.png", np.maximum(SQUARE, SQUARE[::-1]))
    assert decode_strokes(strokes, more).tolist() == np.select(
        [SQUARE > 0, SQUARE[::-1] > 0], [1, 0], 255).tolist()
    with pytest.raises(UserError, match="does not label"):
        decode_strokes(more, strokes)
