"""An ONNX file that export.py wrote, in a network's place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

import model
from utils.config import merge_config
from utils.errors import UserError
from utils.schema import Config
from utils.values import read_yaml_text

from .export import NORMALISED, onnx_session


class OnnxNetwork(nn.Module):
    """Runs a file by onnxruntime, on the CPU: normalised images (N, 3, H, W) → ``saliency``, logits
    (N, 1, H, W).

    Attributes:
        config: the configuration that the file tells of.

    Raises:
        UserError: onnxruntime is missing, export.py did not write the file, or it takes bytes.
    """

    def __init__(self, path: Path, overrides: Sequence[str] = ()):
        super().__init__()
        self.session = onnx_session(path)
        about = self.session.get_modelmeta().custom_metadata_map
        if "config" not in about:
            raise UserError(f"{path} is an ONNX network that export.py did not write. With "
                            "--config RECIPE its weights are loaded into the recipe's network.")
        if about["input"] != NORMALISED:
            raise UserError(f"{path} normalises images itself ({about['input']}), and test.py "
                            "gives it normalised ones; export it without --with-normalisation to "
                            "score it.")
        recipe = read_yaml_text(about["config"], str(path), Config)
        self.config: DictConfig = merge_config(recipe, overrides, str(path))
        self.require_size = model.network_class(self.config.model.name).require_size

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        (logits,) = self.session.run(["logits"], {"image": image.float().cpu().numpy()})
        return {"saliency": torch.from_numpy(logits).to(image.device)}
