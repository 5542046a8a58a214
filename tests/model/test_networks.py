"""What every network must do, and the released code's outputs. The networks, and what they are held
against, are in ``released.py``; nothing here names one."""

from __future__ import annotations

import builtins
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import model
from tests.model.calm import keep_positive, settle, size_of
from tests.model.reference import unfilled_network
from tests.model.released import RELEASED, Released
from utils.config import load_config
from utils.paths import CONFIGS, ROOT
from utils.weights import load_weights

REGISTERED = [name for name in model.names() if name in RELEASED]
VALUES = [name for name in REGISTERED if not RELEASED[name].like]
SHAPES = [name for name in REGISTERED if RELEASED[name].like]


@pytest.fixture(autouse=True)
def seed() -> None:
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


def trunk_family(name: str) -> str:
    """The trunk of a network without its size; empty if it has none."""
    return re.sub(r"_b\d$", "", model._NETWORKS[name][1].get("trunk", ""))


@pytest.mark.parametrize("name", SHAPES)
def test_class_and_trunk_of_networks_tested_by_shapes_are_tested_with_values(name):
    sibling = RELEASED[name].like
    assert sibling in VALUES
    (own_class, own), (its_class, its) = (model._NETWORKS[key] for key in (name, sibling))
    assert own_class is its_class
    assert {key for key in own | its if own.get(key) != its.get(key)} <= {"trunk", "widths"}
    # Reference outputs of its own show a trunk's values, too.
    assert RELEASED[name].golden or trunk_family(name) in {trunk_family(key) for key in VALUES}


@pytest.fixture(scope="module", params=REGISTERED)
def weightless(request) -> tuple[Released, model.Network, list[str]]:
    """A network without values, of which names and shapes are tested, and what building it read."""
    reads = []

    def record(function: Callable) -> Callable:
        def call(*args, **kwargs):
            reads.append(f"{function.__name__}{args}")
            return function(*args, **kwargs)
        return call

    # The first tensor without values makes torch load parts of itself, and these read files.
    nn.init.kaiming_normal_(torch.empty(1, 1, device="meta"))
    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        for module, reader in ((torch, "load"), (torch.hub, "load_state_dict_from_url"),
                               (torch.hub, "download_url_to_file"), (Path, "open"),
                               (builtins, "open")):
            patch.setattr(module, reader, record(getattr(module, reader)))
        network = model.build(request.param, **model.network_class(request.param).in_torch)
    return RELEASED[request.param], network, reads


def test_building_reads_no_file(weightless):
    *_, reads = weightless
    assert not reads


def test_parameter_count(weightless):
    released, network, _ = weightless
    assert sum(p.numel() for p in network.parameters()) == released.parameters


def test_the_deepest_stage_is_a_part_of_the_network(weightless):
    _, network, _ = weightless
    assert network.get_submodule(network.deepest_stage()) is not network


def test_every_trunk_key_of_the_imagenet_file_has_one_place(weightless):
    """Several trunks of a network may take the same tensor, one trunk never takes one twice."""
    released, network, _ = weightless
    assert network.trunks() or not any(trunk_family(name) for name in REGISTERED
                                       if RELEASED[name] is released)
    for name, trunk in network.trunks().items():
        keys = trunk.imagenet_keys()
        assert keys.keys() == {key for key in trunk.state_dict()
                               if not key.startswith(trunk.from_scratch)}, name
        assert len(set(keys.values())) == len(keys), name


#: The largest of each family of trunks.
LARGEST = {(model.network_class(name), trunk_family(name)): name for name in SHAPES}.values()


@pytest.mark.parametrize("weightless", LARGEST, indirect=True)
def test_shapes_and_the_reach_of_gradients(weightless, monkeypatch):
    """Of the networks that are like others; on these, the tests below run with values."""
    # The device without values has no mixed precision, after which torch refuses to be asked.
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)
    released, network, _ = weightless
    size = size_of(network, 4, 11)
    outputs = network.train()(torch.randn(2, 3, *size, device="meta"))
    sum(logits.mean() for logits in outputs.values()).backward()
    assert outputs.keys() == released.outputs.keys()
    assert all(tuple(logits.shape) == (2, 1, *size) for key, logits in outputs.items()
               if key == "saliency" or not network.own_sizes)
    assert not [key for key, p in network.named_parameters()
                if p.grad is None and not key.startswith(network.never_trained)]


@pytest.fixture(scope="module")
def golden_network(released_code) -> tuple[Released, dict, dict, dict, model.Network]:
    """The line, description, reference outputs and released state of a network, and the network,
    which is not filled."""
    name, *code = released_code
    return RELEASED[name], *code, unfilled_network(name).eval()


def reference_output(arrays: dict, name: str) -> np.ndarray:
    """(N, 1, H, W) of the reference outputs, under a name as ``Released.outputs`` has it."""
    factor, name = (2, name.removeprefix("2 * ")) if name.startswith("2 * ") else (1, name)
    name, _, channel = name.partition("/")
    values = factor * arrays[f"output/{name}"]
    values = values[:, int(channel), None] if channel else values
    return values if values.ndim == 4 else values[:, None]


