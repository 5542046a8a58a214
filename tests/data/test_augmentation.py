"""TRACER's augmentation: what it does, how often, and that it repeats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from data import augmentation, find_pairs
from data.augmentation import BLURS, MOVES, TONES, tracer
from data.loader import evaluation_loader, training_loader
from utils.config import default_config

SIZE = 24
seeds = st.integers(0, 2**62 - 1)


def layers_of(seed: int = 0, size: int = SIZE) -> dict[str, torch.Tensor]:
    """A coloured noise, and a mask, scribble and edges that are all one picture of numbers."""
    random = np.random.default_rng(seed)
    target = random.integers(0, 3, (1, size, size), np.uint8)
    layers = {"image": random.integers(0, 256, (3, size, size), np.uint8), "mask": target * 100,
              "scribble": np.where(target == 2, 255, target).astype(np.uint8), "edge": target}
    return {name: torch.from_numpy(layer) for name, layer in layers.items()}


@pytest.fixture
def only(monkeypatch):
    """Let nothing but one kind of change happen, always."""
    def choose(kind: str):
        for kinds in (MOVES, TONES, BLURS):
            for name in list(kinds):
                if name != kind:
                    monkeypatch.delitem(kinds, name)
            if not kinds:
                monkeypatch.setitem(kinds, "none", None)
        monkeypatch.setattr(augmentation, "SHARE", 1)

    return choose


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_it_is_a_pure_function_of_the_seed(seed):
    given_layers = layers_of()
    first = tracer(given_layers, seed)
    torch.manual_seed(seed % 7)  # whatever the rest of the program draws
    np.random.seed(seed % 5)
    second = tracer(layers_of(), seed)
    for name, layer in first.items():
        assert torch.equal(layer, second[name])
        assert torch.equal(given_layers[name], layers_of()[name])  # not changed in place
        assert layer.dtype == torch.uint8
        assert layer.shape == given_layers[name].shape
        assert layer.is_contiguous()


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_all_targets_move_together_and_only_move(seed):
    moved = tracer(layers_of(), seed)
    number = moved["edge"]
    assert torch.equal(moved["mask"], number * 100)
    assert torch.equal(moved["scribble"], torch.where(number == 2, 255, number))
    assert torch.equal(number.unique(return_counts=True)[1],
                       layers_of()["edge"].unique(return_counts=True)[1])


@given(seeds)
@settings(max_examples=100, deadline=None)
def test_the_image_moves_as_its_targets_do(seed):
    """A bright part of the image that is the mask stays so under all that happens."""
    mask = torch.zeros(1, 2 * SIZE, 2 * SIZE, dtype=torch.uint8)
    mask[:, 4:20, 8:40] = 255
    image = (mask // 2 + 60).expand(3, -1, -1).contiguous()
    moved = tracer({"image": image, "mask": mask}, seed)
    darkest, brightest = moved["image"].float().aminmax()
    brighter = moved["image"] > (darkest + brightest) / 2
    assert ((moved["mask"] > 0) == brighter).float().mean() > 0.9


def test_each_kind_occurs_as_often_as_it_should(monkeypatch):
    seen = []
    for kinds in (MOVES, TONES, BLURS):
        for name, change in kinds.items():
            monkeypatch.setitem(kinds, name, lambda *given, name=name, change=change: (
                seen.append(name), change(*given))[1])
    draws = 3000
    for seed in range(draws):
        tracer(layers_of(size=4), seed)
    for kinds in (MOVES, TONES, BLURS):
        for name in kinds:
            assert seen.count(name) / draws == pytest.approx(0.5 / len(kinds), abs=0.03), name


def test_moves_are_the_flips_and_turns(only):
    stood = layers_of()["image"]
    turns = {k: torch.rot90(stood, k, (-2, -1)) for k in range(4)}
    only("turn")
    found = [next(k for k, turned in turns.items() if torch.equal(turned, moved["image"]))
             for moved in (tracer(layers_of(), seed) for seed in range(200))]
    assert all(30 < found.count(k) < 70 for k in turns)


@pytest.mark.parametrize("kind, axis", [("mirror", -1), ("upend", -2)])
def test_flips(only, kind, axis):
    only(kind)
    moved = tracer(layers_of(), 5)
    for name, layer in layers_of().items():
        assert torch.equal(moved[name], layer.flip(axis))


@pytest.mark.parametrize("kind", [*TONES, *BLURS])
def test_photometry_leaves_the_targets_alone(only, kind):
    only(kind)
    changed = [tracer(layers_of(), seed) for seed in range(10)]
    for layers in changed:
        for name in ("mask", "scribble", "edge"):
            assert torch.equal(layers[name], layers_of()[name])
    assert not all(torch.equal(layers["image"], layers_of()["image"]) for layers in changed)


def grey(level: int, size: int = SIZE) -> dict[str, torch.Tensor]:
    return {"image": torch.full((3, size, size), level, dtype=torch.uint8)}


@pytest.mark.parametrize("kind, low, high", [
    ("contrast", 80, 120), ("brightness", 49, 151),
    ("gamma", 255 * (100 / 255) ** 1.2, 255 * (100 / 255) ** 0.8)])
def test_tones_keep_to_their_limits(only, kind, low, high):
    only(kind)
    images = [tracer(grey(100), seed)["image"] for seed in range(300)]
    assert all(len(image.unique()) == 1 for image in images)
    levels = [image[0, 0, 0].item() for image in images]
    assert min(levels) == pytest.approx(low, abs=2)
    assert max(levels) == pytest.approx(high, abs=2)
    ends = [tracer(grey(level), seed)["image"][0, 0, 0].item() for seed in range(50)
            for level in (0, 255)]  # nothing runs over into the other end
    assert all(level <= 51 or level >= 200 for level in ends)


@pytest.mark.parametrize("kind", ["motion", "median", "gaussian"])
def test_blurs_keep_flat_parts_and_reach_two_pixels(only, kind):
    only(kind)
    half = grey(40)
    half["image"][..., SIZE // 2:] = 200
    spread = set()
    for seed in range(60):
        assert torch.equal(tracer(grey(77), seed)["image"], grey(77)["image"])
        row = tracer(half, seed)["image"][0, SIZE // 2]
        spread.add(int(((row != 40) & (row != 200)).sum()))
        assert (row[:SIZE // 2 - 2] == 40).all() and (row[SIZE // 2 + 2:] == 200).all()
    assert max(spread) == (0 if kind == "median" else 4)  # a median keeps straight borders


def test_noise_has_the_variance_that_is_asked_for(only):
    only("noise")
    variances = [tracer(grey(128, 96), seed)["image"].float().var().item() for seed in range(60)]
    assert min(variances) == pytest.approx(5, abs=1.5)
    assert max(variances) == pytest.approx(20, abs=1.5)
    image = tracer(grey(128, 96), 0)["image"]
    assert abs(image.float().mean().item() - 128) < 0.2
    assert not torch.equal(image[0], image[1])


def test_it_is_asked_for_by_the_recipe_and_repeats_in_loader_processes(made_sets):
    pairs = find_pairs("TINY-TR", made_sets)

    def epoch(number: int = 1, **changes) -> list[torch.Tensor]:
        config = OmegaConf.merge(default_config().data, {"size": 64, "workers": 0, **changes})
        loader = training_loader(pairs, config, batch=5, seed=0)
        loader.set_epoch(number)
        return [batch[name] for batch in loader for name in ("image", "mask")]

    def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
        return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

    changed = epoch(augment="tracer")
    assert same(changed, epoch(augment="tracer", workers=2))
    assert same(changed, epoch(augment="tracer", cache="none"))
    assert not same(changed, epoch())
    assert not same(changed, epoch(2, augment="tracer"))
    config = OmegaConf.merge(default_config().data, {"size": 64, "workers": 0})
    plain, asked = (next(iter(evaluation_loader(pairs, OmegaConf.merge(config, {"augment": kind}),
                                                10)))["image"] for kind in ("none", "tracer"))
    assert torch.equal(plain, asked)
