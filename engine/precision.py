"""How numbers are computed: bf16, fp16 or fp32, and in which memory layout."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import nn

from data.layers import each
from utils.choices import PRECISIONS
from utils.errors import UserError

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}


class Precision:
    """Mixed precision on a device.

    Weights and optimizer stay in float32; ``autocast`` computes convolutions in ``dtype``. With
    it, or on a GPU, tensors are laid out channels-last, which the fast kernels want. On a CPU in
    fp32 that layout gains nothing and the usual one is kept.

    Args:
        name: ``auto`` (bf16 where the hardware computes in it, else fp16 on a GPU and fp32 on a
            CPU), ``bf16``, ``fp16`` (GPU only), or ``fp32``.

    Raises:
        UserError: another name, or fp16 on a CPU.
    """

    def __init__(self, name: str, device: torch.device):
        if name not in PRECISIONS:
            raise UserError(f"precision {name!r}: it is one of {', '.join(PRECISIONS)}")
        if name == "fp16" and device.type == "cpu":
            raise UserError("precision fp16 is for GPUs; a CPU takes bf16 or fp32")
        self.device = device
        self.name = _best(device) if name == "auto" else name
        self.dtype = _TYPES[self.name]
        fast = self.dtype is not None or device.type == "cuda"
        self.layout = torch.channels_last if fast else torch.contiguous_format

    def autocast(self) -> AbstractContextManager:
        """The context in which the forward pass and the losses are computed."""
        return torch.autocast(self.device.type, self.dtype or torch.bfloat16,
                              enabled=self.dtype is not None)

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, in the layout."""
        return network.to(self.device, memory_format=self.layout)

    def batch(self, sample: dict) -> dict:
        """A batch on the device, images in the layout."""
        moved = {key: each(lambda tensor: tensor.to(self.device, non_blocking=True), value)
                 for key, value in sample.items()}
        return moved | {
            key: each(lambda images: images.contiguous(memory_format=self.layout), moved[key])
            for key in ("image", "edge_image") if key in moved}

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss in fp16, and in every precision leaves out steps that are not finite.

        It leaves them out on the device, without making the host wait. In bf16 and fp32 the scale
        is 1, or a smaller power of two after such a step, which changes no bit.
        """
        if self.name == "fp16":
            return torch.amp.GradScaler(self.device.type)
        return torch.amp.GradScaler(self.device.type, init_scale=1.0, growth_interval=2**31 - 1)


def _best(device: torch.device) -> str:
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    # torch has no public function for it; where it has none at all, float32 is right on any CPU.
    native = (getattr(torch.cpu, name, lambda: False)
              for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return "bf16" if any(supported() for supported in native) else "fp32"
