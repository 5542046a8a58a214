"""LDF's labels (Wei et al., CVPR 2020): a mask split into its body and its detail.

In the first round both are made of the mask, as layers of a sample. In the second round they are
the maps that the network of the first round predicts, files of a pair (docs/ldf.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from utils.errors import UserError, list_problems
from utils.paths import ROOT
from utils.schema import DataConfig

from .pairing import Pair, attach

PARTS = ("body", "detail")


def body_of(mask: np.ndarray, kind: str) -> np.ndarray:
    """The body of a mask: bright in the middle of an object, dark at its outline. One maximum
    counts for the whole mask, so that a small object beside a large one is dim.

    Args:
        mask: uint8 (H, W).
        kind: ``released``, the root of the distance to what a blur of 5×5 leaves black, so that it
            reaches two pixels beyond the mask; ``paper``, the distance to what is black in the mask
            itself, times the mask.

    Returns:
        uint8 (H, W), 0 to 255; black for a black mask.
    """
    inside = cv2.blur(mask, (5, 5)) if kind == "released" else mask
    # OpenCV's distance in 5×5 steps, not the exact one: its roots differ by up to 3 of 255.
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    if kind == "released":
        distance = np.sqrt(distance)
    share = distance / max(float(distance.max()), np.finfo(np.float32).tiny)
    return (share * (255 if kind == "released" else mask)).astype(np.uint8)


def detail_of(mask: np.ndarray, body: np.ndarray) -> np.ndarray:
    """What is missing from the body: mask − body, and 0 where that is negative, uint8 (H, W)."""
    return cv2.subtract(mask, body)


def with_maps(pairs: list[Pair], name: str, options: DataConfig) -> list[Pair]:
    """Pairs of the set ``name`` with the maps that ``data.body`` and ``data.detail`` name.

    Raises:
        UserError: the folder of a set is not there, or lacks a map; all are listed.
    """
    for part in PARTS:
        if not (where := getattr(options, part)):
            continue
        folder = ROOT / where / name
        if not folder.is_dir():
            raise UserError(
                f"data.{part}: no folder {folder}. It is to hold the {part} maps that a first "
                f"network predicts for the set: train one with --config ldf_coarse, then run "
                f"`python test.py --config ldf_coarse --data {name} test.output={part}` "
                f"(docs/ldf.md). data.{part}= makes them of the masks")
        pairs, problems = attach(pairs, part, [folder], options.recursive)
        if problems:
            raise UserError(list_problems(f"{name}: images and {part} maps do not pair up",
                                          problems, "test.py writes a map of every image."))
    return pairs


def require_known_masks(names: Sequence[str], pair: Pair) -> None:
    """Raise a UserError where layers ``names`` are made of masks that have void pixels."""
    for part in PARTS:
        if part in names and getattr(pair, part) is None:
            raise UserError(f"the layer {part} is made of the whole mask, from which "
                            "data.mask_void=ignore leaves pixels out: take "
                            f"data.mask_void=background or foreground, or maps with data.{part}")
