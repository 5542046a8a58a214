"""From a batch of images to saliency maps at the images' own sizes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from utils.errors import UserError
from utils.maps import to_bytes
from utils.resize import SKIMAGE_BORDERS, resize_as_skimage

from .precision import Precision
from .views import average_views


@torch.inference_mode()
def forward(network: nn.Module, batch: dict, precision: Precision,
            objective: Callable | None = None, output: str = "saliency", flip: bool = False,
            scales: Sequence[float] = (1,)) -> tuple[Tensor, float]:
    """Logits (N, 1, h, w) of a batch in evaluation mode (dropout is off, batch norms use their
    statistics), and the loss that an ``objective`` makes of it, 0 without one.

    Args:
        flip, scales: whose views are averaged, see ``average_views``. The loss is of the image as
            it is.

    Raises:
        UserError: the network has no ``output`` of this name, or does not take such a view.
    """
    with evaluating(network), precision.autocast():
        batch = precision.batch(batch)
        outputs, terms = (network(batch["image"]), {}) if objective is None else \
            objective(network, batch)
        if output not in outputs:
            raise UserError(f"test.output={output}: the network has no such output; its outputs "
                            f"are {', '.join(outputs)}")
        logits = outputs[output]
        if flip or list(scales) != [1]:
            logits = average_views(network, batch["image"], logits, output, flip, scales)
        return logits, float(sum(terms.values()))


def maps_of(logits: Tensor, batch: dict, resize: str = "logits", minmax: bool = False,
            align_corners: bool = False, cut: bool = False,
            convert: Callable[..., np.ndarray] = to_bytes) -> Iterator[np.ndarray]:
    """Logits (N, 1, h, w) of a batch → its maps (H, W) at each image's ``size``, in batch order.

    Args:
        resize: what is brought to an image's size, and how, a name in ``utils.choices.RESIZES``.
            ``probabilities`` give softer outlines than ``logits`` where maps grow.
        minmax, cut: see ``to_bytes``.
        align_corners: of bilinear interpolation.
        convert: ``to_bytes`` for uint8, or ``to_unit`` for float32.

    Raises:
        UserError: an image's logits are not numbers.
    """
    for name, values, size in zip(batch["name"], logits.float(), batch["size"], strict=True):
        if values.isnan().any():
            raise UserError(f"the network gives NaN for the image {name}: its weights hold "
                            "NaN or are too large; train again or take earlier weights")
        height, width = (int(side) for side in size)
        values = values[None] if resize == "logits" else values[None].sigmoid()
        if resize in _FILTERS:
            small = Image.fromarray(to_bytes(values[0, 0].cpu().numpy(), minmax, cut=cut))
            resized = np.asarray(small.resize((width, height), _FILTERS[resize]))
            yield resized if convert is to_bytes else resized / np.float32(255)
        elif resize in SKIMAGE_BORDERS:
            large = resize_as_skimage(values[0, 0].cpu().numpy(), (height, width),
                                      SKIMAGE_BORDERS[resize])
            yield convert(large, minmax, cut=cut)
        else:
            yield _map(values, height, width, resize == "logits", align_corners,
                       partial(convert, minmax=minmax, cut=cut), minmax)


#: Value of ``test.resize`` → Pillow's filter of bytes.
_FILTERS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR,
            "bicubic": Image.Resampling.BICUBIC}
_PART = 2**21  # pixels of a map that are floats at a time
_COLUMNS = 256  # at least, of a part


def _map(values: Tensor, height: int, width: int, are_logits: bool, align_corners: bool,
         convert: Callable[..., np.ndarray], minmax: bool) -> np.ndarray:
    """Logits or probabilities (1, 1, h, w) → a map (height, width), as ``convert`` makes it of
    probabilities.

    A large one is made part by part, with the values of the whole to the last bit: rows of full
    width are interpolated first, then each part's columns downwards, in the order in which torch
    interpolates. Below 129 rows and columns together it has another way, so parts are wide.
    """
    def interpolate(values: Tensor, *size: int) -> Tensor:
        return F.interpolate(values, size=size, mode="bilinear",
                             align_corners=align_corners)

    def finished(values: Tensor) -> np.ndarray:
        values = values.sigmoid() if are_logits else values.clamp(0, 1)
        return values[0, 0].cpu().numpy()

    parts = min(height * width // _PART, width // _COLUMNS)
    if parts < 2:
        return convert(finished(interpolate(values, height, width)))
    rows = interpolate(values, values.shape[-2], width)
    edges = [width * number // parts for number in range(parts + 1)]

    def columns() -> Iterator[tuple[slice, np.ndarray]]:
        for start, end in itertools.pairwise(edges):
            part = np.s_[:, start:end]
            yield part, finished(interpolate(rows[..., start:end], height, end - start))

    limits = None
    if minmax:
        lows, highs = zip(*((part.min(), part.max()) for _, part in columns()), strict=True)
        limits = float(min(lows)), float(max(highs))
    saliency = None
    for part, values in columns():
        made = convert(values, limits=limits)
        saliency = np.empty((height, width), made.dtype) if saliency is None else saliency
        saliency[part] = made
    return saliency


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Puts a network into evaluation mode, and each of its modules back as it was."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
