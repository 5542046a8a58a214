"""Scribbles drawn out of masks."""

from __future__ import annotations

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data import decode_mask, decode_scribble, find_pairs
from data.__main__ import main as data_main
from data.sample import draw_pair
from data.scribbles import SHOWN, Pen, draw_scribble, generator, write_scribbles
from utils.errors import UserError
from utils.paths import ROOT

FOREGROUND, BACKGROUND = 1, 2
PENS = st.builds(Pen, thickness=st.integers(1, 9), length=st.floats(0.01, 1),
                 strokes=st.integers(1, 4), background_strokes=st.integers(0, 4))


@st.composite
def masks(draw) -> np.ndarray:
    """Objects of the sample, and noise at several scales: thin, holed, tiny, empty, full."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        return draw_pair(random)[1]
    height, width, scale = draw(st.integers(1, 50)), draw(st.integers(1, 50)), draw(
        st.integers(1, 12))
    coarse = random.integers(0, 256, (-(-height // scale), -(-width // scale))).astype(np.uint8)
    level = draw(st.sampled_from([-1, 10, 127, 240, 255]))
    fine = coarse.repeat(scale, axis=0).repeat(scale, axis=1)[:height, :width]
    return np.where(fine > level, draw(st.sampled_from([128, 255])), draw(
        st.sampled_from([0, 127]))).astype(np.uint8)


def draw_with(mask, pen=None, seed=0, name="a"):
    return draw_scribble(mask, generator(seed, name), pen or Pen())


def ellipse(height=120, width=160, half=(50, 20), angle=30):
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), half, angle, 0, 360, 255, -1)
    return mask


def pieces(region):
    """Connected parts of a bool map."""
    count, labels = cv2.connectedComponents(region.astype(np.uint8))
    return [labels == label for label in range(1, count)]


def thickness_of(stroke):
    """Diameter in pixels of the largest disc that fits into a bool map."""
    with_border = np.pad(stroke, 1).astype(np.uint8)
    return 2 * cv2.distanceTransform(with_border, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max() - 1


def extent_of(stroke):
    """The distance between the farthest pixels of a bool map, caps included."""
    points = np.argwhere(stroke).astype(float)
    return np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2).max()) + 1


# --- a scribble --------------------------------------------------------------------------------


@given(masks(), PENS, st.integers(0, 2**40))
@settings(max_examples=150, deadline=None)
def test_no_stroke_lies_on_the_wrong_side(mask, pen, seed):
    codes = draw_with(mask, pen, seed)
    inside = mask > 127
    assert codes.shape == mask.shape
    assert codes.dtype == np.uint8
    assert not (codes[~inside] == FOREGROUND).any()
    assert not (codes[inside] == BACKGROUND).any()
    assert (codes == FOREGROUND).any() == inside.any()
    assert (codes == BACKGROUND).any() == (pen.background_strokes > 0 and not inside.all())
    assert codes.max() <= 2


@given(masks(), PENS, st.integers(0, 2**40))
@settings(max_examples=150, deadline=None)
def test_no_stroke_is_longer_or_thicker_than_asked(mask, pen, seed):
    single = Pen(pen.thickness, pen.length, 1, 1)
    longest = max(1.0, single.length * max(mask.shape))
    codes = draw_with(mask, single, seed)
    for code in (FOREGROUND, BACKGROUND):
        if (codes == code).any():
            stroke = codes == code
            assert extent_of(stroke) <= longest + 2
            assert stroke.sum() <= (longest + 2) * single.thickness * 1.15
            assert thickness_of(stroke) <= single.thickness + 1  # a disc's pixels round up in bends


@pytest.mark.parametrize("thickness", [1, 2, 3, 4, 5, 8, 12])
def test_a_stroke_is_as_thick_and_as_long_as_asked(thickness):
    for angle in (0, 30, 45, 90):
        mask = ellipse(400, 400, (180, 40), angle)
        for length in (0.2, 0.5):
            stroke = draw_with(mask, Pen(thickness, length, 1, 0)) == FOREGROUND
            assert len(pieces(stroke)) == 1
            assert thickness - 1 <= thickness_of(stroke) <= thickness + 0.5
            assert 0.8 * length * 400 <= extent_of(stroke) <= length * 400 + 1


def test_a_foreground_stroke_keeps_to_the_medial_axis():
    mask = ellipse(200, 300, (120, 30), 0)
    for seed in range(20):
        rows, columns = np.nonzero(draw_with(mask, Pen(1, 1.0), seed) == FOREGROUND)
        assert np.abs(rows - 100).max() <= 12  # of 30 to the edge
        assert columns.max() - columns.min() > 100


def test_background_strokes_keep_away_from_the_object():
    mask = ellipse()
    away = cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, 5)
    for seed in range(20):
        assert away[draw_with(mask, seed=seed) == BACKGROUND].min() > 5


def test_round_objects_get_a_line_not_a_dot():
    mask = ellipse(half=(40, 40), angle=0)
    for seed in range(10):
        assert extent_of(draw_with(mask, seed=seed) == FOREGROUND) > 30


def test_each_object_gets_one_stroke_the_largest_first():
    mask = np.zeros((100, 200), np.uint8)
    corners = ((5, 5, 60), (5, 80, 40), (5, 130, 25), (80, 170, 3))
    for top, left, side in corners:
        mask[top:top + side, left:left + side] = 255
    for strokes in range(1, 6):
        codes = draw_with(mask, Pen(strokes=strokes))
        with_stroke = [(codes[t:t + s, c:c + s] == FOREGROUND).any() for t, c, s in corners]
        assert with_stroke == [number < strokes for number in range(4)]
        assert len(pieces(codes == FOREGROUND)) == min(strokes, 4)


def test_specks_of_a_mask_get_no_stroke():
    mask = ellipse()
    mask[2, 2] = 255
    assert draw_with(mask)[2, 2] == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 3), (5, 1)])
def test_tiny_objects_get_a_pixel(size):
    mask = np.zeros((60, 80), np.uint8)
    mask[20:20 + size[0], 30:30 + size[1]] = 255
    assert (draw_with(mask) == FOREGROUND).any()


def test_empty_and_full_masks_get_one_kind():
    assert set(np.unique(draw_with(np.full((60, 80), 127, np.uint8)))) == {0, BACKGROUND}
    assert set(np.unique(draw_with(np.full((60, 80), 128, np.uint8)))) == {0, FOREGROUND}


def test_background_strokes_are_apart_and_as_many_as_asked():
    for number in range(4):
        codes = draw_with(ellipse(), Pen(background_strokes=number, length=0.3))
        assert len(pieces(codes == BACKGROUND)) == number


@given(masks(), st.integers(0, 2**40))
@settings(max_examples=50, deadline=None)
def test_more_strokes_leave_the_first_ones_as_they_were(mask, seed):
    few, more = draw_with(mask, Pen(strokes=1, background_strokes=1), seed), draw_with(
        mask, Pen(strokes=3, background_strokes=3), seed)
    assert (more[few > 0] == few[few > 0]).all()
    front_only = draw_with(mask, Pen(strokes=3, background_strokes=0), seed)
    assert ((front_only == FOREGROUND) == (more == FOREGROUND)).all()


def test_strokes_depend_on_seed_and_name_only():
    mask = ellipse()
    first = draw_with(mask)
    assert (draw_with(mask) == first).all()
    for variant in (draw_with(mask, seed=1), draw_with(mask, name="b")):
        for code in (FOREGROUND, BACKGROUND):
            assert ((variant == code) != (first == code)).any()


@pytest.mark.parametrize("options, rule", [
    ({"thickness": 0}, "--thickness 0"), ({"thickness": 101}, "1 to 100 pixels"),
    ({"length": 0.0}, "--length 0"), ({"length": 1.5}, "--length 1.5"),
    ({"length": float("nan")}, "--length nan"), ({"strokes": 0}, "--strokes 0"),
    ({"background_strokes": -1}, "--background-strokes -1")])
def test_options_out_of_range_are_named(options, rule):
    with pytest.raises(UserError, match=rule):
        Pen(**options)


# --- a whole set -------------------------------------------------------------------------------


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_command_writes_scribbles_and_an_overview(made_sets, tmp_path, capsys):
    out = tmp_path / "new/scribbles"
    assert data_main(["scribbles", str(made_sets / "TINY-TR"), str(out)]) == 0
    assert "10 scribbles written" in capsys.readouterr().out
    pairs = find_pairs("TINY-TR", made_sets)
    assert set(contents(out)) == {f"{pair.name}.png" for pair in pairs}
    for pair in pairs:
        mask, path = decode_mask(pair.mask), out / f"{pair.name}.png"
        with Image.open(path) as file:
            assert file.mode == "L"
        scribble = decode_scribble(path)
        assert scribble.shape == mask.shape
        assert set(np.unique(scribble)) == {0, 1, 255}
        assert (mask[scribble == 1] > 127).all()
        assert (mask[scribble == 0] <= 127).all()
    with Image.open(tmp_path / "new/scribbles.png") as picture:
        assert picture.mode == "RGB"
        assert picture.height > SHOWN * 200
        red = (np.asarray(picture) == (255, 40, 40)).all(axis=2)
    assert red.any()


def test_order_and_threads_change_nothing(made_sets, tmp_path):
    pairs = find_pairs("TINY-TR", made_sets)
    write_scribbles(pairs, tmp_path / "single", Pen(), workers=1)
    write_scribbles(pairs[::-1], tmp_path / "many", Pen(), workers=7)
    write_scribbles(pairs[3:5], tmp_path / "part", Pen())
    write_scribbles(pairs, tmp_path / "other", Pen(), seed=1)
    first = contents(tmp_path / "single")
    assert contents(tmp_path / "many") == first
    assert contents(tmp_path / "part").items() < first.items()
    assert all(content != first[name] for name, content in contents(tmp_path / "other").items())


def test_options_reach_the_pen(made_sets, tmp_path):
    spec = f"{made_sets / 'TINY-TE/images'}:{made_sets / 'TINY-TE/masks'}"
    assert data_main(["scribbles", spec, str(tmp_path / "s"), "--thickness", "1", "--length", "0.3",
                      "--strokes", "1", "--background-strokes", "0", "--seed", "4"]) == 0
    for pair in find_pairs("TINY-TE", made_sets):
        expected = draw_with(decode_mask(pair.mask), Pen(1, 0.3, 1, 0), 4, pair.name)
        table = np.array([255, 1, 0], np.uint8)
        assert (decode_scribble(tmp_path / f"s/{pair.name}.png") == table[expected]).all()


@pytest.mark.parametrize("option", [("--seed", "-1"), ("--thickness", "0"), ("--length", "2"),
                                    ("--strokes", "0"), ("--background-strokes", "-2")])
def test_wrong_options_write_nothing(made_sets, tmp_path, capsys, option):
    assert data_main(["scribbles", str(made_sets / "TINY-TE"), str(tmp_path / "s"), *option]) == 2
    assert " ".join(option) in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_files_in_the_way_are_kept_without_overwrite(sets, tmp_path, capsys):
    command = ["scribbles", str(sets / "TINY-TE"), str(tmp_path / "s")]
    (tmp_path / "s").mkdir()
    assert data_main(command) == 0  # an empty folder is free
    before = contents(tmp_path / "s")
    assert data_main([*command, "--seed", "1"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert contents(tmp_path / "s") == before
    (tmp_path / "s/mine.txt").write_text("kept")
    assert data_main([*command, "--seed", "1", "--overwrite"]) == 0
    assert "1 other file in" in capsys.readouterr().out
    after = contents(tmp_path / "s")
    assert after.pop("mine.txt") == b"kept"
    assert after.keys() == before.keys()
    assert after != before


def test_scribbles_in_subfolders_and_hidden_files_are_no_other_files(sets, tmp_path, capsys):
    out = tmp_path / "s"
    for part in ("images", "masks"):
        (sets / "TINY-TE" / part).rename(sets / part)
        (sets / "TINY-TE" / part).mkdir()
        (sets / part).rename(sets / "TINY-TE" / part / "inner")
    out.mkdir()
    (out / ".DS_Store").write_bytes(b"x")
    assert data_main(["scribbles", str(sets / "TINY-TE"), str(out), "data.recursive=true",
                      "--overwrite"]) == 0
    assert "4 scribbles written" in (printed := capsys.readouterr().out)
    assert "other file" not in printed
    assert (out / "inner/00.png").is_file()


def test_files_that_are_no_scribbles_are_never_replaced(sets, tmp_path, capsys):
    out = tmp_path / "scribbles"
    shutil.copytree(sets / "TINY-TE/masks", out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert data_main(["scribbles", str(sets / "TINY-TE"), str(out), "--overwrite"]) == 2
    assert "are no scribbles" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_an_unrelated_picture_is_kept_without_overwrite(made_sets, tmp_path):
    (tmp_path / "s.png").write_bytes(b"mine")
    assert data_main(["scribbles", str(made_sets / "TINY-TE"), str(tmp_path / "s")]) == 2
    assert (tmp_path / "s.png").read_bytes() == b"mine"
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("out", ["masks", "images", "masks/scribbles"])
def test_masks_and_images_are_never_overwritten(sets, capsys, out):
    folder = sets / "TINY-TE"
    before = contents(folder / "masks"), contents(folder / "images")
    assert data_main(["scribbles", str(folder), str(folder / out), "--overwrite"]) == 2
    assert "masks of the set" in capsys.readouterr().err
    assert (contents(folder / "masks"), contents(folder / "images")) == before


def test_a_file_in_place_of_the_folder_is_named(made_sets, tmp_path, capsys):
    (tmp_path / "s").write_text("x")
    assert data_main(["scribbles", str(made_sets / "TINY-TE"), str(tmp_path / "s"),
                      "--overwrite"]) == 2
    assert "is a file" in capsys.readouterr().err


def test_all_bad_files_are_listed_and_nothing_is_written(sets, tmp_path, capsys):
    folder = sets / "TINY-TR"
    (folder / "masks/00.png").write_bytes(b"")
    (folder / "masks/03.png").write_bytes(b"no image")
    Image.new("L", (3, 5)).save(folder / "masks/04.png")
    assert data_main(["scribbles", str(folder), str(tmp_path / "out/s")]) == 2
    message = capsys.readouterr().err
    for part in ("3 in all", "00.png: empty file", "03.png: cannot", "04.png is 3×5"):
        assert part in message, message
    assert not (tmp_path / "out").exists()


def test_empty_and_full_masks_are_named(sets, tmp_path, capsys):
    folder = sets / "TINY-TE"
    for name, value in (("01", 0), ("02", 255)):
        with Image.open(folder / f"masks/{name}.png") as mask:
            size = mask.size
        Image.new("L", size, value).save(folder / f"masks/{name}.png")
    assert data_main(["scribbles", str(folder), str(tmp_path / "s")]) == 0
    out = capsys.readouterr().out
    assert "note: 1 empty mask, background strokes only: 01" in out
    assert "note: 1 full mask, foreground strokes only: 02" in out
    assert set(np.unique(decode_scribble(tmp_path / "s/01.png"))) == {0, 255}
    assert set(np.unique(decode_scribble(tmp_path / "s/02.png"))) == {1, 255}


def test_a_scribble_stands_upright_as_its_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    lying = ellipse()
    Image.fromarray(lying).convert("RGB").save(tmp_path / "images/a.jpg", exif=exif)
    Image.fromarray(lying).save(tmp_path / "masks/a.png")
    assert data_main(["scribbles", str(tmp_path), str(tmp_path / "s")]) == 0
    scribble = decode_scribble(tmp_path / "s/a.png")
    upright = np.rot90(lying, -1)
    assert scribble.shape == upright.shape
    assert (upright[scribble == 1] > 127).all()


def test_scoring_starts_without_scikit_image_and_drawing_without_torch():
    program = ("import sys, data.__main__; assert 'skimage' not in sys.modules; "
               "import data.scribbles; assert 'torch' not in sys.modules")
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
