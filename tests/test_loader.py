"""Transforms and loaders: what reaches the network, and that it repeats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

from data import find_pairs
from data.loader import BatchDraws, collate, evaluation_loader, training_loader, training_sizes
from data.transforms import JointTransform, denormalise, image_tensor, normalise
from utils.config import default_config


def data_config(**changes):
    return OmegaConf.merge(default_config().data, {"size": 32, "workers": 0, **changes})


def test_a_batch_keeps_the_contract(made_sets):
    loader = training_loader(find_pairs("TINY-TR", made_sets), data_config(), batch=4, seed=0)
    batch = next(iter(loader))
    assert batch["image"].shape == (4, 3, 32, 32)
    assert batch["mask"].shape == (4, 1, 32, 32)
    assert batch["image"].dtype == batch["mask"].dtype == torch.float32
    assert set(batch["mask"].unique().tolist()) <= {0.0, 1.0}
    assert len(batch["name"]) == len(batch["size"]) == 4
    assert all(isinstance(side, int) for size in batch["size"] for side in size)


def test_soft_masks_keep_greys_and_equal_pillows_bilinear(made_sets):
    pair = find_pairs("TINY-TR", made_sets)[0]
    transform = JointTransform(32, soft_mask=True)
    mask = np.array(Image.open(pair.mask))
    got = transform(Image.open(pair.image).convert("RGB"), mask)["mask"]
    expected = np.array(Image.fromarray(mask).resize((32, 32), Image.Resampling.BILINEAR)) / 255
    assert np.allclose(got[0].numpy(), expected, atol=1e-6)
    assert ((got > 0) & (got < 1)).any()


def test_images_equal_pillows_resize_and_imagenet_normalisation(made_sets):
    pair = find_pairs("TINY-TR", made_sets)[0]
    image = Image.open(pair.image).convert("RGB")
    got = JointTransform(32)(image)["image"]
    resized = np.array(image.resize((32, 32), Image.Resampling.BILINEAR)) / 255
    expected = (resized - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.allclose(got.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_image_and_mask_move_together():
    """An image that is its own mask stays so under every crop and flip."""
    mask = np.zeros((40, 60), np.uint8)
    mask[5:20, 10:30] = 255
    image = Image.fromarray(np.repeat(mask[..., None], 3, axis=2))
    transform = JointTransform(32, flip=0.5, crop=0.3, soft_mask=True, mean=[0, 0, 0],
                               std=[1, 1, 1])
    results = []
    for seed in range(20):
        torch.manual_seed(seed)
        sample = transform(image, mask, scribble=(mask // 255).astype(np.uint8))
        assert torch.allclose(sample["image"][:1], sample["mask"], atol=1e-6)
        clear = (sample["mask"] == 0) | (sample["mask"] == 1)
        assert (sample["scribble"][clear] == sample["mask"][clear]).float().mean() > 0.97
        results.append(sample["mask"])
    assert len({tuple(r.flatten().tolist()) for r in results}) > 10
    assert any(r[..., :16].sum() < r[..., 16:].sum() for r in results)  # some are flipped


def test_scribbles_are_resized_with_nearest():
    """Between background (0) and unknown (255) lies foreground (1) for any interpolation."""
    scribble = np.full((50, 70), 255, np.uint8)
    scribble[10:15] = 0
    sample = JointTransform(32, flip=1.0)(Image.new("RGB", (70, 50)), scribble=scribble)
    assert sample["scribble"].dtype == torch.int64
    assert sample["scribble"].shape == (1, 32, 32)
    assert set(sample["scribble"].unique().tolist()) == {0, 255}


def test_a_flip_leaves_no_negative_strides():
    flipped = np.zeros((4, 5, 3), np.uint8)[:, ::-1]
    assert image_tensor(Image.fromarray(np.ascontiguousarray(flipped))).shape == (3, 4, 5)
    sample = JointTransform(8, flip=1.0)(Image.new("RGB", (5, 4)), np.zeros((4, 5), np.uint8)[::-1],
                                         np.zeros((4, 5), np.uint8)[:, ::-1])
    assert all(value.is_contiguous() for value in sample.values())


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_denormalise_inverts_normalise(seed):
    image = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, 5, 6), np.uint8))
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    back = denormalise(normalise(image, mean, std), mean, std)
    assert torch.allclose(back, image / 255, atol=1e-6)


def epoch(pairs, workers: int, number: int, start: int = 0, **changes) -> list[dict]:
    config = data_config(workers=workers, flip=0.5, crop=0.5, scales=[0.75, 1.0, 1.25], size=64,
                         **changes)
    loader = training_loader(pairs, config, batch=3, seed=7)
    loader.batch_sampler.set_epoch(number, start)
    return list(loader)


def same(one: list[dict], other: list[dict]) -> bool:
    return len(one) == len(other) and all(
        a["name"] == b["name"] and torch.equal(a["image"], b["image"])
        and torch.equal(a["mask"], b["mask"]) for a, b in zip(one, other, strict=True))


def test_an_epoch_repeats_with_any_number_of_workers(made_sets):
    pairs = find_pairs("TINY-TR", made_sets)
    alone = epoch(pairs, 0, 1)
    torch.manual_seed(123)  # whatever the rest of the program draws
    assert same(alone, epoch(pairs, 2, 1))
    assert not same(alone, epoch(pairs, 0, 2))


def test_a_resumed_epoch_continues_where_it_stopped(made_sets):
    pairs = find_pairs("TINY-TR", made_sets)
    assert same(epoch(pairs, 0, 4)[2:], epoch(pairs, 0, 4, start=2))


def test_multi_scale_batches_have_one_size_each(made_sets):
    pairs = find_pairs("TINY-TR", made_sets)
    sizes = {batch["image"].shape[-1] for number in range(8) for batch in epoch(pairs, 0, number)}
    assert sizes == {64, 96}  # 48 and 80 become multiples of 32
    assert training_sizes(352, [0.75, 1, 1.25]) == [256, 352, 448]
    assert training_sizes(100, [1]) == [100]


@given(count=st.integers(1, 60), batch=st.integers(1, 12), number=st.integers(0, 5))
def test_an_epoch_draws_every_image_once_and_no_batch_of_one(count, batch, number):
    draws = BatchDraws(count, batch, [32], seed=1, shuffle=True)
    draws.set_epoch(number)
    batches = list(draws)
    assert sorted(draw.index for b in batches for draw in b) == list(range(count))
    assert len(batches) == len(draws)
    if batch > 1 and count > 1:
        assert min(map(len, batches)) > 1
        assert max(map(len, batches)) <= max(batch, 3)


def test_evaluation_keeps_the_order_and_does_not_augment(made_sets):
    pairs = find_pairs("TINY-TR", made_sets)
    config = data_config(flip=1.0, crop=0.2)
    names = [name for batch in evaluation_loader(pairs, config, 3) for name in batch["name"]]
    assert names == [pair.name for pair in pairs]
    first = next(iter(evaluation_loader(pairs, config, 1)))["image"][0]
    plain = JointTransform(32)(Image.open(pairs[0].image).convert("RGB"))["image"]
    assert torch.equal(first, plain)


def test_images_of_different_sizes_in_a_batch_are_a_clear_error():
    samples = [{"image": torch.zeros(3, size, 8), "name": "x"} for size in (8, 9)]
    with pytest.raises(ValueError, match="one size"):
        collate(samples)
