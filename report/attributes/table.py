"""The table of attributes: what the command, the heads of CSV files, docs and tests go by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from . import appearance, shape

#: Longer side to which photo and mask are brought before anything but the size is measured.
SIDE = 256
NUMBER, FLAG = "number", "flag"
_LI = "after Li et al., CVPR 2014"
_SOC = "after Fan et al., ECCV 2018 (SOC)"


@dataclass(frozen=True)
class Attribute:
    """A row of the table.

    Attributes:
        name: key of values and head of CSV columns.
        label: what figures and tables call it.
        unit: of its values; empty for counts, flags and ratios.
        needs: what ``compute`` is given, in this order: ``image`` and ``mask`` of the working
            size, or the ``given`` mask. What needs a mask needs an object in it.
        compute: arrays → number, NaN where it is not defined.
        sentence, formula: the definition.
        source: where the idea is from; empty where it is ours. Sizes and thresholds are ours.
        stable: by how much the value changes at most, for 95 of 100 images of ECSSD, when photo
            and mask are made half as large (``python -m benchmarks.attributes``). Of flags and
            counts the share of images on which they change.
        kind: ``NUMBER`` or ``FLAG`` (0 or 1).
        counts: whether it is a whole number.
    """

    name: str
    label: str
    unit: str
    needs: tuple[str, ...]
    compute: Callable[..., float]
    sentence: str
    formula: str
    source: str
    stable: float
    kind: str = NUMBER
    counts: bool = False

    @property
    def of_photo(self) -> bool:
        return "image" in self.needs

    @property
    def of_object(self) -> bool:
        return self.needs != ("image",)


ATTRIBUTES: dict[str, Attribute] = {attribute.name: attribute for attribute in (
    Attribute("size", "object size", "share of the image", ("given",), shape.size,
              "How much of the image is object.", "A / (H·W), of the mask as it is given",
              f"{_LI}; big and small object {_SOC}", 0.004),
    Attribute("objects", "number of objects", "", ("mask",), shape.objects,
              "How many separate objects there are.",
              "number of 8-connected components above 1 % of the object's area", "", 0.003,
              counts=True),
    Attribute("border", "touches the border", "", ("mask",), shape.touches_border,
              "Whether the image's edge cuts the object.",
              "1 if object lies within 1/128 of the longer side of the edge, else 0",
              f"out of view {_SOC}", 0.007, kind=FLAG),
    Attribute("off_centre", "distance from the centre", "half diagonals", ("mask",),
              shape.off_centre, "How far the object's centroid is from the image's centre.",
              "‖centroid − centre‖ / (½ √(H² + W²))", f"centre bias {_LI}", 0.002),
    Attribute("contrast", "contrast to the surround", "χ²", ("image", "mask"),
              appearance.contrast, "How much the object's colours differ from those around it.",
              "½ Σ (p − q)² / (p + q) of Lab histograms (cells 12.5 × 16 × 16) of the object and "
              "of the background within 1/16 of the longer side", f"{_LI}; clutter {_SOC}", 0.03),
    Attribute("object_colours", "colour spread of the object", "ΔE", ("image", "mask"),
              appearance.object_colours, "How different the object's own colours are.",
              "√ mean ‖c − c̄‖² over its Lab colours c", f"heterogeneous object {_SOC}", 1.7),
    Attribute("background_colours", "colour spread of the background", "ΔE", ("image", "mask"),
              appearance.background_colours, "How different the background's colours are.",
              "√ mean ‖c − c̄‖² over its Lab colours c", "", 1.2),
    Attribute("complexity", "shape complexity", "", ("mask",), shape.complexity,
              "How long the outline is for the area: 1 of a disc, 1.27 of a square.",
              "P² / (4πA), P = Σ ‖∇‖ of the mask smoothed with σ = 1/256 of the longer side; "
              "outlines of holes and along the image's edge count",
              f"inverse of compactness; shape complexity {_SOC}", 0.16),
    Attribute("holes", "holes", "share of the filled object", ("mask",), shape.holes,
              "How much of the object is holes.", "area of the holes / (area of all holes + A); "
              "holes below 0.1 % of that sum are not counted", "", 0.0025),
    Attribute("thin", "thin structures", "share of the object", ("mask",), shape.thin,
              "How much of the object is thinner than about 1/28 of the longer side.",
              "1 − A(opened) / A, opened with a disc of radius 1/64 of the longer side", "", 0.015),
    Attribute("background_edges", "edges of the background", "share of the background",
              ("image", "mask"), appearance.background_edges, "How cluttered the background is.",
              "Canny edges (σ = 1/128 of the longer side, thresholds 40 and 80) / background "
              "pixels, both farther than 1/64 of the longer side from the object", "", 0.009),
    Attribute("gabor", "Gabor energy", "% of the grey range", ("image",), appearance.gabor,
              "How much texture of medium scale the image has.",
              "√ mean ‖response‖² over pixels, 4 orientations and wavelengths of 1/32, 1/16, 1/8 "
              "of the longer side (one octave wide)", "", 0.15),
    Attribute("canny", "edges of the image", "share of the image", ("image",), appearance.canny,
              "How many edges the image has.",
              "Canny edges (σ = 1/128 of the longer side, thresholds 40 and 80) / pixels", "",
              0.008),
)}


def measure(image: np.ndarray | None, mask: np.ndarray) -> dict[str, float]:
    """All attributes of an image, by name; NaN are those that it does not have.

    Args:
        image: RGB uint8 (h, w, 3), of any size; it is brought to the mask's proportions. None
            where there is no photo.
        mask: bool (H, W), what is object.

    Raises:
        ValueError: another dtype, or other dimensions.
    """
    if mask.dtype != bool or mask.ndim != 2 or not mask.size:
        raise ValueError(f"a mask is bool (H, W), not {mask.dtype} {mask.shape}")
    if image is not None and (image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3):
        raise ValueError(f"an image is uint8 (H, W, 3), not {image.dtype} {image.shape}")
    size = working_size(mask.shape)
    arrays = {"given": mask, "mask": resized_mask(mask, size)}
    if image is not None:
        arrays["image"] = resized(image, size)
    return {attribute.name: _value(attribute, arrays) for attribute in ATTRIBUTES.values()}


def _value(attribute: Attribute, arrays: dict[str, np.ndarray]) -> float:
    if not all(name in arrays and (name == "image" or arrays[name].any())
               for name in attribute.needs):
        return math.nan
    return attribute.compute(*(arrays[name] for name in attribute.needs))


def working_size(shape: tuple[int, int]) -> tuple[int, int]:
    """Even height and width of the same proportions with a longer side of ``SIDE``."""
    half = SIDE / 2 / max(shape)
    return 2 * max(1, round(half * shape[0])), 2 * max(1, round(half * shape[1]))


def resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) or (H, W, 3) brought to ``size``: means of areas to shrink, bilinear to enlarge."""
    if values.shape[:2] == size:
        return values
    shrinks = size[0] <= values.shape[0] and size[1] <= values.shape[1]
    return cv2.resize(values, size[::-1],
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resized_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A bool mask of ``size``: what was object for at least one half of a pixel."""
    return resized(mask.astype(np.float32), size) >= 0.5
