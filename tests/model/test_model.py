"""Networks against the released code's outputs, and what every network must do."""

from __future__ import annotations

import json
import warnings
from typing import NamedTuple

import numpy as np
import pytest
import torch

import model
from model.cpd import gaussian_kernel
from utils.errors import UserError
from utils.weights import load_weights


class Released(NamedTuple):
    """What a network is held against."""

    golden: str  # name of its reference outputs
    outputs: dict[str, str]  # our name → released name
    parameters: int  # ours; the released network's others never run, or never learn
    # Of the output's deviation. All are equal bit for bit where the golden outputs were made
    # (AVX-512, two threads). On any machine random weights amplify rounding, those of CPD-R by
    # 4.2e-3 between float32 and float64 (docs/cpd.md).
    tolerance: float


RELEASED = {
    "cpd_vgg": Released("cpd_vgg", {"saliency": "detection", "attention": "attention"},
                        29_232_771, 1e-4),
    "cpd_resnet": Released("cpd_r", {"saliency": "detection", "attention": "attention"},
                           47_851_075, 1e-2),
    "wssa": Released("wssa", {"saliency": "sal_ref", "initial": "sal_init", "edge": "edge_map"},
                     15_526_029, 1e-3),
    "scwssod": Released("scwssod", {"saliency": "out2", "side3": "out3", "side4": "out4",
                                    "side5": "out5"}, 63_537_997, 1e-2),
    "tracer_te0": Released("tracer0", {"saliency": "final", "edge": "edge", "side0": "ds0",
                                       "side1": "ds1", "side2": "ds2"}, 7_453_090, 2e-2),
    "bgnet": Released("bgnet", {"saliency": "o1", "side2": "o2", "side3": "o3", "edge": "edge"},
                      77_803_714, 1e-2),
}
PROBABILITIES = {"tracer_te0": set(RELEASED["tracer_te0"].outputs), "bgnet": {"edge"}}
#: Not released, or without reference outputs; with the outputs of their like.
OTHERS = {"scwssod_vgg": RELEASED["scwssod"], "tracer_vgg": RELEASED["tracer_te0"],
          "tracer_resnet50": RELEASED["tracer_te0"]}
#: TRACER's sizes and their parameters; all but the smallest are too slow for every test.
SIZES = dict(enumerate((7_453_090, 9_958_726, 11_085_364, 14_015_462, 20_705_138, 31_303_954,
                        43_470_822, 66_266_806)))
TRACED_WITH = {"wssa": {"canny": "torch"}}  # where the released way leaves torch


@pytest.fixture(scope="module", params=sorted(RELEASED | OTHERS))
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module", params=sorted(RELEASED))
def released(request) -> str:
    return request.param


def test_every_network_is_tested():
    assert sorted({*RELEASED, *OTHERS, *(f"tracer_te{size}" for size in SIZES)}) == model.names()


def without_weights(name: str) -> torch.nn.Module:
    """A network of which only names and shapes matter: random weights take long to draw."""
    with torch.device("meta"):
        return model.build(name)


@pytest.fixture(scope="module")
def released_state(golden, released) -> tuple[dict, dict, dict]:
    """The description, outputs and released state dict of a golden network; not to be changed."""
    files = golden.folder / "models" / RELEASED[released].golden
    description = json.loads(files.with_suffix(".json").read_text())
    arrays = dict(np.load(files.with_suffix(".npz")))
    state = golden.golden_state(description["state_dict"])
    for key, value in arrays.items():
        if key.startswith("state/"):
            state[key.removeprefix("state/")] = torch.from_numpy(value)
    return description, arrays, state


def test_outputs_equal_the_released_network(golden, released, released_state, capsys):
    description, arrays, state = released_state
    network = model.build(released).eval()
    load_weights(network, {f"module.{key}": value for key, value in state.items()})
    with torch.no_grad():
        outputs = network(golden.golden_input(description["input_shape"],
                                              description["input_seed"]))
    for ours, theirs in RELEASED[released].outputs.items():
        expected = arrays[f"output/{theirs}"]
        found = outputs[ours].sigmoid() if ours in PROBABILITIES.get(released, ()) \
            else outputs[ours]
        error = np.abs(found.numpy() - expected).max() / expected.std()
        assert error < RELEASED[released].tolerance, f"{ours}: {error:.2e} of the deviation"
    assert ("33 tensors (1270674 values) of classification, layer5, layer6, rcab_feat"
            in capsys.readouterr().out) == (released == "wssa")


def test_parameter_count_equals_the_released_network(released):
    network = without_weights(released)
    assert sum(p.numel() for p in network.parameters()) == RELEASED[released].parameters


