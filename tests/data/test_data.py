"""Finding, pairing and decoding data."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from data import decode_image, decode_mask, decode_scribble, find_pairs, pair_folders, require_sound
from data.__main__ import main as data_main
from data.catalog import CATALOG, locate, lookup
from data.pairing import list_images
from data.sample import centre_prior, draw_pair, write_sample
from utils.errors import UserError
from utils.maps import UnreadableError

SQUARE = np.zeros((6, 8), np.uint8)
SQUARE[1:4, 2:7] = 255


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array)).save(path, **options)
    return path


# --- decoding ----------------------------------------------------------------------------------

COLOUR = np.zeros((6, 8, 3), np.uint8)
COLOUR[..., 0], COLOUR[:3, :, 1], COLOUR[:, 4:, 2] = 200, 120, 60


def palette_of(rgb):
    return Image.fromarray(rgb).quantize(16)


@pytest.mark.parametrize("name, image", [
    ("rgb.png", Image.fromarray(COLOUR)),
    ("palette.png", palette_of(COLOUR)),
    ("rgba.png", Image.fromarray(COLOUR).convert("RGBA")),
    ("cmyk.tif", Image.fromarray(COLOUR).convert("CMYK"))])
def test_colour_files_decode_to_the_same_rgb(tmp_path, name, image):
    image.save(tmp_path / name)
    decoded = decode_image(tmp_path / name)
    assert decoded.mode == "RGB"
    assert np.abs(np.asarray(decoded).astype(int) - COLOUR).max() <= 1


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
    decoded = np.asarray(decode_image(path))
    assert np.abs(decoded[..., 0] - ramp / 257).max() <= 0.5
    assert np.abs(decode_mask(path) - ramp / 257).max() <= 0.5


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
    mask = decode_mask(tmp_path / name)
    assert mask.dtype == np.uint8
    assert (mask == SQUARE).all()


@pytest.mark.parametrize("colour", [(255, 255, 255), (128, 0, 0), (1, 1, 1), (0, 255, 0)])
def test_palette_masks(tmp_path, colour):
    image = Image.fromarray(SQUARE // 255).convert("P")
    image.putpalette([0, 0, 0, *colour])
    image.save(tmp_path / "palette.png")
    assert (decode_mask(tmp_path / "palette.png") == SQUARE).all()


def test_grey_mask_values_are_kept(tmp_path):
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    assert (decode_mask(save(tmp_path / "grey.png", grey)) == grey).all()


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_turns_image_and_mask_together(tmp_path, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    lying = np.repeat(SQUARE[..., None], 3, axis=2)
    image_path = save(tmp_path / "photo.png", lying, exif=exif)
    mask_path = save(tmp_path / "mask.png", SQUARE)
    image = decode_image(image_path)
    mask = decode_mask(mask_path, image_path)
    assert (np.asarray(image)[..., 0] == mask).all()
    assert mask.shape == ((6, 8) if turn < 5 else (8, 6))


def test_a_mask_drawn_on_the_upright_image_is_left_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image_path = save(tmp_path / "photo.jpg", np.zeros((6, 8, 3), np.uint8), exif=exif)
    upright = np.ascontiguousarray(np.rot90(SQUARE, -1))
    mask_path = save(tmp_path / "mask.png", upright)
    assert (decode_mask(mask_path, image_path) == upright).all()


@pytest.mark.parametrize("content, said", [
    (b"", "empty file"), (b"not an image", "not an image"), (None, "no such file")])
def test_unreadable_files_are_named(tmp_path, content, said):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    for decode in (decode_image, decode_mask, decode_scribble):
        with pytest.raises(UnreadableError, match=said) as error:
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


# --- pairing -----------------------------------------------------------------------------------


def test_pairs_are_matched_by_stem_not_by_order(tmp_path):
    for stem in ("b", "a", "c"):
        save(tmp_path / f"images/{stem}.jpg", COLOUR)
        save(tmp_path / f"masks/{stem}.png", SQUARE)
    (tmp_path / "images/.hidden.jpg").write_bytes(b"x")
    (tmp_path / "images/Thumbs.db").write_bytes(b"x")
    pairs = pair_folders(tmp_path / "images", tmp_path / "masks")
    assert [p.name for p in pairs] == ["a", "b", "c"]
    assert all(p.image.stem == p.mask.stem for p in pairs)


def test_missing_partners_and_equal_stems_are_listed(tmp_path):
    save(tmp_path / "images/a.jpg", COLOUR)
    save(tmp_path / "images/a.png", COLOUR)
    save(tmp_path / "images/lonely.jpg", COLOUR)
    save(tmp_path / "masks/a.png", SQUARE)
    save(tmp_path / "masks/stray.png", SQUARE)
    with pytest.raises(UserError) as error:
        pair_folders(tmp_path / "images", tmp_path / "masks")
    for part in ("same stem", "lonely.jpg", "stray.png", "3 in all"):
        assert part in str(error.value)


def test_long_lists_show_twenty_and_the_total(tmp_path):
    for number in range(33):
        save(tmp_path / f"images/{number:02d}.jpg", COLOUR)
    (tmp_path / "masks").mkdir()
    with pytest.raises(UserError) as error:
        pair_folders(tmp_path / "images", tmp_path / "masks")
    assert str(error.value).count("no mask for") == 20
    assert "33 in all" in str(error.value)
    assert "13 more" in str(error.value)


def test_all_bad_files_are_found_before_training(sets):
    folder = sets / "TINY-TR"
    (folder / "masks/00.png").write_bytes(b"")
    for path in (folder / "images/01.jpg", folder / "masks/02.png"):
        path.write_bytes(path.read_bytes()[:-200])
    save(folder / "masks/03.png", SQUARE)
    with pytest.raises(UserError) as error:
        require_sound(find_pairs("TINY-TR", sets), "TINY-TR")
    message = str(error.value)
    assert "4 in all" in message
    for part in ("00.png: empty", "01.jpg: cannot be decoded", "02.png: cannot be decoded",
                 "03.png is 8×6"):
        assert part in message, message


# --- catalog -----------------------------------------------------------------------------------


def test_counts_of_the_published_sets():
    expected = {"DUTS-TR": 10553, "DUTS-TE": 5019, "ECSSD": 1000, "PASCAL-S": 850, "HKU-IS": 4447,
                "DUT-OMRON": 5168, "THUR15K": 6232, "SOD": 300}
    assert {name: CATALOG[name].pairs for name in expected} == expected


@pytest.mark.parametrize("name, images, masks", [
    ("DUTS-TR", "DUTS-TR/DUTS-TR-Image/x.jpg", "DUTS-TR/DUTS-TR-Mask/x.png"),
    ("DUTS-TE", "DUTS/DUTS-TE/DUTS-TE-Image/x.jpg", "DUTS/DUTS-TE/DUTS-TE-Mask/x.png"),
    ("DUTS-TR", "DUTS/Train/images/x.jpg", "DUTS/Train/masks/x.png"),
    ("ECSSD", "ECSSD/images/x.jpg", "ECSSD/ground_truth_mask/x.png"),
    ("ECSSD", "ecssd/Image/x.jpg", "ecssd/GT/x.png"),
    ("ECSSD", "ECSSD/Test/images/x.jpg", "ECSSD/Test/masks/x.png"),
    ("PASCAL-S", "PASCAL/images/x.jpg", "PASCAL/gts/x.png"),
    ("PASCAL-S", "PASCAL-S/datasets/imgs/pascal/x.jpg", "PASCAL-S/datasets/masks/pascal/x.png"),
    ("HKU-IS", "HKUIS/imgs/x.png", "HKUIS/gt/x.png"),
    ("DUT-OMRON", "DUT-OMRON-image/x.jpg", "pixelwiseGT-new-PNG/x.png"),
    ("DUT-OMRON", "DUT-O/images/x.jpg", "DUT-O/masks/x.png"),
    ("SOD", "SOD/Imgs/x.jpg", "SOD/Imgs/x.png")])
def test_layouts_are_recognised(tmp_path, name, images, masks):
    save(tmp_path / images, COLOUR)
    save(tmp_path / masks, SQUARE)
    (pair,) = find_pairs(name, tmp_path)
    assert (pair.image, pair.mask) == (tmp_path / images, tmp_path / masks)


def test_one_folder_with_train_and_test_lists(tmp_path):
    for stem in ("one", "two", "three"):
        save(tmp_path / f"DUTS/image/{stem}.jpg", COLOUR)
        save(tmp_path / f"DUTS/mask/{stem}.png", SQUARE)
    (tmp_path / "DUTS/train.txt").write_text("one\ntwo\n")
    (tmp_path / "DUTS/test.txt").write_text("\ufeffimage\\three.jpg mask\\three.png\r\n",
                                            encoding="utf-8")
    assert [p.name for p in find_pairs("DUTS-TR", tmp_path)] == ["one", "two"]
    assert [p.name for p in find_pairs("DUTS-TE", tmp_path)] == ["three"]
    (tmp_path / "DUTS/train.txt").write_text("one\nfour\n")
    with pytest.raises(UserError, match="not found: four"):
        find_pairs("DUTS-TR", tmp_path)


def test_thur_leaves_out_images_that_were_never_masked(tmp_path):
    for kind in ("Butterfly", "Giraffe"):
        save(tmp_path / f"THUR15000/{kind}/Src/{kind}1.jpg", COLOUR)
        save(tmp_path / f"THUR15000/{kind}/Src/{kind}1.png", SQUARE)
        save(tmp_path / f"THUR15000/{kind}/Src/{kind}2.jpg", COLOUR)
        save(tmp_path / f"THUR15000/{kind}/Sketch.jpg", COLOUR)
    assert [p.name for p in find_pairs("THUR15K", tmp_path)] == ["Butterfly1", "Giraffe1"]


def test_known_bad_items_are_explained(tmp_path):
    stem = "n01532829_13482"
    save(tmp_path / f"DUTS-TR/DUTS-TR-Image/{stem}.jpg", COLOUR)
    for suffix in ("png", "jpg"):
        save(tmp_path / f"DUTS-TR/DUTS-TR-Mask/{stem}.{suffix}", SQUARE)
    with pytest.raises(UserError, match="delete the"):
        find_pairs("DUTS-TR", tmp_path)


def test_custom_sets_and_unknown_names(sets, tmp_path):
    assert len(find_pairs("TINY-TE", sets)) == 4
    spec = f"{sets / 'TINY-TE/images'}:{sets / 'TINY-TE/masks'}"
    assert len(find_pairs(spec, tmp_path)) == 4
    assert locate(spec, tmp_path).name == "TINY-TE"
    with pytest.raises(UserError, match="did you mean 'ECSSD'"):
        find_pairs("ECSD", sets)
    with pytest.raises(UserError, match=r"folder not found: .*TINY-TE/gts"):
        find_pairs(f"{sets / 'TINY-TE/images'}:{sets / 'TINY-TE/gts'}", sets)
    with pytest.raises(UserError, match="'' not found"):
        find_pairs("", sets)
    with pytest.raises(UserError, match="ECSSD not found under"):
        find_pairs("ECSSD", sets)
    (sets / "TINY-TE/gt").mkdir()
    with pytest.raises(UserError, match="several folders"):
        find_pairs("TINY-TE", sets)


def test_names_are_compared_without_case_and_punctuation():
    assert lookup("duts_te") is lookup("DUTS-TEST") is CATALOG["DUTS-TE"]
    assert lookup("something") is None


def test_real_sets_pair_up(shared):
    root = shared / "data/mini"
    for name, count in (("DUTS-TR", 24), ("ECSSD", 16)):
        pairs = find_pairs(name, root)
        assert len(pairs) == count
        require_sound(pairs, name)
    assert "10553" in locate("DUTS-TR", root).count_note


# --- the doctor and the sample -----------------------------------------------------------------


def test_the_doctor_passes_a_sound_set(made_sets, capsys):
    assert data_main(["check", str(made_sets)]) == 0
    out = capsys.readouterr().out
    assert "TINY-TR" in out
    assert "10 binary" in out
    assert data_main(["check", str(made_sets / "TINY-TE")]) == 0


@pytest.mark.parametrize("damage, said", [
    (lambda s: (s / "TINY-TE/masks/00.png").unlink(), "no mask for"),
    (lambda s: (s / "TINY-TE/images/00.jpg").write_bytes(b"x"), "not an image"),
    (lambda s: save(s / "TINY-TE/masks/00.png", SQUARE), "sizes differ"),
    (lambda s: save(s / "TINY-TE/masks/00.png", np.zeros_like(decode_mask(
        s / "TINY-TE/masks/00.png"))), "empty mask")])
def test_the_doctor_finds_what_is_wrong(sets, capsys, damage, said):
    damage(sets)
    assert data_main(["check", str(sets)]) == 1
    assert said in capsys.readouterr().out


def test_the_doctor_counts_against_the_catalog(tmp_path, capsys):
    save(tmp_path / "ECSSD/images/0001.jpg", COLOUR)
    save(tmp_path / "ECSSD/ground_truth_mask/0001.png", SQUARE)
    assert data_main(["check", str(tmp_path)]) == 1
    assert "the published set has 1000" in capsys.readouterr().out


def test_the_doctor_reports_a_set_that_it_does_not_understand(tmp_path, capsys):
    save(tmp_path / "ECSSD/images/0001.jpg", COLOUR)
    save(tmp_path / "ECSSD/maskz/0001.png", SQUARE)
    save(tmp_path / "GOOD/images/a.jpg", COLOUR)
    save(tmp_path / "GOOD/masks/a.png", SQUARE)
    assert data_main(["check", str(tmp_path)]) == 1
    assert "no image folder" in capsys.readouterr().out.replace("\n", " ")


def test_the_doctor_examines_one_published_set(shared, capsys):
    assert data_main(["check", str(shared / "data/mini/ECSSD")]) == 1  # 16 of 1000
    assert "16 of 1000" in capsys.readouterr().out


def test_the_doctor_needs_something_to_examine(tmp_path, capsys):
    assert data_main(["check", str(tmp_path / "nowhere")]) == 2
    assert data_main(["check", str(tmp_path)]) == 2
    assert "no data set in" in capsys.readouterr().err


def test_the_sample_is_what_the_catalog_says(tmp_path):
    write_sample(tmp_path)
    for name in ("SAMPLE-TR", "SAMPLE-TE"):
        assert len(find_pairs(name, tmp_path)) == CATALOG[name].pairs
    assert {p.name for p in list_images(tmp_path / "SAMPLE-TE/masks")}


def test_the_sample_is_a_function_of_its_seed():
    one, same, other = (draw_pair(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert one[0].shape != other[0].shape or (one[0] != other[0]).any()
    assert set(np.unique(one[1])) == {0, 255}


def test_the_centre_prior_is_brightest_in_the_middle():
    prior = centre_prior(31, 21)
    assert prior[15, 10] == 255
    assert prior[0, 0] < 40
    assert (prior == prior[::-1, ::-1]).all()
