"""What every network must do, and the released code's outputs. The networks, and what they are held
against, are in ``released.py``; nothing here names one."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import model
from tests.model.released import RELEASED, Released
from utils.config import load_config
from utils.paths import CONFIGS, ROOT
from utils.weights import load_weights

REGISTERED = [name for name in model.names() if name in RELEASED]
VALUES = [name for name in REGISTERED if not RELEASED[name].like]
SHAPES = [name for name in REGISTERED if RELEASED[name].like]


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The images of a test do not depend on which tests ran before."""
    torch.manual_seed(0)


def places_missing(name: str) -> list[str]:
    """The places that a registered network should have and has not."""
    source = Path(sys.modules[model.network_class(name).__module__].__file__)
    page = ROOT / "docs" / f"{source.stem}.md"
    recipe = CONFIGS / f"{name}.yaml"
    missing = [] if name in RELEASED else [f"a line for {name} in tests/model/released.py"]
    missing += [str(path.relative_to(ROOT)) for path in (page, recipe) if not path.is_file()]
    if recipe.is_file() and load_config(recipe).model.name != name:
        missing.append(f"model.name={name} in {recipe.name}")
    return missing


@pytest.mark.parametrize("name", model.names())
def test_every_registered_network_has_its_places(name):
    assert not places_missing(name)


def test_a_network_without_its_places_is_noticed(monkeypatch):
    monkeypatch.setitem(model._NETWORKS, "untested", model._NETWORKS["cpd_vgg"])
    assert places_missing("untested") == ["a line for untested in tests/model/released.py",
                                          "configs/untested.yaml"]


@pytest.mark.parametrize("name", SHAPES)
def test_networks_tested_by_shapes_differ_from_the_tested_one_in_size_only(name):
    small = RELEASED[name].like
    assert small in VALUES
    classes, options = zip(*(model._NETWORKS[key] for key in (name, small)), strict=True)
    assert classes[0] is classes[1] and options[0].keys() == options[1].keys()
    differing = {key for key in options[0] if options[0][key] != options[1][key]}
    families = {options[number]["trunk"].rstrip("0123456789") for number in (0, 1)}
    assert differing == {"trunk"} and len(families) == 1


#: Tensors with a shape and without values: a network of any size is built and run at once.
SHAPES_ONLY = FakeTensorMode()


@pytest.fixture(scope="module", params=REGISTERED)
def weightless(request) -> tuple[Released, model.Network]:
    """A network without values, of which names and shapes are tested."""
    with SHAPES_ONLY:
        return RELEASED[request.param], model.build(request.param,
                                                    **RELEASED[request.param].options)


@pytest.mark.parametrize("name", REGISTERED)
def test_building_reads_no_file(name, monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("a constructor read a file or an address")

    for module, reader in ((torch, "load"), (torch.hub, "load_state_dict_from_url"),
                           (torch.hub, "download_url_to_file"), (Path, "open")):
        monkeypatch.setattr(module, reader, forbidden)
    monkeypatch.setattr("builtins.open", forbidden)
    with torch.device("meta"):
        model.build(name)


def test_parameter_count(weightless):
    released, network = weightless
    assert sum(p.numel() for p in network.parameters()) == released.parameters


def test_every_trunk_key_of_the_imagenet_file_has_one_place(weightless):
    """Several trunks of a network may take the same tensor, one trunk never takes one twice."""
    _, network = weightless
    assert network.trunks()
    for name, trunk in network.trunks().items():
        keys = trunk.imagenet_keys()
        assert keys.keys() == trunk.state_dict().keys(), name
        assert len(set(keys.values())) == len(keys), name


@pytest.mark.parametrize("weightless", SHAPES, indirect=True)
@pytest.mark.parametrize("size", [(0, 32), (36, 11)])
def test_shapes_and_the_reach_of_gradients(weightless, size):
    """Of the larger networks; the tests below run on all others with values."""
    released, network = weightless
    height, width = (network.smallest_side + more for more in size)
    with SHAPES_ONLY:
        outputs = network.train()(torch.randn(2, 3, height, width))
        sum(logits.mean() for logits in outputs.values()).backward()
    assert {key: tuple(logits.shape) for key, logits in outputs.items()} == dict.fromkeys(
        released.outputs, (2, 1, height, width))
    unreached = [key for key, p in network.named_parameters()
                 if p.grad is None and not key.startswith(network.never_trained)]
    assert not unreached
    network.zero_grad()


@pytest.fixture(scope="module", params=[name for name in VALUES if RELEASED[name].golden])
def golden_network(request, golden) -> tuple[Released, dict, dict, dict, model.Network]:
    """The line, description, reference outputs and released state of a network, and the network,
    which is not filled."""
    released = RELEASED[request.param]
    files = golden.folder / "models" / released.golden
    description = json.loads(files.with_suffix(".json").read_text())
    arrays = dict(np.load(files.with_suffix(".npz")))
    state = golden.golden_state(description["state_dict"])
    for key, value in arrays.items():
        if key.startswith("state/"):
            state[key.removeprefix("state/")] = torch.from_numpy(value)
    return released, description, arrays, state, model.build(request.param).eval()


def test_outputs_equal_the_released_network(golden, golden_network, capsys):
    released, description, arrays, state, network = golden_network
    load_weights(network, {f"module.{key}": value for key, value in state.items()})
    with torch.no_grad():
        outputs = network(golden.golden_input(description["input_shape"],
                                              description["input_seed"]))
    for ours, theirs in released.outputs.items():
        expected = arrays[f"output/{theirs}"]
        ours_now = outputs[ours].sigmoid() if ours in released.probabilities else outputs[ours]
        error = np.abs(ours_now.numpy() - expected).max() / expected.std()
        assert error < released.tolerance, f"{ours}: {error:.2e} of the deviation"
    printed = capsys.readouterr().out
    assert released.left_out in printed and bool(printed) == bool(released.left_out)


def test_every_released_key_has_exactly_one_place(golden_network):
    released, description, _, state, network = golden_network
    idle = [key for key in state if key.startswith(network.never_run)]
    ours = [network.released_key(key) for key in state if key not in idle]
    assert sorted(ours) == sorted(network.state_dict())
    learned = sum(state[key].numel() for key in idle
                  if "running" not in key and "num_batches" not in key)
    assert released.parameters + learned == description["parameters"]


@pytest.fixture(scope="module", params=VALUES)
def built(request) -> tuple[Released, model.Network]:
    """A network whose batch norms keep most features positive. Ordinary random weights amplify
    rounding until it decides the output, which is then no measure of anything."""
    torch.manual_seed(0)
    released = RELEASED[request.param]
    network = model.build(request.param, **released.options).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.1)
            nn.init.constant_(module.bias, 0.3)
    return released, network


