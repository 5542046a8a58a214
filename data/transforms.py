"""What happens to an image and its targets, together: squash, augment, finish.

``squash`` brings decoded files to the input size as bytes; that is what the cache keeps.
``augment`` moves the bytes, one sample at a time. ``finish`` makes a batch what networks and losses
expect, on the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from .decode import SCRIBBLE_CODES

UNKNOWN = SCRIBBLE_CODES[0]
#: Layers of a sample and their channels, in the order in which a cache keeps them.
LAYERS = {"image": 3, "mask": 1, "scribble": 1, "edge": 1}


def squash(image: Image.Image, size: int, mask: np.ndarray | None = None,
           scribble: np.ndarray | None = None, edge: np.ndarray | None = None,
           soft_mask: bool = False, image_resize: str = "pillow", mask_resize: str = "bilinear",
           scribble_resize: str = "nearest") -> dict[str, Tensor]:
    """PIL RGB image, uint8 mask, scribble and edges (H, W) → uint8 layers (C, size, size).

    The aspect ratio is not kept, as in the papers. The image is resized bilinearly: by Pillow,
    which averages what it shrinks, or by OpenCV (``image_resize="opencv"``), which interpolates
    between two pixels and skips the others. A mask is cut at one half first, unless ``soft_mask``,
    and resized by Pillow like the edges; with ``mask_resize="nearest"`` both are by OpenCV's
    INTER_NEAREST, which takes the upper left of the pixels that come together, as TRACER's
    released loader does. A scribble is resized with Pillow's nearest: interpolated labels would
    turn the rim of a background stroke (2 → 1 → 0) into foreground, as they do with
    ``scribble_resize="released"``.
    """
    layers = {"image": _resize(image, size) if image_resize == "pillow" else
              torch.from_numpy(cv2.resize(np.array(image), (size, size))).permute(2, 0, 1)
              .contiguous()}
    if mask is not None:
        hard = mask if soft_mask else np.where(mask > 127, 255, 0).astype(np.uint8)
        layers["mask"] = _resize_mask(hard, size, mask_resize)
    if scribble is not None:
        layers["scribble"] = invent_labels(scribble, size) if scribble_resize == "released" \
            else _resize(Image.fromarray(scribble), size, Image.Resampling.NEAREST)
    if edge is not None:
        layers["edge"] = _resize_mask(edge, size, mask_resize)
    return layers


def _resize_mask(mask: np.ndarray, size: int, method: str) -> Tensor:
    if method == "bilinear":
        return _resize(Image.fromarray(mask), size)
    return torch.from_numpy(cv2.resize(np.ascontiguousarray(mask), (size, size),
                                       interpolation=cv2.INTER_NEAREST)[None])


def invent_labels(scribble: np.ndarray, size: int) -> Tensor:
    """What SCWSSOD's released loader makes of a scribble (H, W) in {0, 1, 255}: uint8 (1, S, S).

    It interpolates the file's codes (0 unknown, 1 foreground, 2 background) linearly, and cuts off
    what lies between: 0 < v < 1 becomes background, 1 < v < 2 foreground.
    """
    codes = np.select([scribble == 1, scribble == 0], [1.0, 2.0]).astype(np.float32)
    codes = cv2.resize(codes, (size, size), interpolation=cv2.INTER_LINEAR)
    labels = np.where(codes == 0, UNKNOWN, np.where(codes == 2, 0, codes)).astype(np.uint8)
    return torch.from_numpy(labels[None])


def _resize(image: Image.Image, size: int,
            method: Image.Resampling = Image.Resampling.BILINEAR) -> Tensor:
    pixels = np.asarray(image.resize((size, size), method))
    pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(np.array(pixels, order="C"))


def augment(layers: dict[str, Tensor], seed: int, flip: float = 0.0, crop: float = 1.0,
            mask_resize: str = "bilinear") -> dict[str, Tensor]:
    """Random crop and horizontal flip of squashed layers, the same for all of them.

    Drawn from ``seed`` alone, so results do not depend on the number of loader processes.

    Args:
        flip: probability of a flip.
        crop: smallest share of the area that a crop keeps; 1 for none. A square of the squashed
            image has the image's own aspect ratio.
        mask_resize: how a crop of the mask and the edges comes back to the input size.
    """
    share, down, right, turn = torch.rand(4, generator=torch.Generator().manual_seed(seed)).tolist()
    if crop < 1:
        codes = {"scribble"} if mask_resize == "bilinear" else {"scribble", "mask", "edge"}
        size = layers["image"].shape[-1]
        side = max(1, round(size * math.sqrt(crop + (1 - crop) * share)))
        top, left = int(down * (size - side + 1)), int(right * (size - side + 1))
        layers = {name: F.resized_crop(layer, top, left, side, side, [size, size],
                                       InterpolationMode.NEAREST if name in codes
                                       else InterpolationMode.BILINEAR)
                  for name, layer in layers.items()}
    if turn < flip:
        layers = {name: layer.flip(-1) for name, layer in layers.items()}
    return layers


def finish(batch: dict, mean: Sequence[float], std: Sequence[float], soft_mask: bool = False,
           device: torch.device | str = "cpu") -> dict:
    """A batch of uint8 layers → the tensors of the contract, on ``device``.

    ``image`` (…, 3, S, S) float32 normalised; ``mask`` (…, 1, S, S) float32 in {0, 1}, or in [0, 1]
    when soft; ``scribble`` (…, 1, S, S) int64 in {0, 1, 255}, and with it ``gray`` in [0, 1], see
    ``linear_gray``; ``edge`` in [0, 1]. What is no layer stays as it is.
    """
    moved = {name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
             for name, value in batch.items()}
    finished = moved | {"image": normalise(moved["image"], mean, std)}
    if "mask" in moved:
        finished["mask"] = moved["mask"].float().div_(255) if soft_mask \
            else (moved["mask"] > 127).float()
    if "scribble" in moved:
        finished["scribble"] = moved["scribble"].long()
        finished["gray"] = linear_gray(moved["image"])
    if "edge" in moved:
        finished["edge"] = moved["edge"].float().div_(255)
    return finished


def linear_gray(image: Tensor) -> Tensor:
    """uint8 RGB (…, 3, H, W) → luminance (…, 1, H, W) in [0, 1] of linear light, as WSSA's grey
    images have it: sRGB's curve (IEC 61966-2-1) undone, rounded to 1/255."""
    values = image.float() / 255
    linear = torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    red, green, blue = linear.split(1, dim=-3)
    return ((0.2126 * red + 0.7152 * green + 0.0722 * blue) * 255).round() / 255


def normalise(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 RGB (…, 3, H, W) → float32, scaled to [0, 1], then (x − mean) / std."""
    shift, scale = (_channels(tuple(values), image.device) for values in (mean, std))
    return image.float().div_(255).sub_(shift).div_(scale)


def denormalise(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """The inverse of ``normalise`` up to rounding: float32 RGB in [0, 1], for pictures."""
    shift, scale = (_channels(tuple(values), image.device) for values in (mean, std))
    return (image * scale + shift).clamp(0, 1)


@lru_cache  # made anew for each batch, they would make the host wait for the device
def _channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device).view(3, 1, 1)
