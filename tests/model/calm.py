"""Networks with random weights whose outputs rounding does not decide, and sizes that they take."""

from __future__ import annotations

import torch
from torch import nn

import model


def keep_positive(network: model.Network) -> model.Network:
    """Lets batch norms keep most features positive. Ordinary random weights amplify rounding until
    it decides the output, which is then no measure of anything."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.1)
            nn.init.constant_(module.bias, 0.3)
    return network


def settle(network: model.Network) -> model.Network:
    """The network in evaluation mode, with batch norms that have seen one batch."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    torch.manual_seed(0)
    with torch.no_grad():
        network.train()(torch.randn(2, 3, *size_of(network, 32, 32)))
    return network.eval()


def spread(network: model.Network) -> model.Network:
    """Scales convolutions one after the other so that each gives values of deviation 1, on one
    batch of images. Random weights of networks without batch norms give maps of a single value, to
    which any other is near (the scaling is that of Mishkin and Matas, ICLR 2016)."""
    def scale(convolution: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        deviation = output.std().clamp(min=1e-12)
        for parameter in convolution.parameters(recurse=False):
            parameter.div_(deviation)
        return output / deviation

    handles = [module.register_forward_hook(scale) for module in network.modules()
               if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))]
    torch.manual_seed(0)
    with torch.no_grad():
        network.eval()(torch.randn(2, 3, *size_of(network, 32, 32)))
    for handle in handles:
        handle.remove()
    return network


def size_of(network: model.Network, more: int = 0, wider: int = 0) -> tuple[int, int]:
    """Height and width, in pixels, of an image that is about ``more`` higher than the smallest and
    ``wider`` wider, as far as the network takes such images."""
    if network.fixed_side:
        return network.fixed_side, network.fixed_side
    side, step = network.smallest_side, network.multiple
    return tuple(-(-(side + extra) // step) * step for extra in (more, wider))
