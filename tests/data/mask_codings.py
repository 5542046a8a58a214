"""Mask files in every coding that people have: an object → the picture that a tool would save."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from .made import save_image


@dataclass(frozen=True)
class Coding:
    """A row of the table.

    Attributes:
        make: object, bool (H, W), and a generator → the picture.
        kind: what the set is decided to be, or the complaint of the refusal.
        keys: what the user has to decide.
        suffix, options: how the picture is saved.
        border: whether the object's outline is void.
    """

    make: Callable[[np.ndarray, np.random.Generator], Image.Image]
    kind: str = "binary"
    keys: dict = field(default_factory=dict)
    suffix: str = ".png"
    options: dict = field(default_factory=dict)
    border: bool = False


def palette_of_voc() -> np.ndarray:
    """The 256 colours of PASCAL VOC: bits 0, 3, 6 of an index are red's highest, and so on."""
    index = np.arange(256)
    return np.stack([sum((index >> 3 * bit + channel & 1) << 7 - bit for bit in range(3))
                     for channel in range(3)], axis=1).astype(np.uint8)


def outline(inside: np.ndarray) -> np.ndarray:
    """The pixels on both sides of the outline, bool (H, W)."""
    square, values = np.ones((3, 3), np.uint8), inside.astype(np.uint8)
    return cv2.dilate(values, square) > cv2.erode(values, square)


def with_void(inside: np.ndarray, label: int, background: int, void: int) -> np.ndarray:
    return np.where(outline(inside), void, np.where(inside, label, background)).astype(np.uint8)


def instances(inside: np.ndarray, numbers) -> np.ndarray:
    """Numbers for the left and the right part of an object, int64 (H, W)."""
    left = np.arange(inside.shape[1]) < inside.shape[1] // 2
    return np.where(inside, np.where(left, *numbers), 0)


def grey(values: np.ndarray, dtype: type = np.uint8) -> Image.Image:
    return Image.fromarray(values.astype(dtype))


def indexed(indices: np.ndarray, palette: np.ndarray | None = None) -> Image.Image:
    picture = Image.frombytes("P", indices.shape[::-1], indices.astype(np.uint8).tobytes())
    picture.putpalette((palette_of_voc() if palette is None else palette).tobytes())
    return picture


def photo(inside: np.ndarray, random: np.random.Generator, brightest: int = 255) -> np.ndarray:
    return random.integers(0, brightest, (*inside.shape, 3), dtype=np.uint8)


def cut_out(colours: np.ndarray, inside: np.ndarray) -> Image.Image:
    alpha = np.where(inside, 255, 0)
    return Image.fromarray(np.dstack([colours, alpha]).astype(np.uint8))


def label(random: np.random.Generator, below: int = 21) -> int:
    return int(random.integers(1, below))


