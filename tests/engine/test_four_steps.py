"""Four steps of train.py on a toy network, against the same steps in plain PyTorch."""

from __future__ import annotations

import csv
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import model
import train as train_script
from model.trunks.trunk import Trunk

RATE, FACTOR, DECAY, L1, VALUE, NORM, EMA = 0.5, 0.1, 0.05, 1e-3, 0.02, 0.05, 0.8
WORDS = ["--gpu", "cpu", "name=trial", "model.name=toy", "weights.backbone=none",
         "data.train=[TINY-TR]", "data.size=32", "data.workers=0", "data.flip=0.5",
         "train.precision=fp32", "train.batch=5", "train.accumulate=2", "train.epochs=2",
         "train.log_every=1", f"train.ema={EMA}", "optim.name=sgd", f"optim.lr={RATE}",
         "optim.momentum=0.9", f"optim.weight_decay={DECAY}", "optim.decay_all=false",
         f"optim.trunk_factor={FACTOR}", f"optim.l1={L1}", f"optim.clip_value={VALUE}",
         f"optim.clip_norm={NORM}", "optim.schedule=poly"]
PARTS = (slice(0, 2), slice(2, 5))  # of the five images of a batch


class ToyTrunk(Trunk):
    STAGES: ClassVar = {"stage": 2}

    def __init__(self):
        super().__init__()
        self.add_stage("stage", nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4),
                                              nn.ReLU()), 4)

    def imagenet_keys(self) -> dict[str, str]:
        return {}


class ToyNetwork(model.Network):
    """Two convolutions with batch norms, the first one a trunk; two maps."""

    def __init__(self):
        super().__init__()
        self.trunk = ToyTrunk()
        self.head = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
                                  nn.Conv2d(4, 2, 1))

    def forward(self, image):
        maps = F.interpolate(self.head(self.trunk(image)["stage"]), size=image.shape[-2:])
        return {"attention": maps[:, :1], "saliency": maps[:, 1:]}


def plain_steps(network: nn.Module, batches: list[dict]) -> tuple[list[dict], dict]:
    """A row of log.csv for each step, and the moving average; trains ``network``."""
    groups = [{"params": [parameter], "weight_decay": DECAY if parameter.ndim > 1 else 0}
              for parameter in network.parameters()]
    factors = [FACTOR if name.startswith("trunk") else 1 for name, _ in network.named_parameters()]
    optimizer = torch.optim.SGD(groups, lr=RATE, momentum=0.9)
    rows, average = [], {}
    for step, batch in enumerate(batches):
        rate = RATE * (1 - step / len(batches)) ** 0.9
        optimizer.zero_grad()
        loss = 0
        for images in PARTS:
            outputs = network.train()(batch["image"][images])
            mask, share = batch["mask"][images], len(batch["mask"][images]) / 5
            part_loss = sum(share * F.binary_cross_entropy_with_logits(outputs[name], mask)
                            for name in outputs)
            part_loss.backward()
            loss += part_loss.item()
        for group, factor in zip(optimizer.param_groups, factors, strict=True):
            group["lr"], weight = factor * rate, group["params"][0]
            if weight.ndim > 1:
                weight.grad += L1 * weight.detach().sign()
        before = torch.cat([weight.grad.flatten() for weight in network.parameters()]).norm()
        for weight in network.parameters():
            weight.grad.clamp_(-VALUE, VALUE)
        clamped = torch.cat([weight.grad.flatten() for weight in network.parameters()]).norm()
        assert NORM < clamped < before  # or the test would not see clipping
        for weight in network.parameters():
            weight.grad *= NORM / clamped
        optimizer.step()
        average = {name: EMA * average[name] + (1 - EMA) * value if average else value.clone()
                   for name, value in network.state_dict().items() if value.is_floating_point()}
        rows.append({"step": step + 1, "epoch": 1 + step // 2, "loss": loss, "lr": rate,
                     "lr_trunk": FACTOR * rate, "gradient_norm": before.item()})
    return rows, average


def test_four_steps_are_those_of_plain_pytorch(made_sets, runs, monkeypatch):
    torch.manual_seed(0)  # the recipe's seed
    network, batches, watch = ToyNetwork(), [], train_script.watch
    monkeypatch.setitem(model._NETWORKS, "toy", (ToyNetwork, {}))

    def recording(run, log, sample, result):
        batches.append(sample)
        watch(run, log, sample, result)

    monkeypatch.setattr(train_script, "watch", recording)
    assert train_script.main([*WORDS, f"data.root={made_sets}"]) == 0
    rows, average = plain_steps(network, batches)
    for epoch in (batches[:2], batches[2:]):  # each image once
        assert sorted(name for batch in epoch for name in batch["name"]) == \
            [f"{number:02d}" for number in range(10)]

    with (runs / "trial/log.csv").open() as file:
        logged = list(csv.DictReader(file))
    assert len(logged) == len(rows) == 4
    for row, expected in zip(logged, rows, strict=True):
        assert {key: float(row[key]) for key in expected} == pytest.approx(expected, rel=1e-4)
    saved = torch.load(runs / "trial/last.pt", weights_only=True)
    for name, value in average.items():
        assert torch.allclose(saved["average"][f"module.{name}"], value, atol=1e-6), name
        assert torch.allclose(saved["network"][name], network.state_dict()[name], atol=1e-6), name