def test_outputs_equal_the_released_network(golden, golden_network, capsys):
    released, description, arrays, state, network = golden_network
    load_weights(network, {f"module.{key}": value for key, value in state.items()})
    image = golden.golden_input(description["input_shape"], description["input_seed"])
    in_double = golden.folder / "models" / f"{released.golden}.f64.npz"
    if in_double.is_file():  # random weights amplify the rounding of float32 too much
        arrays, network, image = dict(np.load(in_double)), network.double(), image.double()
    with torch.no_grad():
        outputs = network(image)
    for ours, theirs in released.outputs.items():
        if not theirs:
            continue
        expected = reference_output(arrays, theirs)
        ours_now = outputs[ours].sigmoid() if ours in released.probabilities else outputs[ours]
        error = np.abs(ours_now.numpy() - expected).max() / expected.std()
        assert error < released.tolerance, f"{ours}: {error:.2e} of the deviation"
    output = capsys.readouterr().err
    assert released.left_out in output
    assert ("left out" in output) == bool(released.left_out)


def test_every_released_key_has_exactly_one_place(golden_network):
    released, description, _, state, network = golden_network
    idle = [key for key in state if key.startswith(network.never_run)]
    ours = [network.released_key(key) for key in state if key not in idle]
    assert sorted(ours) == sorted(network.state_dict())
    idle_parameters = sum(state[key].numel() for key in idle
                          if "running" not in key and "num_batches" not in key)
    assert released.parameters + idle_parameters == description["parameters"]


@pytest.fixture(scope="module", params=VALUES)
def random_network(request) -> tuple[Released, model.Network]:
    """A network whose batch norms keep most features positive, see ``keep_positive``."""
    torch.manual_seed(0)
    released = RELEASED[request.param]
    in_torch = model.network_class(request.param).in_torch
    return released, keep_positive(model.build(request.param, **in_torch | released.thin).train())


@pytest.fixture(scope="module")
def gradients(random_network) -> dict[str, torch.Tensor | None]:
    """Parameter → its gradient; no parameter may be written in place meanwhile."""
    _, network = random_network
    torch.manual_seed(0)
    before = {key: p._version for key, p in network.named_parameters()}
    outputs = network(torch.randn(2, 3, *size_of(network, 4, 11)))
    sum(logits.sigmoid().mean() for logits in outputs.values()).backward()
    assert before == {key: p._version for key, p in network.named_parameters()}
    assert all(p.is_leaf for p in network.parameters())
    gradients = {key: p.grad for key, p in network.named_parameters()}
    network.zero_grad()
    return gradients


def test_gradients_reach_every_parameter_and_are_finite(random_network, gradients):
    _, network = random_network
    for key, gradient in gradients.items():
        if key.startswith(network.never_trained):
            assert not network.get_parameter(key).requires_grad, key
            continue
        assert gradient is not None, key
        assert torch.isfinite(gradient).all(), key
        # The slope of a PReLU has a gradient where a feature is negative, and few are here.
        slope = isinstance(network.get_submodule(key.rpartition(".")[0]), nn.PReLU)
        assert slope or gradient.any(), key


@pytest.fixture(scope="module")
def evaluation_network(random_network, gradients) -> tuple[Released, model.Network]:
    """The network in evaluation mode, with batch norms that have seen one batch."""
    released, network = random_network
    return released, settle(network)


def distance(outputs: dict, expected: dict) -> dict[str, float]:
    """The mean absolute difference of each output, in parts of its deviation."""
    return {key: float((outputs[key].float() - logits).abs().mean() / logits.std())
            for key, logits in expected.items()}


def test_outputs_of_a_batch_of_one_are_finite_logits_at_its_size(evaluation_network):
    released, network = evaluation_network
    for size in dict.fromkeys((size_of(network, 0, 32), size_of(network, 4, 11))):
        with torch.no_grad():
            outputs = network(torch.randn(1, 3, *size))
        assert next(iter(outputs)) == "saliency" and outputs.keys() == released.outputs.keys()
        for name, logits in outputs.items():
            if name == "saliency" or not network.own_sizes:
                assert logits.shape == (1, 1, *size)
            assert torch.isfinite(logits).all() and logits.std() > 0


def test_images_of_a_batch_do_not_touch_in_evaluation(evaluation_network):
    _, network = evaluation_network
    images = torch.randn(2, 3, *size_of(network))
    with torch.no_grad():
        together, alone = network(images), network(images[1:])
    apart = distance({key: logits[1:] for key, logits in together.items()}, alone)
    assert max(apart.values()) < 1e-3, apart


def test_traces_without_a_warning_and_generalises(evaluation_network):
    """A branch on shapes would be frozen into the trace, with a TracerWarning; what is computed
    outside of torch would be a constant of the first image."""
    _, network = evaluation_network
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        # torch's own GroupNorm and LSTM check shapes; what depends on them is tested below.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning, module="torch.nn")
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        # torch's own check would trace a second time.
        trace = torch.jit.trace(network, torch.randn(1, 3, *size_of(network)), strict=False,
                                check_trace=False)
    # ONNX Runtime loads no Where on booleans.
    graph = trace.inlined_graph
    assert not [node for node in graph.findAllNodes("aten::where")
                if node.output().type().scalarType() == "Bool"]
    image = torch.randn(2, 3, *size_of(network, 32))
    with torch.no_grad(), torch.jit.optimized_execution(False):  # which takes longer than it gains
        apart = distance(trace(image), network(image))
    assert max(apart.values()) < 1e-3, apart


def test_bf16_is_used_and_stays_near_float32(evaluation_network):
    released, network = evaluation_network
    image = torch.randn(1, 3, *size_of(network, 0, 32))
    with torch.no_grad():
        expected = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(image)
    apart = distance(half, expected)
    # Processors round differently: up to .1 was seen. Maps that have nothing in common have 1.1.
    for key in released.in_bf16 or apart:
        assert 1e-5 < apart[key] < 0.25, apart
