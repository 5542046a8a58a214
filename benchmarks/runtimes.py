"""What runs a network on the CPU: torch, onnxruntime, OpenVINO, each in float32 or bf16."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

import model
from engine.export import NORMALISED, Deployed, is_installed, write
from engine.exported import OnnxNetwork
from engine.trained import Trained, TrainedElsewhere
from utils.errors import UserError


class Runtime(NamedTuple):
    """A way to run a network.

    Attributes:
        package: what runs it.
        precision: in which it computes.
        needs: packages that it takes beside torch, one of them to write an ONNX file.
    """

    package: str
    precision: str
    needs: tuple[str, ...] = ()


_FILE = ("onnx", "onnxscript")  # write one
#: Name → how it runs. OpenVINO takes bf16 by itself where the processor has it, so that both are
#: asked for by name.
RUNTIMES = MappingProxyType({
    "torch fp32": Runtime("torch", "fp32"),
    "torch bf16": Runtime("torch", "bf16"),
    "onnxruntime fp32": Runtime("onnxruntime", "fp32", (*_FILE, "onnxruntime")),
    "openvino fp32": Runtime("openvino", "fp32", (*_FILE, "openvino")),
    "openvino bf16": Runtime("openvino", "bf16", (*_FILE, "openvino")),
})


def missing(name: str) -> list[str]:
    """The packages that a runtime needs and that are not installed."""
    return [package for package in RUNTIMES[name].needs if not is_installed(package)]


def version(name: str) -> str:
    """The runtime's package and its version."""
    package = RUNTIMES[name].package
    return f"{package} {importlib.metadata.version(package)}"


#: Names of the files of a network.
WEIGHTS, ONNX = "net.pt", "net.onnx"


def write_network(config: DictConfig, size: tuple[int, int], folder: Path) -> nn.Module:
    """The network with random weights, in evaluation mode, which are written as well.

    Batch norms have seen one batch: without, numbers grow from layer to layer until CSNet gives
    NaN, and other numbers than usual take other times.

    Args:
        size: height and width of the images, in pixels.
    """
    torch.manual_seed(0)
    network = model.from_recipe(config).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(2, 3, *size))
    torch.save(network.eval().state_dict(), folder / WEIGHTS)
    return network


def write_onnx(network: nn.Module, config: DictConfig, size: tuple[int, int],
               folder: Path) -> None:
    """Write the network's ONNX file.

    Raises:
        UserError: it cannot be exported.
    """
    about = {"config": OmegaConf.to_yaml(config), "input": NORMALISED}
    write(Deployed(network), torch.randn(2, 3, *size), folder / ONNX, "onnx", about)


class OpenVinoNetwork(nn.Module):
    """Runs an ONNX file by OpenVINO, on the CPU: normalised images (N, 3, H, W) → ``saliency``,
    logits (N, 1, H, W).

    Args:
        precision: fp32 or bf16.
    """

    def __init__(self, path: Path, precision: str):
        super().__init__()
        import openvino

        self.compiled = openvino.Core().compile_model(str(path), "CPU", {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        logits = self.compiled({"image": image.float().numpy()})["logits"]
        return {"saliency": torch.from_numpy(logits.copy())}


def trained(name: str, config: DictConfig, folder: Path) -> Trained:
    """The network as a runtime runs it, for ``engine.Predictor``.

    Args:
        folder: has the files of ``write_network`` and ``write_onnx``.

    Raises:
        UserError: a package is missing.
    """
    if absent := missing(name):
        raise UserError(f"{name} needs {', '.join(absent)}: pip install {' '.join(absent)}")
    runtime, path = RUNTIMES[name], folder / ONNX
    if runtime.package == "torch":
        weights = torch.load(folder / WEIGHTS, weights_only=True)
        return Trained(config, partial(_load, weights=weights), folder / WEIGHTS, "")
    network = OnnxNetwork(path) if runtime.package == "onnxruntime" else \
        OpenVinoNetwork(path, runtime.precision)
    return TrainedElsewhere(config, _load, path, "", network)


def _load(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    network.load_state_dict(weights)
