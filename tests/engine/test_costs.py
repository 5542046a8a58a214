"""What a network costs before it is trained: shapes, activations, memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from engine.__main__ import main
from engine.precision import Precision
from engine.summary import outputs_of, step_memory

CPU = torch.device("cpu")


class Small(nn.Module):
    """Two convolutions, of which the second one is one of a list."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.heads = nn.ModuleList([nn.Conv2d(4, 1, 1, stride=2)])

    def forward(self, image):
        return {"saliency": self.heads[0](self.first(image))}


def test_shapes_and_activations_are_those_of_the_parts():
    assert outputs_of(Small(), (8, 6)) == {
        "first": ("4×8×6", 4 * 48), "heads": ("", 12), "": ("1×4×3", 4 * 48 + 12)}


@pytest.mark.parametrize("precision, values", [("fp32", 4), ("bf16", 2)])
@pytest.mark.parametrize("fake", [False, True])
def test_memory_is_what_the_backward_pass_needs(precision, values, fake):
    """The image, which the first convolution keeps, and the features between the two; in bf16 also
    the weights as they were rounded, and the float32 ones of their conversion are the network's."""
    with FakeTensorMode(allow_non_fake_inputs=True) if fake else torch.device("cpu"):
        memory = step_memory(Small(), (8, 6), 2, Precision(precision, CPU), "adam")
    parameters = 4 * 3 * 9 + 4 + 4 + 1
    rounded = 0 if precision == "fp32" else 2 * (4 * 3 * 9 + 4)
    assert memory == {"weights": 4 * parameters, "gradients": 4 * parameters,
                      "optimizer": 8 * parameters,
                      "features": values * 2 * 48 * (3 + 4) + rounded}


def test_the_command_prints_costs_and_memory_of_a_recipe(capsys):
    assert main(["summary", "--config", "demo", "train.precision=bf16"]) == 0
    printed = capsys.readouterr().out
    assert "CPD, one image of 96×96" in printed and "1×96×96" in printed
    assert "a training step on 8 images in bf16, by adam: at least 0.0" in printed
    assert main(["summary", "--config", "wssa", "data.scales=[1,0.5]", "train.precision=fp16"]) == 0
    printed = "".join(capsys.readouterr())
    assert "model.options.canny=torch" in printed and "in fp16, by adam" in printed
    assert main(["sumary"]) == 2
    assert "python -m engine summary --config RECIPE" in capsys.readouterr().err


def test_a_batch_that_is_too_small_for_batch_norms_is_named(capsys):
    small = Path(__file__).parents[1] / "small.yaml"
    alone = ["summary", "--config", str(small), "train.batch=1"]
    assert main(alone) == 2
    assert "a batch norm of this network met a single value, with 1 image in 1 part" in \
        capsys.readouterr().err
    assert main([*alone, "optim.eval_norm=[all]"]) == 0
