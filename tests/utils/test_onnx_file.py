"""Weights in ONNX files: exports with merged batch norms and with kept ones, and what fits none."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import model
from utils import weights
from utils.config import default_config
from utils.errors import UserError
from utils.weights_file import read_file

onnx = pytest.importorskip("onnx")

#: U²-Net's, with a fraction of its channels.
THIN = {stage: (3 if stage == "1" else 8 if stage.endswith("d") else 4, 2, 4)
        for stage in model.u2net.SMALL}


class Maps(nn.Module):
    """A network whose outputs are a tuple, as released networks have them."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.network(image).values())


def export(network: nn.Module, path: Path, side: int, **options) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter merges, as that of the published file did
        torch.onnx.export(network.eval(), torch.zeros(1, 3, side, side), path, dynamo=False,
                          **options)


def rename(graph, change: Callable[[str], str]) -> None:
    """Give the tensors of a graph other names."""
    for holder in (graph.initializer, *(node.input for node in graph.node)):
        for number, entry in enumerate(holder):
            if isinstance(entry, str):
                holder[number] = change(entry)
            else:
                entry.name = change(entry.name)


def released_names(path: Path) -> None:
    """Take the wrapper's name off the tensors of a file."""
    content = onnx.load(path)
    rename(content.graph, lambda name: name.removeprefix("network."))
    onnx.save(content, path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[nn.Module, Path]:
    """A thin U²-NetP with statistics as of a training, and its export with merged norms."""
    torch.manual_seed(0)
    network = model.build("u2netp", widths=THIN).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.running_var):
                nn.init.uniform_(values, 0.5, 2)
            for values in (module.bias, module.running_mean):
                nn.init.normal_(values)
    path = tmp_path_factory.mktemp("exported") / "u2netp.onnx"
    export(Maps(network), path, 64)
    released_names(path)
    return network, path


def changed(path: Path, folder: Path, change) -> Path:
    """A copy of a file whose graph ``change`` has changed."""
    content = onnx.load(path)
    change(content.graph)
    onnx.save(content, folder / "changed.onnx")
    return folder / "changed.onnx"


def convolutions(graph) -> list:
    return [node for node in graph.node if node.op_type == "Conv"]


def test_an_export_with_merged_norms_gives_the_networks_outputs(exported, capsys):
    network, path = exported
    names = [node.input[1] for node in convolutions(onnx.load(path).graph)]
    assert sum(name.startswith("onnx::") for name in names) == 112  # numbered
    assert names[-1] == "fuse.weight"  # followed by no norm, so named
    other = model.build("u2netp", widths=THIN).eval()
    weights.load_weights(other, path)
    note = capsys.readouterr().err
    assert "merged into its 119 convolutions" in note and "good for testing alone" in note
    image = torch.rand(2, 3, 96, 64)
    with torch.no_grad():
        for expected, output in zip(network(image).values(), other(image).values(), strict=True):
            assert torch.allclose(output, expected, atol=1e-5 * expected.abs().max().item())


def test_training_on_an_export_prints_what_that_does(exported, monkeypatch, capsys):
    config = default_config().weights
    config.network = str(exported[1])
    weights.initialise(model.build("u2netp", widths=THIN), config)
    assert "none of its 112 batch norms changes anything" in capsys.readouterr().err


class Small(nn.Sequential):
    """What loading needs of a network, around some layers."""

    released_key, never_run, fixed_side, smallest_side = staticmethod(str), (), 0, 8


def small(*layers: nn.Module) -> Small:
    """A network of these layers whose norms have statistics as of a training."""
    network = Small(*layers)
    for name, values in network.state_dict().items():
        if "weight" in name or "running" in name:
            nn.init.uniform_(values, 0.5, 2)
    return network.eval()


def layers(bias: bool) -> list[nn.Module]:
    return [nn.Conv2d(3, 4, 3, bias=bias), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1),
            nn.Conv2d(4, 4, 1)]


@pytest.fixture
def pair(tmp_path, request) -> tuple[Small, Small, Path]:
    """Two networks of the same layers, and the first one's export."""
    options = request.param if isinstance(request.param, dict) else {}
    first, second = (small(*layers(bias=False)) for _ in range(2))
    export(first, tmp_path / "small.onnx", 8, **options)
    return first, second, tmp_path / "small.onnx"


KEPT = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}


