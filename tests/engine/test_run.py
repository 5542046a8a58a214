"""Where a run stands: its place in the epoch, its best weights, its end."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import train as train_script
from engine.precision import Precision
from engine.prediction import forward
from engine.run import Progress, Run, Validated, has_ended
from engine.seed import random_state
from tests.small_runs import train
from utils.config import default_config
from utils.schema import TrainConfig

CPU = torch.device("cpu")
#: As checkpoints have always held it.
SAVED = {"step": 23, "epoch": 3, "batch": 3, "loss_sum": 6.0, "best": 0.25, "stale": 1,
         "skipped": 2, "parts": 4}


@pytest.mark.parametrize("before, now, batch, loss_sum", [
    (2, 1, 6, 12.0),  # batches of half as many images: twice as many are behind
    (1, 2, 1, 2.0),  # a batch that is cut in two is trained on again
    (4, 1, 9, 18.0),  # the epoch's end is not passed
    (2, 2, 3, 6.0)])
def test_a_run_resumes_with_other_processes_after_as_many_images(tmp_path, before, now, batch,
                                                                 loss_sum):
    run = Run(default_config(), nn.Conv2d(3, 1, 1), None, range(10), tmp_path,
              Precision("fp32", CPU))
    run.world.size = now
    run.restore({"at": SAVED, "random": [random_state(CPU)] * before,
                 **{name: getattr(run, name).state_dict()
                    for name in ("optimizer", "schedule", "scaler")}}, tmp_path / "last.pt")
    step = 23 if before == now else 20 + batch
    assert run.progress == Progress(step, 3, batch, loss_sum, 0.25, 1, closed=step)
    assert (run.guard.skipped, run.parts.count) == (2, 4)


def test_a_saved_run_has_ended():
    assert not has_ended(SAVED, TrainConfig(epochs=3))
    assert has_ended(SAVED, TrainConfig(epochs=2))
    assert has_ended(SAVED, TrainConfig(epochs=3, steps=23))
    assert not has_ended(SAVED, TrainConfig(epochs=3, steps=24, patience=2))
    assert has_ended(SAVED, TrainConfig(epochs=3, patience=1))


class Scores:
    """What a validation leaves behind, with a given error."""

    def __init__(self, error: float):
        self.error = error

    def compute(self) -> dict:
        return {"MAE": self.error, "maxF": 1 - self.error}

    def curves(self) -> dict:
        return {"precision": torch.ones(256).numpy(), "recall": torch.ones(256).numpy()}


def test_the_best_weights_have_the_lowest_error_and_too_long_without_stops(
        made_sets, runs, monkeypatch, capsys):
    errors = [0.4, 0.2, 0.3, 0.2, 0.1, 0.1, 0.2, 0.3, 0.0]
    kept = []

    def validate(network, pairs, run):
        best = runs / "trial/best.pt"
        kept.append(torch.load(best, weights_only=True)["at"]["epoch"] if kept else None)
        scores = Scores(errors[len(kept) - 1])
        return Validated(run.progress.step, pairs, scores.compute(), scores, "", {})

    monkeypatch.setattr(train_script, "validate", validate)
    assert train(made_sets, "val.fraction=0.2", "train.patience=3", "train.epochs=9") == 0
    assert kept == [None, 1, 2, 2, 2, 5, 5, 5]  # the epoch that best.pt was written in
    assert "stopped early: 3 validations without a better one" in capsys.readouterr().out


def test_bf16_predicts_in_bf16():
    network = nn.Conv2d(3, 1, 3)
    batch = {"image": torch.randn(2, 3, 16, 16), "name": ["a", "b"]}

    class Network(nn.Module):
        def forward(self, image):
            return {"saliency": network(image)}

    exact, _ = forward(Network(), batch, Precision("fp32", CPU))
    rounded, _ = forward(Network(), batch, Precision("bf16", CPU))
    assert (exact.dtype, rounded.dtype) == (torch.float32, torch.bfloat16)
    assert not torch.equal(exact, rounded.float())
    assert torch.allclose(exact, rounded.float(), rtol=0.05, atol=0.02)
