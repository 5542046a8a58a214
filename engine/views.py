"""Test-time augmentation: what a network says of several views of an image, averaged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from torch import Tensor, nn

import model
from data.loader import training_sizes
from utils.errors import UserError
from utils.option import NATIVE
from utils.schema import sides


def views_in(words: str | None, overrides: Sequence[str]) -> list[str]:
    """The ``key=value`` words that --tta stands for.

    Raises:
        UserError: one of its words is neither ``flip`` nor a number, or other ``overrides`` name
            views, too.
    """
    if words is None:
        return []
    scales = [word.strip() for word in words.split(",") if word.strip() != "flip"]
    for word in scales:
        try:
            float(word)
        except ValueError:
            raise UserError(f"--tta {words}: {word!r} is neither flip nor a factor such as "
                            "0.75") from None
    if given := [word for word in overrides if word.startswith(("test.flip=", "test.scales="))]:
        raise UserError(f"--tta and {given[0]} say the same thing; give one of them")
    factors = [word for word in scales if float(word) != 1]
    return [f"test.flip={'flip' in words}".lower(), f"test.scales=[{','.join(['1', *factors])}]"]


def require_views(config: DictConfig) -> None:
    """Raise a UserError unless a recipe's network takes images at all of ``test.scales``; images
    that keep their own sizes are seen to one by one."""
    if config.data.size == NATIVE:
        return
    network = model.network_class(config.model.name)
    for scale in config.test.scales:
        (size,) = training_sizes(sides(config.data.size), [scale])
        try:
            network.require_size(*size)
        except UserError as error:
            raise UserError(f"test.scales (--tta) with {scale:g}: {error}") from None


_LEAST = 1e-6  # of a probability, whose logit is finite


def average_views(network: nn.Module, image: Tensor, logits: Tensor, output: str, flip: bool,
                  scales: Sequence[float]) -> Tensor:
    """The logits of the mean probability over an image's views.

    Args:
        network: in evaluation mode, with the ``output``.
        image: (N, 3, H, W), normalised.
        logits: (N, 1, h, w), what the network gives for the image as it is.
        flip: whether every view is mirrored, too.
        scales: factors on the image's sides, rounded to multiples of 32 as in multi-scale
            training; without 1, the image as it is does not count.

    Raises:
        UserError: the network does not take images of such a size.
    """
    own, total, count = tuple(image.shape[-2:]), torch.zeros_like(logits, dtype=torch.float32), 0
    for (size,) in (training_sizes(own, [scale]) for scale in scales):
        network.require_size(*size)
        view = image if size == own else F.interpolate(image, size, mode="bilinear")
        for mirrored in (False, True) if flip else (False,):
            if size == own and not mirrored:
                of_view = logits
            else:
                of_view = network(view.flip(-1) if mirrored else view)[output]
            of_view = F.interpolate(of_view.float(), logits.shape[-2:], mode="bilinear")
            total += (of_view.flip(-1) if mirrored else of_view).sigmoid()
            count += 1
    return torch.logit(total / count, eps=_LEAST)