def test_every_released_key_has_exactly_one_place(released, released_state):
    description, _, state = released_state
    network = without_weights(released)
    idle = [key for key in state if key.startswith(getattr(network, "never_run", ()))]
    ours = [network.released_key(key) for key in state if key not in idle]
    assert sorted(ours) == sorted(network.state_dict())
    learned = sum(state[key].numel() for key in idle if "running" not in key)
    learned -= sum("num_batches" in key for key in idle)
    assert RELEASED[released].parameters + learned == description["parameters"]


def settled(name: str) -> torch.nn.Module:
    """A network in evaluation mode whose batch norms have seen a batch. Before, the features of
    a deep network made of products grow beyond float32."""
    network = model.build(name, **TRACED_WITH.get(name, {})).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    side = 160 if name.startswith("tracer") else 96
    with torch.no_grad():
        network(torch.randn(2, 3, side, side))
    return network.eval()


@pytest.fixture(scope="module")
def settled_network(name) -> torch.nn.Module:
    """``settled`` once for all tests of a network, which leave it as it is."""
    return settled(name)


@pytest.mark.parametrize("size", [(96, 128), (100, 75)])
def test_outputs_are_logits_at_input_size(name, settled_network, size):
    with torch.no_grad():
        outputs = settled_network(torch.randn(1, 3, *size))
    assert set(outputs) == set((RELEASED | OTHERS)[name].outputs)
    assert next(iter(outputs)) == "saliency"
    for logits in outputs.values():
        assert logits.shape == (1, 1, *size)
        assert torch.isfinite(logits).all()


def test_traces_without_a_warning_and_generalises(name, settled_network):
    """A branch on shapes would be frozen into the trace, with a TracerWarning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        # Of smaller maps, TRACER's edges leave no frequency.
        side = 128 if name.startswith("tracer") else 64
        # Its own check would trace again; the outputs are compared below, at another size.
        traced = torch.jit.trace(settled_network, torch.randn(1, 3, side, side), strict=False,
                                 check_trace=False)
    other = torch.randn(2, 3, side + 32, side)
    with torch.no_grad():
        expected, got = settled_network(other), traced(other)
    for key in expected:
        assert torch.allclose(expected[key], got[key], atol=1e-5, rtol=1e-4)
    assert all(logits.std() > 0 for logits in expected.values())


@pytest.fixture(scope="module")
def stepped(name) -> tuple[torch.nn.Module, dict[str, int]]:
    """A network after a pass forward and back, and how often each parameter was written before."""
    network = model.build(name).train()
    versions = {key: p._version for key, p in network.named_parameters()}
    outputs = network(torch.randn(2, 3, 64, 64))
    sum(logits.mean() for logits in outputs.values()).backward()
    return network, versions


def test_gradients_reach_every_parameter_and_are_finite(stepped):
    network, _ = stepped
    for key, parameter in network.named_parameters():
        if key.startswith("edges.idle."):  # TRACER's, see there
            assert not parameter.requires_grad
            continue
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


def test_a_black_image_gives_finite_gradients():
    """Min–max of a constant map divides by almost zero; square roots at zero would be NaN."""
    network = model.build("cpd_vgg", width=0.125)
    outputs = network(torch.zeros(1, 3, 64, 64))
    sum(logits.sum() for logits in outputs.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_no_parameter_is_written_in_place(stepped):
    network, before = stepped
    assert before == {key: p._version for key, p in network.named_parameters()}
    assert all(p.is_leaf for p in network.parameters())


def test_pooling_is_average_by_default_and_a_choice():
    average, maximum = model.build("cpd_vgg").trunk, model.build("cpd_vgg", pool="max").trunk
    maximum.load_state_dict(average.state_dict())
    image = torch.randn(1, 3, 32, 32)
    assert isinstance(average.conv2.pool, torch.nn.AvgPool2d)
    assert not torch.allclose(average(image)[-1], maximum(image)[-1])


def test_holistic_kernel_is_as_released():
    kernel = gaussian_kernel()
    assert kernel.shape == (1, 1, 31, 31)
    assert kernel.sum().item() == pytest.approx(1, abs=1e-6)
    assert kernel.max().item() == pytest.approx(0.0057, abs=5e-5)


def test_building_reads_no_file(name, monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("a constructor read weights")

    monkeypatch.setattr(torch, "load", forbidden)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", forbidden)
    without_weights(name)


def test_unknown_names_and_options_are_errors():
    with pytest.raises(UserError, match="did you mean 'cpd_vgg'"):
        model.build("cpd_vg")
    with pytest.raises(UserError, match="depth"):
        model.build("cpd_vgg", depth=19)
    with pytest.raises(UserError, match="avg"):
        model.build("cpd_vgg", pool="median")
