"""An ONNX file that export.py wrote, in a network's place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
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
        self.path, session = path, onnx_session(path)
        about = session.get_modelmeta().custom_metadata_map
        if not {"config", "input"} <= about.keys():
            raise UserError(f"{path} is an ONNX network that export.py did not write. With "
                            "--config RECIPE its weights are loaded into the recipe's network.")
        if about["input"] != NORMALISED:
            raise UserError(f"{path} normalises images itself ({about['input']}), and test.py "
                            "gives it normalised ones; export it without --with-normalisation to "
                            "score it.")
        recipe = read_yaml_text(about["config"], str(path), Config)
        self.config: DictConfig = merge_config(recipe, overrides, str(path))
        if self.config.test.precision not in ("fp32", "auto"):
            raise UserError(f"test.precision={self.config.test.precision}: {path} computes as it "
                            "was exported; leave it out")
        self.shape = session.get_inputs()[0].shape  # numbers, and names of what is free

    def require_size(self, height: int, width: int) -> None:
        """Raise a UserError unless the file takes images of this size."""
        model.network_class(self.config.model.name).require_size(height, width)
        for side, fixed in zip((height, width), self.shape[2:], strict=True):
            if isinstance(fixed, int) and fixed != side:
                raise UserError(f"{self.path} takes images of {self.shape[2]}×{self.shape[3]} "
                                f"pixels, not {height}×{width}: data.size, test.scales")

    @cached_property
    def session(self):
        """Begun with torch's threads of when it is first used."""
        return onnx_session(self.path)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        self.require_size(*image.shape[-2:])
        try:
            (logits,) = self.session.run(["logits"], {"image": image.float().cpu().numpy()})
        except Exception as error:  # onnxruntime's errors share no class
            raise UserError(f"{self.path} fails on images of shape {tuple(image.shape)}: "
                            f"{error}") from None
        return {"saliency": torch.from_numpy(logits).to(image.device)}
