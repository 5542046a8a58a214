"""The table of layers: what each becomes, and that a new one is a row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from data import find_pairs
from data.layers import LAYERS, Layer, decode_pair, finish, squash
from data.loader import evaluation_loader, training_loader
from data.pairing import Pair
from data.weak import find_scribbles
from utils.errors import UserError

from .made import SQUARE, data_config, options_of, same_batches, save


def test_soft_masks_keep_greys_and_equal_pillows_bilinear(made_sets):
    pair = find_pairs("TINY-TR", made_sets)[0]
    mask = np.array(Image.open(pair.mask))
    layers = {"image": Image.open(pair.image).convert("RGB"), "mask": mask}
    soft, hard = (finish(squash(layers, 32, options), options)["mask"]
                  for options in (options_of(soft_mask=True), options_of()))
    expected = np.array(Image.fromarray(mask).resize((32, 32), Image.Resampling.BILINEAR)) / 255
    assert np.allclose(soft[0].numpy(), expected, atol=1e-6)
    assert ((soft > 0) & (soft < 1)).any()
    assert torch.equal(hard, (soft > 0.5).float())


def test_hard_masks_are_cut_at_one_half_before_the_resize_and_after():
    mask = np.array([[127, 128], [0, 200]], np.uint8)
    layers = squash({"image": Image.new("RGB", (2, 2)), "mask": mask}, 2, options_of())
    assert layers["mask"].tolist() == [[[0, 255], [0, 255]]]
    greys = torch.tensor([127, 128], dtype=torch.uint8)
    assert LAYERS["mask"].finish(greys, options_of()).tolist() == [0, 1]
    assert LAYERS["edge"].finish(greys, options_of()).tolist() == pytest.approx(
        [127 / 255, 128 / 255])


def test_soft_masks_may_be_divided_by_their_own_maxima():
    masks = torch.tensor([[0, 50], [100, 200], [0, 0]], dtype=torch.uint8).view(3, 1, 1, 2)
    for soft, expected in ((True, [[0, 1], [0.5, 1], [0, 0]]), (False, [[0, 0], [0, 1], [0, 0]])):
        options = options_of(soft_mask=soft, scale="own_max")
        assert LAYERS["mask"].finish(masks, options).view(3, 2).tolist() == expected


def test_a_pixel_is_void_where_any_part_of_it_is():
    void = np.zeros((4, 4), np.uint8)
    void[0, 0] = 255
    layers = squash({"image": Image.new("RGB", (4, 4)), "void": void}, 2, options_of())
    assert 0 < layers["void"][0, 0, 0] < 128
    assert finish(layers, options_of())["void"].tolist() == [[[True, False], [False, False]]]


def test_images_equal_pillows_resize_and_imagenet_normalisation(made_sets):
    image = Image.open(find_pairs("TINY-TR", made_sets)[0].image).convert("RGB")
    sample = finish(squash({"image": image}, 32, options_of()), options_of())["image"]
    pixels = np.array(image.resize((32, 32), Image.Resampling.BILINEAR)) / 255
    expected = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.allclose(sample.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_what_is_no_layer_stays_and_scribbles_bring_gray():
    batch = {"image": torch.full((1, 3, 2, 2), 255, dtype=torch.uint8), "name": ["a"],
             "scribble": torch.tensor([[[[0, 1], [255, 0]]]], dtype=torch.uint8)}
    sample = finish(batch, options_of())
    assert list(sample) == ["image", "name", "scribble", "gray"]
    assert sample["name"] == ["a"]
    assert sample["scribble"].dtype == torch.int64
    assert sample["scribble"].flatten().tolist() == [0, 1, 255, 0]
    assert sample["gray"].flatten().tolist() == [1, 1, 1, 1]
    assert "gray" not in finish({"image": batch["image"]}, options_of())


def test_a_layer_of_another_size_than_its_image_is_named(tmp_path):
    pair = Pair("a", save(tmp_path / "a.jpg", np.zeros((6, 8, 3), np.uint8)),
                save(tmp_path / "a.png", SQUARE[:, 1:]))
    with pytest.raises(UserError, match=r"sizes differ: .*a\.jpg is 8×6, .*a\.png is 7×6"):
        decode_pair(pair, ["image", "mask"], options_of())


# --- a new layer is a row ----------------------------------------------------------------------


def inside_out(pair, layers, options) -> np.ndarray:
    return 255 - layers["mask"]


@pytest.fixture
def inverse(monkeypatch) -> None:
    """A layer that is made of the mask, which it always adds up to 255 with."""
    monkeypatch.setitem(LAYERS, "inverse", Layer(inside_out, made_of=("mask",)))


OPTIONS = {"soft_mask": True, "mask_resize": "nearest", "crop": 0.5, "flip": 0.5, "size": 64,
           "augment": ["turn", {"crop_sides": {"p": 1}}, "color_jitter"], "scales": [0.5, 1]}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_new_layer_is_one_row_of_the_table(made_sets, tmp_path, inverse, workers):
    pairs = find_pairs("TINY-TR", made_sets)
    epochs = []
    for cache in ("none", "memory", str(tmp_path / "kept"), str(tmp_path / "kept")):
        loader = training_loader(pairs, data_config(cache=cache, workers=workers, **OPTIONS),
                                 batch=3, seed=2, targets=["mask", "inverse"])
        loader.data.require_layers(["mask", "inverse"])
        loader.data.require_sound("pairs")
        assert cache == "none" or all(map(loader.data._cache.holds, range(len(pairs))))
        epochs.append(list(loader))
    for batch in epochs[0]:
        assert batch["inverse"].dtype == torch.float32
        assert batch["inverse"].shape == batch["mask"].shape
        assert torch.allclose(batch["mask"] + batch["inverse"], torch.ones(()))
    assert all(same_batches(epochs[0], epoch) for epoch in epochs[1:])
    means = torch.cat([batch["inverse"].mean().view(1) for batch in epochs[0]])
    assert means.min() > 0 and means.max() < 1  # both sides are there


def test_a_made_layer_is_there_for_losses_that_learn_from_it(made_sets, inverse, capsys):
    pairs = find_pairs("TINY-TR", made_sets)
    for targets, names in (((), ["image", "mask"]), (("mask",), ["image", "mask"]),
                           (("inverse",), ["image", "mask", "inverse"])):
        for loader in (training_loader(pairs, data_config(), 5, 0, targets=targets),
                       evaluation_loader(pairs, data_config(), 5, targets=targets)):
            assert loader.data.names == names
            assert [name for name in next(iter(loader)) if name in LAYERS] == names
    loader.data.require_layers(["mask", "inverse"])
    photos = [Pair(pair.name, pair.image) for pair in pairs]
    data = training_loader(photos, data_config(), 5, 0, targets=["inverse"]).data
    with pytest.raises(UserError, match="losses learn from inverse, but these data have no inv"):
        data.require_layers(["inverse"])


def test_its_row_says_how_it_is_moved_and_finished(made_sets, monkeypatch):
    """Labels 0 to 2 with their own fill, no interpolation, and integers at the end."""
    def labels(pair, layers, options):
        return np.where(layers["mask"] > 127, 1, 2).astype(np.uint8)

    monkeypatch.setitem(LAYERS, "labels", Layer(
        labels, made_of=("mask",), resample=lambda options: "nearest", fill=7,
        resize=lambda values, size, options: LAYERS["scribble"].resize(values, size, options),
        finish=lambda values, options: values.long()))
    config = data_config(crop=0.5, augment=[{"rotate": {"degrees": 45, "p": 1}}])
    loader = training_loader(find_pairs("TINY-TR", made_sets), config, 10, 0, targets=["labels"])
    batch = next(iter(loader))
    assert batch["labels"].dtype == torch.int64
    assert set(batch["labels"].unique().tolist()) == {1, 2, 7}


def test_layers_without_a_loss_are_named(made_sets, tmp_path, capsys):
    data = training_loader(find_pairs("TINY-TR", made_sets), data_config(edges="mask"), 2, 0).data
    data.require_layers(["mask", "edge"])
    assert "note" not in capsys.readouterr().out
    data.require_layers(["mask"])
    assert "data.edges=none leaves it out" in capsys.readouterr().out
    for name in ("images/a.jpg", "scribbles/a.png"):
        save(tmp_path / name, np.zeros((4, 4), np.uint8))
    pairs = find_scribbles(str(tmp_path), tmp_path)
    weak = training_loader(pairs, data_config(target="scribble"), 1, 0).data
    with pytest.raises(UserError, match=r"no mask and no edge: see data.*have image, scribble$"):
        weak.require_layers(["mask", "edge"])