@pytest.fixture(scope="module")
def stepped(built) -> dict[tuple[int, int], dict[str, torch.Tensor | None]]:
    """Size → parameter → its gradient; no parameter may be written in place meanwhile."""
    _, network = built
    torch.manual_seed(0)
    before = {key: p._version for key, p in network.named_parameters()}
    gradients = {}
    side = network.smallest_side
    for size in ((side, side), (side + 36, side + 11)):
        outputs = network(torch.randn(2, 3, *size))
        sum(logits.sigmoid().mean() for logits in outputs.values()).backward()
        gradients[size] = {key: p.grad for key, p in network.named_parameters()}
        for parameter in network.parameters():
            parameter.grad = None
    assert before == {key: p._version for key, p in network.named_parameters()}
    assert all(p.is_leaf for p in network.parameters())
    return gradients


def test_gradients_reach_every_parameter_and_are_finite(built, stepped):
    _, network = built
    for size, gradients in stepped.items():
        for key, gradient in gradients.items():
            if key.startswith(network.never_trained):
                assert not network.get_parameter(key).requires_grad, key
                continue
            assert gradient is not None, (size, key)
            assert torch.isfinite(gradient).all(), (size, key)
            assert gradient.any(), (size, key)


@pytest.fixture(scope="module")
def settled(built, stepped) -> tuple[Released, model.Network]:
    """The network in evaluation mode, with batch norms that have seen one batch."""
    released, network = built
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    torch.manual_seed(0)
    with torch.no_grad():
        network.train()(torch.randn(2, 3, *[network.smallest_side + 32] * 2))
    return released, network.eval()


def distance(outputs: dict, expected: dict) -> dict[str, float]:
    """The mean absolute difference of each output, in parts of its deviation."""
    return {key: float((outputs[key].float() - logits).abs().mean() / logits.std())
            for key, logits in expected.items()}


@pytest.mark.parametrize("size", [(32, 64), (36, 11)])
def test_outputs_of_a_batch_of_one_are_finite_logits_at_its_size(settled, size):
    released, network = settled
    height, width = (network.smallest_side + more for more in size)
    with torch.no_grad():
        outputs = network(torch.randn(1, 3, height, width))
    assert next(iter(outputs)) == "saliency" and outputs.keys() == released.outputs.keys()
    for logits in outputs.values():
        assert logits.shape == (1, 1, height, width)
        assert torch.isfinite(logits).all() and logits.std() > 0


def test_images_of_a_batch_do_not_touch_in_evaluation(settled):
    _, network = settled
    images = torch.randn(2, 3, *[network.smallest_side] * 2)
    with torch.no_grad():
        together, alone = network(images), network(images[1:])
    apart = distance({key: logits[1:] for key, logits in together.items()}, alone)
    assert max(apart.values()) < 1e-3, apart


def test_traces_without_a_warning_and_generalises(settled):
    """A branch on shapes would be frozen into the trace, with a TracerWarning."""
    _, network = settled
    side = network.smallest_side
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        # torch's own check would trace a second time.
        traced = torch.jit.trace(network, torch.randn(1, 3, side, side), strict=False,
                                 check_trace=False)
    image = torch.randn(2, 3, side + 32, side)
    with torch.no_grad():
        apart = distance(traced(image), network(image))
    assert max(apart.values()) < 1e-3, apart


def test_exports_without_a_warning(settled):
    _, network = settled
    image = torch.randn(1, 3, network.smallest_side, network.smallest_side + 32)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error", UserWarning)
        exported = torch.export.export(network, (image,)).module()(image)
        expected = network(image)
    assert all(type(logits) is torch.Tensor for logits in expected.values())  # no stand-ins
    apart = distance(exported, expected)
    assert max(apart.values()) < 1e-3, apart


def test_bf16_is_used_and_stays_near_float32(settled):
    released, network = settled
    image = torch.randn(2, 3, network.smallest_side, network.smallest_side + 32)
    with torch.no_grad():
        expected = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(image)
    apart = distance(half, expected)
    for key in released.in_bf16 or apart:
        assert 1e-5 < apart[key] < 0.1, apart
