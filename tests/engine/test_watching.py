"""What a run shows: events for TensorBoard, pictures, the summary of the network."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import model
import train as train_script
from engine.log import rates
from engine.optimizer import build_optimizer
from engine.summary import count, print_summary
from report.picture import batch_grid
from tests.small_runs import events
from utils.config import default_config
from utils.schema import DataConfig


def test_a_run_can_be_watched(made_sets, runs):
    assert train_script.main([
        "--gpu", "cpu", f"data.root={made_sets}", "name=watched", "model.options.width=0.0625",
        "weights.backbone=none", "data.train=[TINY-TR]", "data.size=32", "data.workers=0",
        "train.batch=4", "train.epochs=1", "train.log_every=1", "train.images_every=2",
        "optim.trunk_factor=0.1", "val.fraction=0.2", "loss.smoothing=0.1", "optim.l1=1e-6"]) == 0
    values = [(event.step, value) for event in events(runs / "watched")
              for value in event.summary.value]
    tags = {value.tag for _, value in values}
    assert {"lr", "lr_trunk", "loss", "attention_bce", "saliency_bce", "gradient_norm",
            "images_per_second", "memory_mib", "val_MAE", "val_maxF"} <= tags
    assert {f"validation/{name}" for name in ("MAE", "maxF", "meanF", "adpF")} <= tags
    scalars = {tag: {step: value.simple_value for step, value in values if value.tag == tag}
               for tag in ("loss", "lr", "lr_trunk", "memory_mib")}
    assert scalars["lr_trunk"][1] == pytest.approx(0.1 * scalars["lr"][1])
    assert 50 < scalars["memory_mib"][2] < 24_000
    with (runs / "watched/log.csv").open() as file:
        rows = {int(row["step"]): row for row in csv.DictReader(file) if row["loss"]}
    assert scalars["loss"] == pytest.approx({step: float(row["loss"])
                                             for step, row in rows.items()}, rel=1e-4)

    by_tag = {value.tag: value for _, value in values}
    with Image.open(io.BytesIO(by_tag["pictures"].image.encoded_image_string)) as image:
        assert image.size == (4 * 34 + 2, 4 * 34 + 2)  # input, mask, prediction, attention
    (text,) = (value for tag, value in by_tag.items() if tag.startswith("configuration"))
    assert "smoothing: 0.1" in text.tensor.string_val[0].decode()
    curve = by_tag["validation"].tensor
    shape = [dim.size for dim in curve.tensor_shape.dim]
    assert shape[0] == 6
    precision, recall = np.array(curve.float_val).reshape(shape)[-2:]
    assert recall[0] == 1 and (np.diff(recall) <= 1e-6).all()  # threshold 0 finds everything
    assert precision.min() >= 0
    name = "detection.decoder.refine.weight"
    for kind in ("weights", "gradients"):
        histogram = by_tag[f"{kind}/{name}"].histo
        assert histogram.num == sum(histogram.bucket)
        assert histogram.min < histogram.max


def test_the_rate_of_the_trunk_has_its_own_column():
    config = default_config().optim
    network = model.build("cpd_vgg", width=0.0625)
    assert rates(build_optimizer(config, network)) == {"lr": 1e-4}
    config.trunk_factor = 0.5
    assert rates(build_optimizer(config, network)) == {"lr": 1e-4, "lr_trunk": 1e-4}


def test_pictures_show_all_targets_and_side_outputs():
    sample = {"image": torch.zeros(2, 3, 8, 8), "mask": torch.ones(2, 1, 8, 8),
              "scribble": torch.tensor([0, 1, 255, 255] * 16).view(1, 1, 8, 8).repeat(2, 1, 1, 1)}
    outputs = {"edge": torch.full((2, 1, 4, 4), -9.0), "saliency": torch.full((2, 1, 8, 8), 9.0)}
    grid = batch_grid(sample, outputs, DataConfig(mean=[0.25] * 3, std=[1] * 3))
    cells = grid[0, 2:, 2:].unfold(0, 8, 10).unfold(1, 8, 10)
    assert cells.shape[:2] == (2, 5)
    assert torch.allclose(cells[0, 0], torch.tensor(0.25))
    assert (cells[0, 1] == 1).all()
    assert cells[0, 2, 0, :4].tolist() == [0, 1, 0.5, 0.5]
    assert (cells[0, 3] > 0.99).all() and (cells[0, 4] < 0.01).all()  # the prediction comes first


def test_the_summary_counts_parameters_and_multiply_adds(capsys):
    network = nn.Sequential()
    network.add_module("first", nn.Conv2d(3, 8, 3, padding=1))
    network.add_module("second", nn.Sequential(nn.ReLU(), nn.Conv2d(8, 1, 1, bias=False)))
    assert count(network, 16) == {"first": (224, 3 * 8 * 9 * 256), "second": (8, 8 * 256),
                                  "": (232, 3 * 8 * 9 * 256 + 8 * 256)}
    assert network.training
    print_summary(network, 16)
    assert "55.30 k" in capsys.readouterr().out


class Rows(nn.Module):
    """An LSTM that reads all pixels from both ends."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 5, batch_first=True, bidirectional=True)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.lstm(image.flatten(2).transpose(1, 2))[0]


def test_the_summary_counts_the_matrices_of_an_lstm():
    """Two directions, four gates of five units, each of 3 inputs and 5 units, at 4·6 steps."""
    assert count(Rows(), (4, 6))[""] == (2 * 20 * (3 + 5 + 2), 24 * 2 * 20 * (3 + 5))


@pytest.mark.parametrize("name", ["cpd_vgg", "scwssod_vgg", "wssa"])
def test_the_summary_shows_the_stages_of_a_trunk(name):
    network = model.build(name, width=0.0625)
    rows = count(network, 64)
    assert rows["trunk.conv1"][0] == sum(p.numel() for p in network.trunk.conv1.parameters())
    assert rows[""][0] == sum(parameter.numel() for parameter in network.parameters())
    assert sum(products for name, (_, products) in rows.items() if name) == rows[""][1]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    assert rows[""][1] == counter.get_total_flops() // 2
