"""What is done to pixels: resizing of images, maps and scribbles, normalisation, luminance."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from utils.resize import SKIMAGE_BORDERS, resize_as_skimage

from .sizes import Size
from .strokes import SCRIBBLE_CODES


def resize_image(image: Image.Image, size: Size, method: str) -> np.ndarray:
    """RGB image → (*size, 3), bilinearly, by a method of ``utils.choices.IMAGE_RESIZES``: uint8, or
    float32 from 0 to 255 by scikit-image, which does not round."""
    if method == "pillow":
        return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))
    if method == "opencv":
        return cv2.resize(np.array(image), size[::-1])
    return resize_as_skimage(np.asarray(image), size, SKIMAGE_BORDERS[method]).astype(np.float32)


def resize_map(values: np.ndarray, size: Size, method: str) -> np.ndarray:
    """uint8 (H, W) → height and width ``size``: ``bilinear`` by Pillow, or ``nearest`` by OpenCV's
    INTER_NEAREST, which takes the upper left of the pixels that come together, as TRACER's
    released loader does."""
    if method == "bilinear":
        return np.asarray(Image.fromarray(values).resize(size[::-1], Image.Resampling.BILINEAR))
    return cv2.resize(np.ascontiguousarray(values), size[::-1], interpolation=cv2.INTER_NEAREST)


def resize_scribble(scribble: np.ndarray, size: Size, method: str) -> np.ndarray:
    """uint8 (H, W) in {0, 1, 255} → height and width ``size``, by Pillow's ``nearest``, or as
    ``released``.

    SCWSSOD's released loader interpolates the file's codes (0 unknown, 1 foreground, 2 background)
    linearly, and cuts off what lies between: 0 < v < 1 becomes background, 1 < v < 2 foreground, so
    that the rim of a background stroke is labelled foreground.
    """
    if method == "nearest":
        return np.asarray(Image.fromarray(scribble).resize(size[::-1], Image.Resampling.NEAREST))
    codes = np.select([scribble == 1, scribble == 0], [1.0, 2.0]).astype(np.float32)
    codes = cv2.resize(codes, size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.select([codes == 0, codes == 2], [SCRIBBLE_CODES[0], 0], codes).astype(np.uint8)


def linear_gray(image: Tensor) -> Tensor:
    """RGB from 0 to 255 (…, 3, H, W) → luminance (…, 1, H, W) in [0, 1] of linear light, as WSSA's
    grey images have it: sRGB's curve (IEC 61966-2-1) undone, rounded to 1/255."""
    values = image.float() / 255
    linear = torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    red, green, blue = linear.split(1, dim=-3)
    return ((0.2126 * red + 0.7152 * green + 0.0722 * blue) * 255).round() / 255


def normalise(image: Tensor, mean: Sequence[float], std: Sequence[float], channels: str = "rgb",
              white: float = 1, own_max: bool = False) -> Tensor:
    """RGB from 0 to 255 (…, 3, H, W) → float32 from 0 to ``white``, its channels as ``channels``
    orders them, then (x − mean) / std. With ``own_max``, each image's greatest value is white."""
    shift, scale = (_channels(tuple(values), image.device) for values in (mean, std))
    ordered = image.flip(-3) if channels == "bgr" else image
    values = ordered.to(torch.float32, copy=True)
    return values.div_((brightest(values) if own_max else 255) / white).sub_(shift).div_(scale)


def brightest(values: Tensor) -> Tensor:
    """(…, C, H, W) → (…, 1, 1, 1): each image's greatest value, or 1e-6 where that is less, so
    that one can divide by it."""
    return values.amax((-3, -2, -1), keepdim=True).clamp_(min=1e-6)


def denormalise(image: Tensor, mean: Sequence[float], std: Sequence[float], channels: str = "rgb",
                white: float = 1) -> Tensor:
    """The inverse of ``normalise`` up to rounding: float32 RGB in [0, 1], for pictures."""
    shift, scale = (_channels(tuple(values), image.device) for values in (mean, std))
    shown = ((image * scale + shift) / white).clamp(0, 1)
    return shown.flip(-3) if channels == "bgr" else shown


def _channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    # While a network is exported, tensors stand for others and must not be kept.
    return _make_channels(values, device) if torch.compiler.is_compiling() else \
        _kept_channels(values, device)


def _make_channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device).view(3, 1, 1)


#: Made anew for each batch, they would make the host wait for the device.
_kept_channels = lru_cache(_make_channels)