IGNORE = {"mask_void": "ignore"}
CODINGS = {
    "grey 0/255": Coding(lambda m, r: grey(m * 255)),
    "grey 0/38": Coding(lambda m, r: grey(m * 38), "levels"),
    "grey 0/128": Coding(lambda m, r: grey(m * 128), "levels"),
    "grey 0/1": Coding(lambda m, r: grey(m), "levels"),
    "grey 0/2": Coding(lambda m, r: grey(m * 2), "levels"),
    "grey 0/1/2": Coding(lambda m, r: grey(instances(m, (1, 2))), "levels"),
    "grey classes": Coding(lambda m, r: grey(instances(m, (label(r, 92), label(r, 92)))), "levels"),
    "grey classes and void": Coding(
        lambda m, r: grey(with_void(m, label(r), 0, 255)), "levels",
        IGNORE | {"mask_coding": "levels", "mask_void_value": 255}, border=True),
    "three channels of 0/1": Coding(lambda m, r: grey(m).convert("RGB"), "levels"),
    "three channels of 0/255": Coding(lambda m, r: grey(m * 255).convert("RGB")),
    "noise of JPEG": Coding(lambda m, r: grey(np.where(m, 255, 0) ^ photo(m, r, 20)[..., 0])),
    "JPEG": Coding(lambda m, r: grey(m * 255), suffix=".jpg", options={"quality": 100}),
    "JPEG of 0 and 128": Coding(lambda m, r: grey(m * 128), keys={
        "mask_coding": "binary", "mask_threshold": 64}, suffix=".jpg", options={"quality": 95}),
    "one bit": Coding(lambda m, r: Image.fromarray(m)),
    "16 bit 0/65535": Coding(lambda m, r: grey(m * 65535, np.uint16)),
    "16 bit 0/1": Coding(lambda m, r: grey(m, np.uint16), "levels"),
    "12 bit in 16": Coding(lambda m, r: grey(m * 4095, np.uint16), "levels"),
    "16 bit instances": Coding(lambda m, r: grey(
        instances(m, (label(r, 60000), label(r, 60000))), np.uint16), "levels"),
    "32 bit 0/1": Coding(lambda m, r: grey(m, np.int32), "levels", suffix=".tif"),
    "real 0/1": Coding(lambda m, r: grey(m, np.float32), suffix=".tif"),
    "palette": Coding(lambda m, r: indexed(m * label(r)), "palette"),
    "palette, void left out": Coding(lambda m, r: indexed(with_void(m, label(r), 0, 255)),
                                     "palette", IGNORE, border=True),
    "palette of two colours": Coding(lambda m, r: indexed(m, np.array(
        [[0, 0, 0], [255, 0, 0]], np.uint8)), "palette"),
    "palette with index 0 transparent": Coding(lambda m, r: indexed(m * label(r)), "palette",
                                               options={"transparency": 0}),
    "palette of greys": Coding(lambda m, r: indexed(m * 255, np.repeat(
        np.arange(256, dtype=np.uint8)[:, None], 3, axis=1))),
    "palette from white to black": Coding(lambda m, r: indexed(~m, np.array(
        [[255] * 3, [0] * 3], np.uint8))),
    "palette without colours": Coding(lambda m, r: indexed(m * 3, np.zeros((256, 3), np.uint8)),
                                      "palette"),
    "palette from red to black": Coding(lambda m, r: indexed(~m, np.array(
        [[255, 0, 0], [0, 0, 0]], np.uint8)), "binary", {"mask_coding": "binary"}),
    "colours of VOC": Coding(lambda m, r: Image.fromarray(
        palette_of_voc()[instances(m, (label(r, 7), 15))]), "levels"),
    "colours of VOC, void left out": Coding(lambda m, r: Image.fromarray(
        palette_of_voc()[with_void(m, label(r), 0, 255)]), "levels", IGNORE, border=True),
    "colours of CVAT": Coding(lambda m, r: Image.fromarray(
        np.where(m[..., None], (50, 183, 250), 0).astype(np.uint8)), "levels"),
    "opaque RGBA": Coding(lambda m, r: grey(m * 255).convert("RGBA")),
    "cut-outs of dark objects": Coding(lambda m, r: cut_out(photo(m, r, 60), m), "alpha"),
    "cut-outs on hidden black": Coding(
        lambda m, r: cut_out(photo(m, r) * m[..., None], m), "alpha"),
    "cut-outs of silhouettes": Coding(
        lambda m, r: cut_out(np.where(m[..., None], 0, 255) + np.zeros(3, int), m), "alpha"),
    "grey cut-outs": Coding(lambda m, r: Image.merge(
        "LA", (grey(photo(m, r, 60)[..., 0]), grey(m * 255))), "alpha"),
    "alpha alone": Coding(lambda m, r: Image.merge(
        "LA", (Image.new("L", m.shape[::-1]), grey(m * 255))), "alpha"),
    "white on nothing": Coding(lambda m, r: Image.merge("LA", (grey(m * 255),) * 2), "alpha"),
    "invisible": Coding(lambda m, r: Image.merge(
        "LA", (grey(m * 255), Image.new("L", m.shape[::-1])))),
    "trimap 1/2/3": Coding(lambda m, r: grey(with_void(m, 1, 2, 3)), "trimap", IGNORE | {
        "mask_coding": "trimap", "mask_trimap": [1, 2, 3]}, border=True),
    "trimap 255/0/128": Coding(lambda m, r: grey(with_void(m, 255, 0, 128)), "trimap", IGNORE | {
        "mask_coding": "trimap"}, border=True),
    "dark greys above a threshold": Coding(lambda m, r: grey(
        np.where(m, 30, 20) + photo(m, r, 8)[..., 0]), "binary",
        {"mask_coding": "binary", "mask_threshold": 29}),
}


def write(coding: Coding, inside: np.ndarray, random: np.random.Generator, path) -> None:
    """Save an object's mask, and a photo for it as ``…/images/<stem>.png``."""
    save_image(path.with_suffix(coding.suffix), coding.make(inside, random), **coding.options)
    save_image(path.parents[1] / f"images/{path.stem}.png", Image.fromarray(photo(inside, random)))