@pytest.mark.parametrize("pair", [KEPT], indirect=True)
def test_an_export_that_kept_its_norms_is_matched_by_name(pair, capsys):
    first, second, path = pair
    weights.load_weights(second, path)
    assert "merged" not in capsys.readouterr().err
    state = second.state_dict()
    assert all(torch.equal(state[key], value) for key, value in first.state_dict().items())


@pytest.mark.parametrize("pair", ["merged"], indirect=True)
def test_a_convolution_without_bias_leaves_it_to_its_norm(pair):
    first, second, path = pair
    weights.load_weights(second, path)
    image = torch.rand(1, 3, 8, 8)
    assert torch.allclose(second(image), first(image), atol=1e-5)
    assert second[1].bias.any()


@pytest.mark.parametrize("pair", ["merged"], indirect=True)
def test_norms_that_nothing_can_have_merged_are_refused(pair, tmp_path):
    path, (first, second, *rest) = pair[2], layers(bias=True)
    with pytest.raises(UserError, match="some of its batch norms follow no convolution"):
        weights.load_weights(small(first, second, nn.BatchNorm2d(4), *rest), path)
    norm = onnx.helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"])
    with pytest.raises(UserError, match="convolutions without names and 1 batch norms"):
        weights.load_weights(pair[1], changed(path, tmp_path, lambda g: g.node.append(norm)))


def swap(graph) -> None:
    _, first, second = convolutions(graph)
    first.input[1], second.input[1] = second.input[1], first.input[1]


def swap_wrapped(graph) -> None:
    swap(graph)
    rename(graph, lambda name: f"module.network.{name}" if "." in name else name)


def widen(graph) -> None:
    entry = first_weight(graph)
    wide = torch.zeros(5, 3, 3, 3).numpy()
    entry.CopyFrom(onnx.numpy_helper.from_array(wide, entry.name))


def forget(graph) -> None:
    graph.initializer.remove(first_weight(graph))


def forget_bias(graph) -> None:
    name = convolutions(graph)[1].input[2]
    graph.initializer.remove(next(entry for entry in graph.initializer if entry.name == name))


def first_weight(graph):
    """The weight of the first convolution, which is numbered."""
    name = convolutions(graph)[0].input[1]
    return next(entry for entry in graph.initializer if entry.name == name)


@pytest.mark.parametrize("pair", ["merged"], indirect=True)
@pytest.mark.parametrize(("change", "message"), [
    (swap, r"3: 4\.weight runs in its place\n  - 4: 3\.weight runs in its place"),
    (swap_wrapped, r"3: module\.network\.4\.weight runs in its place"),
    (widen, r"0: onnx::Conv_\d+ is \(5, 3, 3, 3\), the network's \(4, 3, 3, 3\)"),
    (forget, r"0: onnx::Conv_\d+ is computed in the graph, not kept in the file"),
    (forget_bias, r"3: 3\.bias is computed in the graph, not kept in the file"),
    (lambda graph: graph.node.remove(convolutions(graph)[-1]),
     "2 convolutions in its graph, 3 in the network"),
])
def test_an_export_of_another_network_is_refused_whole(pair, tmp_path, change, message):
    network = pair[1]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError, match=message):
        weights.load_weights(network, changed(pair[2], tmp_path, change))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


class Filter(nn.Module):
    """A layer whose weight has a name of its own, as that of CPD's holistic attention."""

    def __init__(self, channels: int):
        super().__init__()
        self.kernel = nn.Parameter(torch.rand(channels, 4, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(image, self.kernel)


def test_what_an_export_without_norms_calls_its_weights_is_kept(tmp_path, capsys):
    first, second, wider = (small(nn.Conv2d(3, 4, 3), Filter(channels)) for channels in (1, 1, 2))
    export(first, tmp_path / "small.onnx", 8)
    weights.load_weights(second, tmp_path / "small.onnx")
    assert "merged" not in capsys.readouterr().err
    assert torch.equal(second[1].kernel, first[1].kernel)
    with pytest.raises(UserError, match=r"shape of 1\.kernel(.|\n)*Of an ONNX file only convolu"):
        weights.load_weights(wider, tmp_path / "small.onnx")


def test_a_damaged_file_and_a_missing_package_are_named(exported, tmp_path, monkeypatch):
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(exported[1].read_bytes()[:-99])
    with pytest.raises(UserError, match="the ONNX file is damaged"):
        read_file(damaged, of_others=True)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match="need the package onnx; install it with pip install onnx"):
        read_file(exported[1], of_others=True)
