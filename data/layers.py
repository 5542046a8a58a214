"""The layers of a sample in one table, from the files of a pair to the tensors that losses get.

``decode_pair`` reads or makes the layers at the image's own size. ``squash`` brings them to the
input size, at which the cache keeps them and ``augmentation`` moves them. ``finish`` makes a batch
what networks and losses expect, on the device. All of them read ``LAYERS``: a new layer is a row of
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from utils.errors import UserError
from utils.maps import read_map
from utils.resize import SKIMAGE_BORDERS
from utils.schema import DataConfig, sides

from .decode import decode_image
from .decoupling import body_of, detail_of
from .edges import dilate, image_edges, mask_edges
from .masks import mask_of
from .pairing import Pair
from .sizes import Size, nearly
from .strokes import SCRIBBLE_CODES, decode_scribble, decode_strokes
from .transforms import brightest, linear_gray, normalise, resize_image, resize_map, resize_scribble

Decoded = Image.Image | np.ndarray  # the image as PIL RGB, all others uint8 (H, W)

#: The keys of ``data`` that the bytes of a layer depend on, beside its edges.
RESIZING = ("soft_mask", "image_resize", "mask_resize", "scribble_resize", "decoupling")


@dataclass(frozen=True)
class Layer:
    """How a layer comes about, and what becomes of it; the defaults suit soft maps of one channel.

    Attributes:
        decode: pair, layers before it in the table, options → the layer at the image's own size.
        part: the file of a ``Pair`` that it is read from. Pairs that have the file have the layer.
        switch: a key of ``data`` that the layer hangs on instead; ``none`` leaves it out.
        made_of: the layers that it is made of. A layer without part and switch is made for a loss
            that learns from it.
        channels: of the squashed layer.
        resize: decoded, height and width S of the input, options → (S), or (S, 3), from 0 to 255.
        resample: options → ``bilinear`` or ``nearest``: how moved pixels are interpolated.
        fill: the value that a rotation puts into the corners.
        finish: batch on the device, from 0 to 255, options → what the network or the loss gets.
    """

    decode: Callable[[Pair, Mapping[str, Decoded], DataConfig], Decoded]
    part: str = ""
    switch: str = ""
    made_of: tuple[str, ...] = ()
    channels: int = 1
    resize: Callable[[Decoded, Size, DataConfig], np.ndarray] = \
        lambda values, size, options: resize_map(values, size, options.mask_resize)
    resample: Callable[[DataConfig], str] = lambda options: options.mask_resize
    fill: int = 0
    finish: Callable[[Tensor, DataConfig], Tensor] = \
        lambda values, options: values.float().div_(255)


def _decode_scribble(pair: Pair, layers: Mapping[str, Decoded], options: DataConfig) -> np.ndarray:
    if pair.labelled is None:
        return decode_scribble(pair.scribble, pair.image)
    return decode_strokes(pair.scribble, pair.labelled, pair.image, pair.codings)


def _decode_edge(pair: Pair, layers: Mapping[str, Decoded], options: DataConfig) -> np.ndarray:
    if options.edges == "mask_squashed":
        return layers["mask"]  # whose outline is drawn once it is squashed
    if options.edges == "files":
        edge = mask_of(pair, "edge").values
    elif options.edges in ("mask", "mask_canny"):
        edge = mask_edges(layers["mask"], options.edges)
    else:
        edge = image_edges(layers["image"], options.edges)
    return dilate(edge, options.edge_dilate)


def _decode_body(pair: Pair, layers: Mapping[str, Decoded], options: DataConfig) -> np.ndarray:
    return read_map(pair.body) if pair.body else body_of(layers["mask"], options.decoupling)


def _decode_detail(pair: Pair, layers: Mapping[str, Decoded], options: DataConfig) -> np.ndarray:
    if pair.detail:
        return read_map(pair.detail)
    made = "body" in layers and not pair.body
    body = layers["body"] if made else body_of(layers["mask"], options.decoupling)
    return detail_of(layers["mask"], body)


def _decode_void(pair: Pair, layers: Mapping[str, Decoded], options: DataConfig) -> np.ndarray:
    void = mask_of(pair).void
    return np.zeros_like(layers["mask"]) if void is None else void * np.uint8(255)


def _resize_mask(mask: np.ndarray, size: Size, options: DataConfig) -> np.ndarray:
    """A mask is cut at one half before it is resized, unless it is soft."""
    hard = mask if options.soft_mask else np.where(mask > 127, 255, 0).astype(np.uint8)
    return resize_map(hard, size, options.mask_resize)


def _resize_edge(edge: np.ndarray, size: Size, options: DataConfig) -> np.ndarray:
    if options.edges != "mask_squashed":
        return resize_map(edge, size, options.mask_resize)
    return dilate(mask_edges(_resize_mask(edge, size, options), "mask"), options.edge_dilate)


def _finish_mask(mask: Tensor, options: DataConfig) -> Tensor:
    if not options.soft_mask:
        return (mask > 127).float()
    values = mask.float()
    return values.div_(brightest(values) if options.scale == "own_max" else 255)


#: Name → layer, in the order in which layers are decoded and a cache keeps them. ``image`` is
#: float32 RGB, normalised; ``mask`` float32 in {0, 1}, or in [0, 1] when soft; ``void`` bool, true
#: where any part of a pixel is void; ``scribble`` int64 in {0, 1, 255}; ``edge``, and what has no
#: ``finish`` of its own, float32 in [0, 1].
LAYERS = {
    "image": Layer(lambda pair, layers, options: decode_image(pair.image), part="image", channels=3,
                   resize=lambda image, size, options: resize_image(image, size,
                                                                    options.image_resize),
                   resample=lambda options: "bilinear",
                   finish=lambda image, options: normalise(
                       image, options.mean, options.std, options.channels, options.range,
                       options.scale == "own_max")),
    "mask": Layer(lambda pair, layers, options: mask_of(pair).values, part="mask",
                  resize=_resize_mask, finish=_finish_mask),
    "void": Layer(_decode_void, made_of=("mask",), finish=lambda void, options: void > 0),
    "scribble": Layer(_decode_scribble, part="scribble",
                      resize=lambda scribble, size, options: resize_scribble(
                          scribble, size, options.scribble_resize),
                      resample=lambda options: "nearest", fill=SCRIBBLE_CODES[0],
                      finish=lambda scribble, options: scribble.long()),
    "edge": Layer(_decode_edge, part="edge", switch="edges", resize=_resize_edge),
    "body": Layer(_decode_body, made_of=("mask",)),
    "detail": Layer(_decode_detail, made_of=("mask",)),
}


def layer_names(pair: Pair, options: DataConfig, targets: Sequence[str] = ()) -> list[str]:
    """The layers of samples of pairs like ``pair``; ``targets`` are those that a loss learns from.
    """
    names = []
    for name, layer in LAYERS.items():
        if layer.switch:
            present = getattr(options, layer.switch) != "none"
        elif layer.part:
            present = getattr(pair, layer.part) is not None
        else:
            present = name in targets and set(layer.made_of) <= set(names)
        if present:
            names.append(name)
    return names


def decode_pair(pair: Pair, names: Sequence[str], options: DataConfig) -> dict[str, Decoded]:
    """The layers ``names`` of a pair, in the table's order, upright and of the image's own size,
    or of nearly that size.

    Raises:
        UserError: a file that cannot be decoded, or that has another size than the image.
    """
    layers: dict[str, Decoded] = {}
    for name in names:
        layer = LAYERS[name]
        values = layers[name] = layer.decode(pair, layers, options)
        width, height = layers["image"].size
        if name != "image" and not nearly((height, width), values.shape):
            file = getattr(pair, layer.part) if layer.part else f"its {name}"
            raise UserError(f"sizes differ: {pair.image} is {width}×{height}, {file} is "
                            f"{values.shape[1]}×{values.shape[0]}")
    return layers


def decode_photo(path: Path, options: DataConfig, size: Size) -> Image.Image:
    """An image alone, to be squashed to ``size``. A large one comes smaller already where averaging
    shrinks it; ``decode.original_size`` has its size."""
    return decode_image(path, max(size) if options.image_resize == "pillow" else None)


def squash(layers: Mapping[str, Decoded], size: int | Sequence[int],
           options: DataConfig) -> dict[str, Tensor]:
    """Decoded layers → tensors (C, H, W) of ``size``, one number or height and width; the aspect
    ratio is not kept, as in the papers. What has that size keeps its values. They are uint8, but
    for an image that is not resized to bytes, which is float32 from 0 to 255."""
    squashed = {}
    for name, values in layers.items():
        pixels = LAYERS[name].resize(values, sides(size), options)
        channels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        squashed[name] = torch.from_numpy(np.array(channels, order="C"))
    return squashed


def plane_count(name: str, options: DataConfig) -> int:
    """Planes of bytes that a squashed layer takes: one a channel, four where these are floats."""
    return LAYERS[name].channels * (4 if _is_float(name, options) else 1)


def _is_float(name: str, options: DataConfig) -> bool:
    return name == "image" and options.image_resize in SKIMAGE_BORDERS


def to_planes(layers: Mapping[str, Tensor]) -> np.ndarray:
    """Squashed layers (C, H, W) → their bytes, uint8 (planes, H, W), one layer after the other."""
    return np.concatenate([layer.numpy().view(np.uint8).reshape(-1, *layer.shape[1:])
                           for layer in layers.values()])


def from_planes(planes: np.ndarray, names: Sequence[str], options: DataConfig) -> dict[str, Tensor]:
    """The inverse of ``to_planes``: contiguous ``planes`` → the squashed layers of these names."""
    layers, start, height = {}, 0, planes.shape[1]
    for name in names:
        end = start + plane_count(name, options)
        kind = np.float32 if _is_float(name, options) else np.uint8
        values = planes[start:end].reshape(LAYERS[name].channels, height, -1).view(kind)
        layers[name], start = torch.from_numpy(values), end
    return layers


def finish(batch: Mapping, options: DataConfig, device: torch.device | str = "cpu") -> dict:
    """A batch of layers (…, C, H, W) from ``squash``, or lists of them → the tensors of the table
    above, on ``device``.

    With a ``scribble`` comes ``gray``, see ``linear_gray``. What is no layer stays as it is.
    """
    moved = {name: each(lambda values: values.to(device, non_blocking=True), value)
             for name, value in batch.items()}
    layers = {name: LAYERS.get(name.removeprefix("edge_")) for name in moved}  # and edge_image
    finished = {name: each(lambda values, layer=layers[name]: layer.finish(values, options), value)
                if layers[name] else value for name, value in moved.items()}
    return finished | ({"gray": each(linear_gray, moved["image"])} if "scribble" in moved else {})


def each(change: Callable[[Tensor], Tensor], value: object) -> object:
    """What ``change`` makes of a tensor, or of each tensor in a list; all else as it is."""
    if isinstance(value, list):
        return [each(change, item) for item in value]
    return change(value) if isinstance(value, Tensor) else value
