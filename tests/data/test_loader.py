"""Loaders: what reaches the network, and that it repeats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import data.workers
from data import find_pairs
from data.layers import finish, squash
from data.loader import (
    BatchDraws,
    evaluation_loader,
    training_loader,
    training_sizes,
)
from data.transforms import normalise
from data.workers import loader_processes
from utils.errors import UserError

from .made import data_config, options_of, same_batches


def test_a_batch_keeps_the_contract(made_sets):
    loader = training_loader(find_pairs("TINY-TR", made_sets), data_config(), batch=4, seed=0)
    batch = next(iter(loader))
    assert batch["image"].shape == (4, 3, 32, 32)
    assert batch["mask"].shape == (4, 1, 32, 32)
    assert batch["image"].dtype == batch["mask"].dtype == torch.float32
    assert set(batch["mask"].unique().tolist()) <= {0.0, 1.0}
    assert len(batch["name"]) == len(batch["size"]) == 4
    assert all(isinstance(side, int) for size in batch["size"] for side in size)


def epoch(pairs, workers: int, number: int, start: int = 0, **changes) -> list[dict]:
    config = data_config(workers=workers, flip=0.5, crop=0.5, scales=[0.75, 1.0, 1.25], size=64,
                         **changes)
    loader = training_loader(pairs, config, batch=3, seed=7)
    loader.set_epoch(number, start)
    return list(loader)


def test_an_epoch_repeats_with_any_number_of_workers(made_sets):
    pairs = find_pairs("TINY-TR", made_sets)
    alone = epoch(pairs, 0, 1)
    torch.manual_seed(123)  # whatever the rest of the program draws
    assert same_batches(alone, epoch(pairs, 2, 1))
    assert not same_batches(alone, epoch(pairs, 0, 2))


def test_a_resumed_epoch_continues_where_it_stopped(made_sets):
    pairs = find_pairs("TINY-TR", made_sets)
    assert same_batches(epoch(pairs, 0, 4)[2:], epoch(pairs, 0, 4, start=2))


def test_multi_scale_batches_have_one_size_each(made_sets):
    pairs = find_pairs("TINY-TR", made_sets)
    sizes = {batch["image"].shape[-1] for number in range(8) for batch in epoch(pairs, 0, number)}
    assert sizes == {64, 96}  # 48 and 80 become multiples of 32
    assert training_sizes(352, [0.75, 1, 1.25]) == [(256, 256), (352, 352), (448, 448)]
    assert training_sizes(100, [1]) == [(100, 100)]
    assert training_sizes([100, 70], [1, 1.25, 0.2]) == [(100, 70), (128, 96), (32, 32)]


def test_inputs_may_be_wider_than_high(made_sets):
    """The rows and columns are those that Pillow squashes the image to; scales keep both sides."""
    pairs = find_pairs("TINY-TR", made_sets)
    first = next(iter(evaluation_loader(pairs, data_config(size=[32, 48]), 4)))
    assert first["image"].shape == (4, 3, 32, 48)
    with Image.open(pairs[0].image) as image:
        pixels = np.asarray(image.convert("RGB").resize((48, 32), Image.Resampling.BILINEAR))
    config = data_config(size=[32, 48])
    assert torch.equal(first["image"][0], normalise(torch.from_numpy(pixels.copy())
                                                    .permute(2, 0, 1), config.mean, config.std))
    config = data_config(size=[64, 96], scales=[0.5, 1, 1.5], flip=0.5, crop=0.5)
    loader = training_loader(pairs, config, 3, seed=7)
    shapes = set()
    for number in range(8):
        loader.set_epoch(number)
        for batch in loader:
            shapes.add(tuple(batch["image"].shape[-2:]))
            assert batch["mask"].shape[-2:] == batch["image"].shape[-2:]
    assert shapes == {(32, 64), (64, 96), (96, 160)}  # 48 and 144 become multiples of 32


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
    options = options_of()
    image = {"image": Image.open(pairs[0].image).convert("RGB")}
    assert torch.equal(first, finish(squash(image, 32, options), options)["image"])


def test_loader_processes_follow_the_cores_and_the_shared_memory(monkeypatch, capsys):
    monkeypatch.setattr(data.workers, "cores", lambda: 6)
    monkeypatch.setattr(data.workers, "free_shared_memory", lambda: None)
    assert loader_processes(None, 2**20) == 6
    assert loader_processes(3, 2**20) == 3
    monkeypatch.setattr(data.workers, "cores", lambda: 64)
    assert loader_processes(None, 2**20) == 8
    monkeypatch.setattr(data.workers, "free_shared_memory", lambda: 64 * 2**20)
    assert loader_processes(8, 2**20) == 8
    assert capsys.readouterr().err == ""
    assert loader_processes(8, 8 * 2**20) == 2
    assert loader_processes(8, 64 * 2**20) == 0
    assert "--shm-size" in capsys.readouterr().err


def test_a_bus_error_becomes_advice(made_sets, monkeypatch):
    loader = training_loader(find_pairs("TINY-TR", made_sets), data_config(), batch=4, seed=0)

    def lose_worker(loader):
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Bus error. It is "
                           "possible that dataloader's workers are out of shared memory.")
        yield

    monkeypatch.setattr(torch.utils.data.DataLoader, "__iter__", lose_worker)
    with pytest.raises(UserError, match="--shm-size"):
        list(loader)
