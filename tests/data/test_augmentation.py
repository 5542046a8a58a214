"""Augmentations by name: how often each happens, how they move a sample, and that all repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data import find_pairs
from data.augmentation import CHANGES, MOVES, augment, read_steps
from data.layers import finish, squash
from data.loader import evaluation_loader, training_loader
from utils.errors import UserError
from utils.paths import ROOT

from .made import OPTIONS, SIZE, always, data_config, layers_of, options_of, same_batches

PRESET = read_steps("moves_tones_blurs")
seeds = st.integers(0, 2**62 - 1)


# --- crop and flip -------------------------------------------------------------------------------


def test_image_and_targets_move_together():
    """An image that is its own mask stays so under every crop and flip."""
    mask = np.zeros((40, 60), np.uint8)
    mask[5:20, 10:30] = 255
    image = Image.fromarray(np.repeat(mask[..., None], 3, axis=2))
    options = options_of(flip=0.5, crop=0.3, soft_mask=True, mean=[0, 0, 0], std=[1, 1, 1])
    layers = squash({"image": image, "mask": mask, "scribble": mask // 255}, 32, options)
    results = []
    for seed in range(20):
        sample = finish(augment(layers, seed, options), options)
        assert torch.equal(sample["image"][:1], sample["mask"])
        clear = (sample["mask"] == 0) | (sample["mask"] == 1)
        assert (sample["scribble"][clear] == sample["mask"][clear]).float().mean() > 0.97
        results.append(sample["mask"])
    assert len({tuple(r.flatten().tolist()) for r in results}) > 10
    assert any(r[..., :16].sum() < r[..., 16:].sum() for r in results)  # some are flipped


def ramp(size: int = 256) -> dict[str, torch.Tensor]:
    """An image whose rows go from 0 to 255, and a mask whose columns do."""
    row = torch.linspace(0, 255, size).byte().expand(1, size, size)
    return {"image": row.expand(3, -1, -1).contiguous(),
            "mask": row.transpose(1, 2).contiguous()}


def test_a_crop_keeps_at_least_its_share_of_the_area():
    """A ramp says by its ends which part of it was kept."""
    shares, lefts = [], []
    for seed in range(200):
        row = augment(ramp(), seed, replace(OPTIONS, crop=0.25))["image"][0, 0].float()
        lefts.append(row.min().item())
        shares.append(((row.max() - row.min() + 1) / 256).item() ** 2)
    assert min(shares) == pytest.approx(0.25, abs=0.03)
    assert max(shares) == pytest.approx(1, abs=0.05)
    assert np.mean(shares) == pytest.approx(0.625, abs=0.06)  # uniform in the area
    assert min(lefts) == 0 and max(lefts) > 90


@pytest.mark.parametrize("mask_resize", ["bilinear", "nearest"])
@pytest.mark.parametrize("changes, steps", [
    ({"crop": 0.5, "flip": 1.0}, "none"), ({}, [{"crop_sides": {"p": 1, "smallest": 0.5}}]),
    ({}, [{"rotate": {"p": 1, "degrees": 45}}])])
def test_labels_are_never_interpolated_and_masks_as_the_recipe_says(mask_resize, changes, steps):
    """Between background (0) and unknown (255) lies foreground (1) for any interpolation."""
    codes = torch.full((1, 32, 32), 255, dtype=torch.uint8)
    codes[:, 5:9] = 0
    layers = {"image": codes.expand(3, -1, -1), "mask": codes, "scribble": codes, "edge": codes}
    result = augment(layers, 3, replace(OPTIONS, mask_resize=mask_resize, **changes),
                     read_steps(steps))
    levels = {name: len(layer.unique()) for name, layer in result.items()}
    assert levels["scribble"] == 2 and levels["image"] > 2
    assert (levels["mask"] > 2) == (levels["edge"] > 2) == (mask_resize == "bilinear")
    assert all(layer.shape[-2:] == (32, 32) and layer.is_contiguous() for layer in result.values())


# --- steps by name -------------------------------------------------------------------------------


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_it_is_a_pure_function_of_the_seed(seed):
    steps = (*PRESET, *read_steps(["rotate", "crop_sides", "color_jitter"]))
    original = layers_of()
    first = augment(original, seed, OPTIONS, steps)
    torch.manual_seed(seed % 7)  # whatever the rest of the program draws
    np.random.seed(seed % 5)
    second = augment(layers_of(), seed, OPTIONS, steps)
    for name, layer in first.items():
        assert torch.equal(layer, second[name])
        assert torch.equal(original[name], layers_of()[name])  # not changed in place
        assert layer.dtype == torch.uint8
        assert layer.shape == original[name].shape
        assert layer.is_contiguous()


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_all_targets_move_together_and_only_move(seed):
    result = augment(layers_of(), seed, OPTIONS, PRESET)
    number = result["edge"]
    assert torch.equal(result["mask"], number * 100)
    assert torch.equal(result["scribble"], torch.where(number == 2, 255, number))
    assert torch.equal(number.unique(return_counts=True)[1],
                       layers_of()["edge"].unique(return_counts=True)[1])


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_the_image_moves_as_its_targets_do(seed):
    """A bright part of the image that is the mask stays so under all that happens."""
    mask = torch.zeros(1, 2 * SIZE, 2 * SIZE, dtype=torch.uint8)
    mask[:, 4:20, 8:40] = 255
    image = (mask // 2 + 60).expand(3, -1, -1).contiguous()
    for steps in (PRESET, read_steps([{"crop_sides": {"p": 1}}])):
        result = augment({"image": image, "mask": mask}, seed, OPTIONS, steps)
        darkest, brightest = result["image"].float().aminmax()
        brighter = result["image"] > (darkest + brightest) / 2
        assert ((result["mask"] > 0) == brighter).float().mean() > 0.9


#: What moves_tones_blurs, the former ``tracer``, made of a mask [[0, 1], [2, 3]] and an image of
#: 100s, written down from the code before augmentations had names.
DRAWN = {1: ([0, 1, 2, 3], 100), 2: ([0, 1, 2, 3], 97), 3: ([1, 3, 0, 2], 141),
         4: ([2, 3, 0, 1], 53), 5: ([1, 0, 3, 2], 100), 7: ([2, 0, 3, 1], 100),
         8: ([0, 1, 2, 3], 118), 12: ([3, 2, 1, 0], 100), 15: ([1, 3, 0, 2], 111),
         16: ([2, 3, 0, 1], 81), 19: ([0, 1, 2, 3], 120), 22: ([1, 3, 0, 2], 85)}


def test_the_preset_draws_what_it_always_drew():
    for seed, (places, level) in DRAWN.items():
        result = augment({"image": torch.full((3, 2, 2), 100, dtype=torch.uint8),
                          "mask": torch.tensor([[[0, 1], [2, 3]]], dtype=torch.uint8)}, seed,
                         OPTIONS, PRESET)
        assert result["mask"].flatten().tolist() == places, seed
        assert result["image"].unique().tolist() == [level], seed


@pytest.mark.parametrize("spec, shares", [
    ("none", {}),
    ("vertical_flip", {"vertical_flip": 0.5}),
    (["turn", {"noise": {"p": 0.2}, "contrast": None}],
     {"turn": 0.5, "noise": 0.2, "contrast": 0.5}),
    ([{"one_of": {"of": ["gamma", "turn"], "p": 0.8}}], {"gamma": 0.4, "turn": 0.4}),
    ([{"flip": {"p": 0}, "turn": {"p": 1}}], {"turn": 1}),
    ("moves_tones_blurs", {
        **dict.fromkeys(("flip", "vertical_flip", "turn", "contrast", "gamma", "brightness"), 1/6),
        **dict.fromkeys(("motion_blur", "median_blur", "gaussian_blur", "noise"), 1/8)})])
def test_each_step_happens_as_often_as_it_should(monkeypatch, spec, shares):
    calls = []
    for table in (MOVES, CHANGES):
        for name, row in table.items():
            monkeypatch.setitem(table, name, replace(row, apply=lambda x, *_, name=name, **values:
                                                     (calls.append(name), x)[1]))
    steps, draws = read_steps(spec), 2000
    for seed in range(draws):
        augment(layers_of(size=4), seed, OPTIONS, steps)
    assert set(calls) == set(shares)
    for name, share in shares.items():
        assert calls.count(name) / draws == pytest.approx(share, abs=0.03), name


def test_turns_are_by_any_multiple_of_ninety_degrees():
    turns = [torch.rot90(layers_of()["image"], quarters, (-2, -1)) for quarters in range(4)]
    counts = [0] * 4
    for seed in range(200):
        image = always("turn", layers_of(), seed)["image"]
        counts[next(number for number in range(4) if torch.equal(turns[number], image))] += 1
    assert all(30 < count < 70 for count in counts)


@pytest.mark.parametrize("name", [*MOVES, *CHANGES])
@pytest.mark.parametrize("size", [(24, 40), (40, 24)])
def test_layers_need_not_be_square(name, size):
    """All keep their height and width, whatever is drawn, and their codes; so does a crop."""
    layers = layers_of(size=size)
    for seed in range(12):
        moved = augment(layers, seed, replace(OPTIONS, crop=0.3, flip=0.5),
                        read_steps([{name: {"p": 1}}]))
        assert {key: layer.shape for key, layer in moved.items()} == \
            {key: layer.shape for key, layer in layers.items()}
        assert set(moved["scribble"].unique().tolist()) <= {0, 1, 255}


def test_a_turned_layer_that_is_no_square_is_squashed_to_its_size():
    """Columns become rows, and an image that is its own mask stays so."""
    columns = torch.zeros(1, 24, 40, dtype=torch.uint8)
    columns[..., :10] = 255
    layers = {"image": columns.expand(3, -1, -1).contiguous(), "mask": columns}
    results = [always("turn", layers, seed) for seed in range(20)]
    rows = torch.zeros(24, 40, dtype=torch.uint8)
    rows[:6] = 255  # a quarter, as before
    for wanted in (columns[0], columns[0].flip(1), rows, rows.flip(0)):
        assert any(torch.equal(moved["mask"][0] > 127, wanted > 127) for moved in results)
    assert all(torch.equal(moved["image"][:1], moved["mask"]) for moved in results)


@pytest.mark.parametrize("name, axis", [("flip", -1), ("vertical_flip", -2)])
def test_flips(name, axis):
    result = always(name, layers_of(), 5)
    for layer_name, layer in layers_of().items():
        assert torch.equal(result[layer_name], layer.flip(axis))


def test_a_rotation_turns_both_ways_and_fills_the_corners():
    mask = torch.zeros(1, 65, 65, dtype=torch.uint8)
    mask[:, 30:35] = 255  # a bar across the middle, its ends at the rims
    layers = {"image": mask.expand(3, -1, -1).contiguous(), "mask": mask,
              "scribble": torch.ones_like(mask)}
    heights = []
    for seed in range(300):
        result = always("rotate", layers, seed, degrees=20)
        rows = torch.arange(65)
        weights = result["mask"][0, :, 60].float()  # 28 pixels right of the middle
        heights.append(((rows * weights).sum() / weights.sum() - 32).item())
        assert torch.equal(result["image"][:1], result["mask"])
        assert set(result["scribble"].unique().tolist()) <= {1, 255}  # unknown comes in
    largest = 28 * np.tan(np.radians(20))
    assert max(heights) == pytest.approx(largest, abs=0.8)
    assert min(heights) == pytest.approx(-largest, abs=0.8)
    assert (result["scribble"] == 255).any() and result["scribble"][0, 32, 32] == 1


@pytest.mark.parametrize("smallest, largest", [(0.5, 0.8), (0.9, 0.9)])
def test_a_crop_draws_height_and_width_on_their_own(smallest, largest):
    """Rows of the image say how wide a crop was and where it began, columns of the mask how high.
    """
    boxes = []
    for seed in range(300):
        crop = always("crop_sides", ramp(), seed, smallest=smallest, largest=largest)
        row, column = crop["image"][0, 0].float(), crop["mask"][0, :, 0].float()
        boxes.append([*((ends[-1] - ends[0] + 1) / 256 for ends in (row, column)),
                      row[0], column[0]])
    sides, starts = np.array(boxes)[:, :2], np.array(boxes)[:, 2:]
    assert sides.min() == pytest.approx(smallest, abs=0.02)
    assert sides.max() == pytest.approx(largest, abs=0.02)
    if smallest < largest:
        assert abs(np.corrcoef(sides.T)[0, 1]) < 0.2
    assert starts.min() == 0
    assert starts.max() == pytest.approx(256 * (1 - smallest), abs=25)
    assert abs(np.corrcoef(starts.T)[0, 1]) < 0.2


def test_a_crop_to_a_side_keeps_its_pixels_and_reaches_all_places():
    starts = []
    for seed in range(200):
        crop = always("crop_to", ramp(), seed, side=250)
        row, column = crop["image"][0, 0], crop["mask"][0, :, 0]
        assert row.diff().eq(1).all() and column.diff().eq(1).all()
        assert crop["image"].shape[-2:] == crop["mask"].shape[-2:] == (250, 250)
        starts.append((int(row[0]), int(column[0])))
    assert all(set(ends) == set(range(7)) for ends in zip(*starts, strict=True))


# --- what recipes say ----------------------------------------------------------------------------


@pytest.mark.parametrize("spec, message", [
    ("rotat", "unknown augmentation 'rotat'; did you mean 'rotate'?"),
    (["flip", "xyz"], "unknown augmentation 'xyz'; known: flip, "),
    ([{"colour_jitter": {}}], "did you mean 'color_jitter'?"),
    ([{"one_of": {"of": ["flip", "spin"]}}], "unknown augmentation 'spin'"),
    ([{"rotate": {"degree": 5}}], "rotate has no option 'degree'; did you mean 'degrees'?"),
    ([{"flip": {"axis": 1}}], "flip has no option 'axis'; it has none"),
    ([{"rotate": {"degrees": 200}}], "rotate.degrees = 200: must be a number from 0 to 180"),
    ([{"rotate": {"degrees": "ten"}}], "rotate.degrees = 'ten': must be a number from 0 to 180"),
    ([{"flip": {"p": 1.5}}], "flip.p = 1.5: must be a number from 0 to 1"),
    ([{"flip": {"p": True}}], "flip.p = True"),
    ([{"one_of": {"of": []}}], "one_of takes a list of names"),
    ([{"one_of": {"of": ["flip"], "q": 1}}], "one_of takes a list of names as of"),
    ([{"one_of": {"of": ["flip", "moves_tones_blurs"]}}], "each of one augmentation, and p"),
    ([{"crop_sides": {"largest": 0.5}}], "crop_sides.smallest = 0.875 is above crop_sides.largest"),
    ([{"noise": {"smallest": 20, "largest": 5}}], "noise.smallest = 20 is above noise.largest = 5"),
    ([{"one_of": {"of": [{"flip": {"p": 0.5}}]}}], "flip has no option 'p'"),
    ([{"rotate": 10}], "rotate: options are a mapping, such as {rotate: {p: 0.5}}, not 10"),
    ([3], "3 is neither a name nor a name with options"),
    ([{"moves_tones_blurs": {"p": 1}}], "moves_tones_blurs has no option 'p'")])
def test_wrong_names_and_values_are_named_when_the_loader_is_built(made_sets, spec, message):
    pairs = find_pairs("TINY-TR", made_sets)
    with pytest.raises(UserError) as error:
        training_loader(pairs, data_config(augment=spec), batch=5, seed=0)
    assert str(error.value).startswith("data.augment: ")
    assert message in str(error.value)


def test_every_augmentation_is_documented():
    text = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    for name, row in (MOVES | CHANGES).items():
        (line,) = (line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        for option, (default, _, _) in row.options.items():
            assert f"`{option}` {default:g}" in line


def test_it_is_asked_for_by_the_recipe_and_repeats_in_loader_processes(made_sets):
    pairs = find_pairs("TINY-TR", made_sets)

    def epoch(number: int = 1, **changes) -> list[dict]:
        loader = training_loader(pairs, data_config(size=64, **changes), batch=5, seed=0)
        loader.set_epoch(number)
        return list(loader)

    steps = ["moves_tones_blurs", {"rotate": {"p": 1}}, "crop_sides", "color_jitter"]
    results = epoch(augment=steps)
    assert same_batches(results, epoch(augment=steps, workers=2))
    assert same_batches(results, epoch(augment=steps, cache="none"))
    assert not same_batches(results, epoch())
    assert not same_batches(results, epoch(2, augment=steps))
    plain, preset = (list(evaluation_loader(pairs, data_config(augment=kind), 10))
                     for kind in ("none", "moves_tones_blurs"))
    assert same_batches(plain, preset)
