"""Runs on images of their own sizes: training, resuming, validation and maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import engine.predictor
import engine.validation
import test as test_script
from tests.small_runs import equal, train, weights
from utils.maps import read_map

NATIVE = ["data.size=native", "train.accumulate=4", "optim.lr=1e-3"]


@pytest.fixture
def alike(sets) -> Path:
    """The made sets, where three of the four images of TINY-TE have one size."""
    for path in sets.glob("TINY-TE/*/0[013].*"):
        with Image.open(path) as file:
            file.resize((128, 112), Image.Resampling.NEAREST).save(path)
    return sets


def test_a_run_resumes_in_an_epoch_to_the_same_weights(made_sets, runs, capsys):
    epoch = [*NATIVE, "train.epochs=1"]
    assert train(made_sets, *epoch, "train.images_every=2") == 0
    whole = weights(runs / "trial/last.pt")
    assert "one image of " in capsys.readouterr().out
    assert train(made_sets, *epoch, "--overwrite", "train.steps=1") == 0  # of three
    assert torch.load(runs / "trial/last.pt", weights_only=True)["at"]["batch"] == 1
    assert train(made_sets, *epoch, "--resume") == 0
    assert equal(whole, weights(runs / "trial/last.pt"))


def test_maps_are_those_of_images_one_by_one_at_their_own_sizes(alike, runs, tmp_path, monkeypatch,
                                                               capsys):
    assert train(alike, *NATIVE, "train.epochs=1") == 0
    shapes, forward = [], engine.predictor.forward
    monkeypatch.setattr(engine.predictor, "forward", lambda network, batch, *given, **named: (
        shapes.append(tuple(batch["image"].shape)), forward(network, batch, *given, **named))[1])
    maps = {}
    for batch in (3, 1):
        out = tmp_path / str(batch)
        assert test_script.main(["--gpu", "cpu", "--checkpoint", str(runs / "trial/last.pt"),
                                 "--data", "TINY-TE", "--out", str(out), f"test.batch={batch}",
                                 f"data.root={alike}"]) == 0
        maps[batch] = [read_map(out / f"trial/TINY-TE/{number:02d}.png") for number in range(4)]
    assert [shape[0] for shape in shapes] == [3, 1, 1, 1, 1, 1]
    assert shapes[0] == (3, 3, 112, 128)
    for number, (batched, alone) in enumerate(zip(maps[3], maps[1], strict=True)):
        with Image.open(alike / f"TINY-TE/images/{number:02d}.jpg") as image:
            assert batched.shape == alone.shape == image.size[::-1]
        assert np.abs(batched.astype(int) - alone).max() <= 1


def test_a_validation_scores_each_map_with_its_own_mask(alike, runs, monkeypatch):
    """Batches of one size are not in the pairs' order."""
    monkeypatch.setattr(engine.validation, "maps_of", lambda logits, batch, *_: (
        read_map(alike / f"TINY-TE/masks/{name}.png") for name in batch["name"]))
    assert train(alike, *NATIVE, "train.steps=1", "val.data=[TINY-TE]") == 0
    assert torch.load(runs / "trial/best.pt", weights_only=True)["at"]["best"] == 0


def test_the_loss_of_a_validation_is_that_of_single_images(alike, runs):
    losses = []
    for batch in (3, 1):
        assert train(alike, *NATIVE, "--overwrite", "train.steps=1", "val.data=[TINY-TE]",
                     "val.watch=loss", f"test.batch={batch}",
                     "loss.terms={saliency: {balanced_bce_sum: 1}}") == 0
        losses.append(torch.load(runs / "trial/best.pt", weights_only=True)["at"]["best"])
    assert losses[0] == losses[1] > 0


@pytest.mark.parametrize("words, message", [
    (["data.size=native"], "train.accumulate must be 4"),
    ([*NATIVE, "model.name=dss_vgg", "model.options={}"], "DSS takes images whose sides are "
                                                          "multiples of 32 pixels only"),
    ([*NATIVE, "model.name=nldf_vgg", "model.options={}"], "data.size=352 squashes them"),
    (["model.name=poolnet_vgg", "model.options={}", "data.size=96"], "at least 113 pixels")])
def test_what_cannot_be_trained_so_is_said_before(made_sets, runs, capsys, words, message):
    assert train(made_sets, *words) == 2
    assert message in capsys.readouterr().err
