"""Transforms and loaders: what reaches the network, and that it repeats."""

from __future__ import annotations

import errno

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

import data.cache
import data.loader
from data import find_pairs
from data.loader import (
    BatchDraws,
    collate,
    evaluation_loader,
    loader_processes,
    training_loader,
    training_sizes,
)
from data.transforms import augment, denormalise, finish, normalise, squash
from utils.config import default_config
from utils.errors import UserError


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


def sample_of(image, size, mask=None, scribble=None, soft_mask=False, mean=(0, 0, 0),
              std=(1, 1, 1), **moves) -> dict:
    """Squashed, moved and finished."""
    layers = squash(image, size, mask, scribble, soft_mask=soft_mask)
    return finish(augment(layers, **{"seed": 0, **moves}), mean, std, soft_mask)


@given(st.integers(0, 10**6), st.integers(20, 90), st.integers(20, 90))
@settings(max_examples=20, deadline=None)
def test_images_are_resized_as_pillow_or_opencv_do(seed, height, width):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    pillow, opencv = (squash(image, 32, image_resize=kind)["image"].permute(1, 2, 0).numpy()
                      for kind in ("pillow", "opencv"))
    assert np.array_equal(pillow, image.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(opencv, cv2.resize(pixels, (32, 32), interpolation=cv2.INTER_LINEAR))


def test_soft_masks_keep_greys_and_equal_pillows_bilinear(made_sets):
    pair = find_pairs("TINY-TR", made_sets)[0]
    mask = np.array(Image.open(pair.mask))
    image = Image.open(pair.image).convert("RGB")
    got = sample_of(image, 32, mask, soft_mask=True)["mask"]
    expected = np.array(Image.fromarray(mask).resize((32, 32), Image.Resampling.BILINEAR)) / 255
    assert np.allclose(got[0].numpy(), expected, atol=1e-6)
    assert ((got > 0) & (got < 1)).any()
    hard = sample_of(image, 32, mask)["mask"]
    assert torch.equal(hard, (got > 0.5).float())


def test_images_equal_pillows_resize_and_imagenet_normalisation(made_sets):
    pair = find_pairs("TINY-TR", made_sets)[0]
    image = Image.open(pair.image).convert("RGB")
    got = sample_of(image, 32, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])["image"]
    resized = np.array(image.resize((32, 32), Image.Resampling.BILINEAR)) / 255
    expected = (resized - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.allclose(got.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_image_and_targets_move_together():
    """An image that is its own mask stays so under every crop and flip."""
    mask = np.zeros((40, 60), np.uint8)
    mask[5:20, 10:30] = 255
    image = Image.fromarray(np.repeat(mask[..., None], 3, axis=2))
    results = []
    for seed in range(20):
        sample = sample_of(image, 32, mask, (mask // 255).astype(np.uint8), soft_mask=True,
                           seed=seed, flip=0.5, crop=0.3)
        assert torch.equal(sample["image"][:1], sample["mask"])
        clear = (sample["mask"] == 0) | (sample["mask"] == 1)
        assert (sample["scribble"][clear] == sample["mask"][clear]).float().mean() > 0.97
        results.append(sample["mask"])
    assert len({tuple(r.flatten().tolist()) for r in results}) > 10
    assert any(r[..., :16].sum() < r[..., 16:].sum() for r in results)  # some are flipped


def test_a_crop_keeps_at_least_its_share_of_the_area():
    """A ramp from 0 to 255 says by its ends which part of it was kept."""
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (256, 1))).convert("RGB")
    shares, lefts = [], []
    for seed in range(200):
        row = augment(squash(ramp, 256), seed, crop=0.25)["image"][0, 0].float()
        lefts.append(row.min().item())
        shares.append(((row.max() - row.min() + 1) / 256).item() ** 2)
    assert min(shares) == pytest.approx(0.25, abs=0.03)
    assert max(shares) == pytest.approx(1, abs=0.05)
    assert np.mean(shares) == pytest.approx(0.625, abs=0.06)  # uniform in the area
    assert min(lefts) == 0 and max(lefts) > 90


def test_scribbles_are_resized_with_nearest():
    """Between background (0) and unknown (255) lies foreground (1) for any interpolation."""
    scribble = np.full((50, 70), 255, np.uint8)
    scribble[10:15] = 0
    sample = sample_of(Image.new("RGB", (70, 50)), 32, scribble=scribble, flip=1.0, crop=0.5)
    assert sample["scribble"].dtype == torch.int64
    assert sample["scribble"].shape == (1, 32, 32)
    assert set(sample["scribble"].unique().tolist()) == {0, 255}


def test_flipped_arrays_are_read_as_they_look():
    mask = np.zeros((4, 4), np.uint8)
    mask[0, 0] = 255
    layers = squash(Image.new("RGB", (5, 4)), 4, mask[::-1], mask[:, ::-1])
    assert layers["mask"][0, 3, 0] == 255 and layers["scribble"][0, 0, 3] == 255
    moved = augment(layers, seed=0, flip=1.0)
    assert all(value.is_contiguous() for value in moved.values())
    assert moved["mask"][0, 3, 3] == 255


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
    loader.set_epoch(number, start)
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
    plain = sample_of(Image.open(pairs[0].image).convert("RGB"), 32, mean=config.mean,
                      std=config.std)["image"]
    assert torch.equal(first, plain)


def test_images_of_different_sizes_in_a_batch_are_a_clear_error():
    samples = [{"image": torch.zeros(3, size, 8), "name": "x"} for size in (8, 9)]
    with pytest.raises(ValueError, match="one size"):
        collate(samples)


# --- the cache ---------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("filled", [False, True])
def test_cached_samples_equal_decoded_ones(made_sets, tmp_path, workers, filled):
    pairs = find_pairs("TINY-TR", made_sets)
    moves = {"flip": 0.5, "crop": 0.5, "scales": [0.75, 1.0], "size": 64, "workers": workers}
    expected = [epoch_of(pairs, number, cache="none", **moves) for number in (1, 2)]
    for cache in ("memory", str(tmp_path)):
        loader = training_loader(pairs, data_config(cache=cache, **moves), batch=3, seed=7)
        if filled:
            loader.data.require_sound("pairs")
        for number in (1, 2):
            loader.set_epoch(number)
            assert same(expected[number - 1], list(loader))


def epoch_of(pairs, number: int, **changes) -> list[dict]:
    loader = training_loader(pairs, data_config(**changes), batch=3, seed=7)
    loader.set_epoch(number)
    return list(loader)


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Stems of the images that are decoded."""
    seen = []
    real = data.loader.decode_image
    monkeypatch.setattr(data.loader, "decode_image",
                        lambda path: (seen.append(path.stem), real(path))[1])
    return seen


def test_files_are_decoded_once_until_they_change(sets, tmp_path, decoded):
    pairs = find_pairs("TINY-TR", sets)
    for cache in ("memory", str(tmp_path / "kept")):
        loader = training_loader(pairs, data_config(cache=cache), batch=3, seed=0)
        loader.data.require_sound("pairs")
        for number in range(3):
            loader.set_epoch(number)
            list(loader)
        assert sorted(decoded) == [pair.name for pair in pairs]
        before = loader.data[4]["image"]
        changed = Image.open(pairs[4].image).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        changed.save(pairs[4].image, quality=80)
        decoded.clear()
        assert not torch.equal(loader.data[4]["image"], before)
        assert decoded == ["04"]
        decoded.clear()
    again = training_loader(pairs, data_config(cache=str(tmp_path / "kept")), batch=3, seed=0)
    again.data.require_sound("pairs")  # another run, the same folder
    list(again)
    assert decoded == []


def test_a_damaged_record_is_decoded_again(made_sets, tmp_path, decoded):
    pairs = find_pairs("TINY-TR", made_sets)
    config = data_config(cache=str(tmp_path))
    expected = training_loader(pairs, config, batch=3, seed=0).data
    expected.require_sound("pairs")
    (file,) = tmp_path.glob("*.samples")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    decoded.clear()
    found = training_loader(pairs, config, batch=3, seed=0).data
    assert all(torch.equal(found[i]["image"], expected[i]["image"]) for i in range(len(pairs)))
    assert len(decoded) == 1


def test_the_cache_keeps_to_its_bounds(made_sets, tmp_path, decoded, capsys):
    pairs = find_pairs("TINY-TR", made_sets)
    one = 4 * 32 * 32 + 40
    config = data_config(cache=str(tmp_path), cache_gb=4.5 * one / 1e9)
    loader = training_loader(pairs, config, batch=3, seed=0)
    assert "4 of 10 pairs fit" in capsys.readouterr().err
    loader.data.require_sound("pairs")
    assert len(decoded) == 4
    decoded.clear()
    assert len({name for batch in loader for name in batch["name"]}) == 10
    assert len(decoded) == 6
    for size in (32, 64, 96):  # other sizes: other files, of which the older ones go
        training_loader(pairs, data_config(cache=str(tmp_path), cache_gb=1e-4, size=size), 3, 0)
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1e5


def test_a_cache_without_room_says_so(made_sets, tmp_path, monkeypatch):
    pairs = find_pairs("TINY-TR", made_sets)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(data.cache.os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"data\.cache.*No space left.*Lower data\.cache_gb"):
        training_loader(pairs, data_config(cache=str(tmp_path)), batch=3, seed=0)


def test_a_file_that_changes_while_it_is_read_is_read_again(sets, tmp_path, monkeypatch):
    pairs = find_pairs("TINY-TR", sets)
    loader = training_loader(pairs, data_config(cache=str(tmp_path / "kept")), batch=3, seed=0)
    real, other = data.loader.decode_image, Image.new("RGB", (64, 64), (200, 0, 0))

    def decode_then_change(path):
        image = real(path)
        other.resize(image.size).save(path)
        return image

    monkeypatch.setattr(data.loader, "decode_image", decode_then_change)
    loader.data[0]
    monkeypatch.setattr(data.loader, "decode_image", real)
    assert abs(int(loader.data[0]["image"][0].float().mean()) - 200) < 5


def test_a_file_that_vanishes_is_named(sets):
    pairs = find_pairs("TINY-TR", sets)
    loader = training_loader(pairs, data_config(), batch=3, seed=0)
    loader.data.require_sound("pairs")
    pairs[0].image.unlink()
    with pytest.raises(UserError, match=r"00\.jpg: cannot be decoded \(no such file\)"):
        loader.data[0]


def test_a_lower_bound_shortens_the_file(made_sets, tmp_path):
    pairs = find_pairs("TINY-TR", made_sets)
    for gigabytes in (1, 2e-5):
        config = data_config(cache=str(tmp_path), cache_gb=gigabytes)
        training_loader(pairs, config, 3, 0).data.require_sound("pairs")
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2e4


def test_without_a_fork_there_is_no_cache_in_memory(made_sets, monkeypatch, capsys):
    monkeypatch.setattr(data.loader, "_CAN_FORK", False)
    pairs = find_pairs("TINY-TR", made_sets)
    assert not training_loader(pairs, data_config(workers=1), 3, 0).data.fork_only
    assert "data.cache=FOLDER" in capsys.readouterr().err
    assert training_loader(pairs, data_config(workers=0), 3, 0).data.fork_only


def test_all_bad_files_are_listed_with_and_without_a_cache(sets):
    pairs = find_pairs("TINY-TR", sets)
    pairs[2].image.write_bytes(b"no image")
    Image.new("L", (7, 7)).save(pairs[5].mask)
    for cache in ("memory", "none"):
        loader = training_loader(pairs, data_config(cache=cache), batch=3, seed=0)
        with pytest.raises(UserError, match=r"2 in all[\s\S]*02\.jpg[\s\S]*sizes differ.*05\.jpg"):
            loader.data.require_sound("pairs")


# --- loader processes --------------------------------------------------------------------------


def test_loader_processes_follow_the_cores_and_the_shared_memory(monkeypatch, capsys):
    monkeypatch.setattr(data.loader, "cores", lambda: 6)
    monkeypatch.setattr(data.loader, "free_shared_memory", lambda: None)
    assert loader_processes(None, 2**20) == 6
    assert loader_processes(3, 2**20) == 3
    monkeypatch.setattr(data.loader, "cores", lambda: 64)
    assert loader_processes(None, 2**20) == 8
    monkeypatch.setattr(data.loader, "free_shared_memory", lambda: 64 * 2**20)
    assert loader_processes(8, 2**20) == 8
    assert capsys.readouterr().err == ""
    assert loader_processes(8, 8 * 2**20) == 2
    assert loader_processes(8, 64 * 2**20) == 0
    assert "--shm-size" in capsys.readouterr().err


def test_a_bus_error_becomes_advice(made_sets, monkeypatch):
    loader = training_loader(find_pairs("TINY-TR", made_sets), data_config(), batch=4, seed=0)

    def killed():
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Bus error. It is "
                           "possible that dataloader's workers are out of shared memory.")
        yield

    monkeypatch.setattr(loader, "_loader", killed())
    with pytest.raises(UserError, match="--shm-size"):
        list(loader)
