"""Masks whose sizes are nearly their images', and inputs that are no squares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import data.soundness
import engine.predictor
import eval as eval_script
import test as test_script
from data import decode_mask
from data.decode import decode_image, upright_size
from data.map_sizes import with_map_sizes
from data.pairing import Pair
from data.sizes import nearly, turned
from data.soundness import file_problems
from tests.small_runs import train

from .made import save

#: (height, width) of image and mask, of the 77 that are known of NC4K (lartpang's list of 2021, in
#: issue 2 of JingZhang617/COD-Rank-Localize-and-Segment).
NC4K = [((370, 700), (370, 702)), ((553, 369), (555, 371)), ((576, 1024), (577, 1024)),
        ((600, 900), (604, 904)), ((375, 500), (378, 502)), ((640, 640), (641, 643)),
        ((750, 750), (681, 688)), ((520, 342), (520, 346)), ((300, 400), (300, 403)),
        ((400, 400), (403, 405)), ((911, 796), (915, 798)), ((619, 560), (620, 562))]
sides = st.integers(1, 2000)
both_sides = st.tuples(sides, sides)


def test_nearly_is_what_nc4k_needs_and_no_more():
    assert all(nearly(image, mask) for image, mask in NC4K)
    assert nearly((42, 58), (43, 60)), "small pictures may differ by as many pixels"
    for image, mask in (((300, 400), (400, 300)), ((300, 400), (600, 800)),
                        ((300, 400), (300, 440)),
                        ((300, 400), (267, 400)), ((300, 400), (352, 352)), ((8, 6), (8, 7)),
                        ((41, 40), (40, 41)), ((300, 400), (403, 300))):
        assert not nearly(image, mask), (image, mask)


@given(both_sides, both_sides)
def test_no_size_is_nearly_and_turned(size, other):
    assert nearly(size, size)
    assert not (nearly(size, other) and turned(size, other))
    assert turned(size, other) == turned(other, size)
    assert turned(size, size[::-1]) == (size[0] != size[1])


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_mask_that_nearly_fits_is_turned_as_its_image_is(tmp_path, turn):
    """The headers tell the size that decoding gives, and only what stands already is not turned."""
    image = save(tmp_path / "a.png", np.zeros((60, 90, 3), np.uint8), turn)
    tall = turn >= 5
    for shape in ((60, 90), (62, 89), (90, 60), (89, 62), (60, 60)):
        mask = save(tmp_path / "b.png", np.zeros(shape, np.uint8))
        size = upright_size(mask, image)[::-1]
        assert size == decode_mask(mask, image).shape
        lies = shape[0] < shape[1]
        assert size == (shape[::-1] if tall and lies else shape)


def test_a_mask_that_nearly_fits_both_ways_is_turned_with_its_image(tmp_path):
    image = save(tmp_path / "a.png", np.zeros((199, 200, 3), np.uint8), 6)
    values = np.zeros((199, 201), np.uint8)
    values[:50] = 255
    mask = decode_mask(save(tmp_path / "b.png", values), image)
    assert mask.shape == (201, 199)
    assert (mask[:, -50:] == 255).all()  # what was on top is on the right
    assert not mask[:, :-50].any()


@pytest.fixture
def bent_sets(sets) -> Path:
    """TINY-TE with masks of other sizes: 1 and 2 pixels, and none that fits for the fourth."""
    for name, grown in (("01", (1, 0)), ("02", (-2, 2))):
        path = sets / f"TINY-TE/masks/{name}.png"
        with Image.open(path) as mask:
            mask.resize((mask.width + grown[0], mask.height + grown[1])).save(path)
    return sets


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as file:
        return file.size


def predict(runs: Path, sets: Path, out: Path, *words: str) -> int:
    return test_script.main(["--checkpoint", str(runs / "trial/last.pt"), "--gpu", "cpu", "--data",
                             "TINY-TE", "--out", str(out), f"data.root={sets}", *words])


def test_maps_get_the_sizes_of_masks_that_nearly_fit(bent_sets, runs, tmp_path, capsys):
    assert train(bent_sets, "train.epochs=1", "val.data=[TINY-TE]") == 0
    heard = capsys.readouterr()
    assert "validation at step 3: MAE" in heard.out
    assert "note: validation data: 2 masks differ from their images by a few pixels" in heard.err
    assert predict(runs, bent_sets, tmp_path / "out", "--show") == 0
    assert ("note: TINY-TE: 2 masks differ from their images by a few pixels; maps are written at "
            "the masks' sizes (2 at most: ") in (heard := capsys.readouterr()).err
    assert "cannot be used" not in heard.err
    for number in range(4):
        assert size_of(tmp_path / f"out/trial/TINY-TE/{number:02d}.png") == \
            size_of(bent_sets / f"TINY-TE/masks/{number:02d}.png")
    words = ["--gpu", "cpu", "--pred", str(tmp_path / "out"), "--data", "TINY-TE", "--root",
             str(bent_sets), "--json", str(tmp_path / "rows.json")]
    assert eval_script.main(words) == 0
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert row["images"] == 4
    # Those of the published maps that have their images' sizes are refused with the way out.
    path = tmp_path / "out/trial/TINY-TE/02.png"
    with Image.open(path) as file:
        file.resize(size_of(bent_sets / "TINY-TE/images/02.jpg")).save(path)
    assert eval_script.main(words) != 0
    assert "--resize brings it to the mask's size" in capsys.readouterr().err


def test_a_mask_that_lies_on_its_side_is_no_mask_of_its_image(sets, runs, tmp_path, capsys):
    """Training refuses it, test.py names it, eval.py refuses the map even with --resize."""
    mask = sets / "TINY-TE/masks/03.png"
    with Image.open(mask) as file:
        file.rotate(90, expand=True).save(mask)
    assert train(sets, "data.train=[TINY-TE]", "train.epochs=1") == 2
    assert "sizes differ" in capsys.readouterr().err
    assert train(sets, "train.epochs=1") == 0
    assert predict(runs, sets, tmp_path / "out") == 0
    assert "1 mask cannot be used with its image" in (heard := capsys.readouterr().err)
    assert str(mask) in heard
    assert "turn those that lie on their side" in heard and "--resize" not in heard
    assert size_of(tmp_path / "out/trial/TINY-TE/03.png") == \
        size_of(sets / "TINY-TE/images/03.jpg")
    assert eval_script.main(["--gpu", "cpu", "--pred", str(tmp_path / "out"), "--data", "TINY-TE",
                             "--root", str(sets), "--resize"]) != 0
    wide = "{}×{}".format(*size_of(sets / "TINY-TE/images/03.jpg"))
    assert f"03.png is {wide}, its mask " in (heard := capsys.readouterr().err)
    assert "it lies on its side; turn it, or its mask" in heard


def test_training_takes_masks_that_nearly_fit(sets, runs, capsys):
    path = sets / "TINY-TR/masks/05.png"
    with Image.open(path) as mask:
        mask.resize((mask.width + 3, mask.height)).save(path)
    assert train(sets, "train.epochs=1", "data.edges=mask") == 0
    assert ("note: training data: 1 mask differs from its image by a few pixels; both are "
            f"squashed to the input size (3 at most: {path})") in capsys.readouterr().err


def test_unreadable_masks_do_not_stop_a_prediction_and_are_named(tmp_path, capsys):
    image = save(tmp_path / "a.png", np.zeros((20, 30, 3), np.uint8))
    mask = save(tmp_path / "m.png", np.zeros((20, 31), np.uint8))
    mask_2 = tmp_path / "broken.png"
    mask_2.write_bytes(b"no image")
    pairs = [Pair("a", image, mask), Pair("b", image, mask_2), Pair("c", image)]
    assert [pair.size for pair in with_map_sizes(pairs, "set")] == [(20, 31), None, None]
    heard = capsys.readouterr().err
    assert "1 mask differs" in heard
    assert "broken.png: cannot be decoded" in heard


def test_a_wide_input_trains_predicts_and_resumes(made_sets, runs, tmp_path, capsys, monkeypatch):
    words = ["data.size=[32,64]", "data.scales=[1,2]", "data.crop=0.5", "val.data=[TINY-TE]",
             "data.augment=[turn,rotate,crop_sides,noise]"]
    assert train(made_sets, *words) == 0
    assert "one image of 64×32" in capsys.readouterr().out
    shapes = []

    def forward(network, batch, precision, **named):
        shapes.append(tuple(batch["image"].shape[-2:]))
        return network_forward(network, batch, precision, **named)

    network_forward = engine.predictor.forward
    monkeypatch.setattr(engine.predictor, "forward", forward)
    assert predict(runs, made_sets, tmp_path / "out") == 0
    for number in range(4):
        assert size_of(tmp_path / f"out/trial/TINY-TE/{number:02d}.png") == \
            size_of(made_sets / f"TINY-TE/images/{number:02d}.jpg")
    assert predict(runs, made_sets, tmp_path / "out", "data.size=64") == 0
    assert shapes == [(32, 64), (64, 64)]
    assert train(made_sets, *words, "train.epochs=3", "--resume") == 0
    assert "done: 9 steps" in capsys.readouterr().out


def test_large_files_are_checked_one_after_another(tmp_path, monkeypatch):
    """Their decoding holds a lock, which that of small files does not."""
    held = []

    def decode(path, least):
        held.append(data.soundness._ALONE.locked())
        return decode_image(path, least)

    monkeypatch.setattr(data.soundness, "decode_image", decode)
    pair = Pair("a", save(tmp_path / "a.png", np.zeros((20, 30, 3), np.uint8)))
    file_problems(pair)
    monkeypatch.setattr(data.soundness, "_LARGE", 0)
    file_problems(pair)
    assert held == [False, True]
