"""Scribble files → 1 foreground, 0 background, 255 unknown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from utils.errors import UserError
from utils.images import open_image

from .decode import upright
from .masks import MaskCoding, decode_mask

#: Our values of the S-DUTS codes: 0 unknown → 255 (ignored), 1 foreground → 1, 2 background → 0.
SCRIBBLE_CODES = (255, 1, 0)


def decode_strokes(foreground: Path, labelled: Path, image: Path | None = None,
                   codings: Mapping[str, MaskCoding] = MappingProxyType({})) -> np.ndarray:
    """Scribbles from WSSA's two files, of foreground strokes and of all strokes; the same coding.

    Args:
        codings: of the two files, which are masks, as ``scribble`` and ``labelled`` (``Pair``).

    Raises:
        UserError: files that do not decode, of different sizes, or foreground that is not labelled.
    """
    inside, known = (decode_mask(path, image, codings.get(part)) > 127
                     for part, path in (("scribble", foreground), ("labelled", labelled)))
    if inside.shape != known.shape:
        raise UserError(f"sizes differ: {foreground} and {labelled}")
    if (inside & ~known).any():
        raise UserError(f"{foreground}: foreground strokes that {labelled} does not label; these "
                        "should be WSSA's gt and mask folders")
    return np.where(known, inside, SCRIBBLE_CODES[0]).astype(np.uint8)


def decode_scribble(path: Path, image: Path | None = None) -> np.ndarray:
    """Scribbles as uint8 (H, W): 1 foreground, 0 background, 255 unknown; upright.

    The file holds the S-DUTS codes 0 unknown, 1 foreground, 2 background, as grey values,
    palette indices or three equal channels. One without an orientation of its own follows
    ``image``, as a mask does.

    Raises:
        UserError: a value outside the table, named with the file. Left in, it would reach the
            loss as a class that does not exist, which CUDA reports as a device-side assertion.
    """
    file = open_image(path)
    codes = np.asarray(file)
    if codes.dtype.kind not in "uib":
        raise UserError(f"{path}: scribble codes are integers, this file holds {codes.dtype}")
    if codes.ndim == 3:
        colours = codes[..., :codes.shape[2] - (codes.shape[2] in (2, 4))]  # without alpha
        if (colours != colours[..., :1]).any():
            raise UserError(f"{path}: a scribble map has one channel, this file has colours")
        codes = colours[..., 0]
    strange = np.setdiff1d(codes, [0, 1, 2])
    if strange.size:
        values = ", ".join(str(v) for v in strange[:5])
        raise UserError(f"{path}: scribble value {values}; the table is 0 unknown, 1 foreground, "
                        "2 background")
    return upright(np.array(SCRIBBLE_CODES, np.uint8)[codes.astype(np.int64)], file, image)
