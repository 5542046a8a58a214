"""Edge maps to learn from: from files, or made of the mask or the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from utils.choices import MASK_EDGES
from utils.errors import UserError, counted, list_problems
from utils.schema import DataConfig

from .catalog import find_set, subfolder
from .coding import with_coding
from .decoupling import with_maps
from .pairing import PLAIN, Names, Pair, attach

EDGE_FOLDERS = ("edges", "edge")
#: Source of edge maps → the file of a pair that it needs.
_SOURCES = {"files": "edge", **dict.fromkeys(MASK_EDGES, "mask")}


def find_masks(spec: str, root: Path, edges: str = "none",
               names: Names = PLAIN, options: DataConfig | None = None,
               maps: bool = False) -> list[Pair]:
    """Images with their masks, by stem, see ``find_set``; a count that surprises is printed.

    Args:
        edges: ``files`` finds an edge map for each image too, in ``edges`` or ``edge`` beside the
            masks' folder; ``auto`` does where such a folder exists.
        names: how the folders are read.
        options: what is decided on the coding of masks, see ``coding.with_coding``.
        maps: whether they get the maps that ``options`` name, see ``decoupling.with_maps``.

    Raises:
        UserError: no such set, or files without partner, all of which it lists; masks whose coding
            is not certain.
    """
    located = find_set(spec, root, names)
    if located.count_note:
        print(f"note: {located.count_note}; going on with these")
    # A set may have a folder of masks for each of its classes.
    folders = [edge_folder(home, edges, "masks", "mask or mask_canny") for home in located.homes]
    pairs, problems = attach(located.pairs, "edge", [folder for folder in folders if folder],
                             names.recursive)
    if problems:
        raise UserError(list_problems(f"{located.name}: images and edges do not pair up", problems,
                                      "data.edges=mask makes edge maps of the masks."))
    if maps and options is not None:
        pairs = with_maps(pairs, located.name, options)
    return with_coding(with_coding(pairs, options, located.name), part="edge")


def edge_folder(home: Path, edges: str, targets: str, makers: str) -> Path | None:
    """The folder of edge maps in ``home``; None where ``edges`` wants no files, or ``auto`` finds
    none.

    Raises:
        UserError: ``files`` are wanted and the folder is missing; it names the values (``makers``)
            that make edge maps of the ``targets``.
    """
    if edges not in ("files", "auto"):
        return None
    folder = next((f for name in EDGE_FOLDERS if (f := subfolder(home, name))), None)
    if folder is None and edges == "files":
        raise UserError(f"{home}: no folder {' or '.join(EDGE_FOLDERS)} beside the {targets}; "
                        f"data.edges={makers} makes edge maps")
    return folder


def edge_source(spec: str, pairs: Sequence[Pair]) -> str:
    """The source of edge maps that ``data.edges`` means: for ``auto``, the files if all pairs have
    one, else the masks, or with scribbles Canny's edges of the images.

    Raises:
        UserError: pairs without the file that the edges come from.
    """
    lacking = {source: [pair for pair in pairs if getattr(pair, part) is None]
               for source, part in _SOURCES.items()}
    if spec == "auto":
        return next((source for source in ("files", "mask") if not lacking[source]), "canny")
    if missing := lacking.get(spec):
        number = counted(len(missing), "pair has", "pairs have")
        raise UserError(f"data.edges={spec}: {number} no {_SOURCES[spec]} file, the first is "
                        f"{missing[0].image}; data.edges=canny makes edge maps of the images, "
                        "data.edges=mask of masks")
    return spec


def mask_edges(mask: np.ndarray, kind: str) -> np.ndarray:
    """The outline of a mask, uint8 (H, W) → uint8 (H, W) of 0 and 255; above 127 is inside.

    Args:
        kind: ``mask``, where the gradient by central differences is not zero: a band of the last
            pixel inside and the first outside, TRACER's labels (its script cuts above 128);
            ``mask_canny``, OpenCV's Canny, a line one pixel wide.
    """
    inside = mask > 127
    if kind == "mask_canny":
        # Any thresholds would do: the gradient of two levels is at least 510 or nothing.
        return cv2.Canny(inside.astype(np.uint8) * 255, 50, 150)
    # With the rim repeated, the differences at the border are one-sided, as np.gradient has them.
    wide = np.pad(inside, 1, mode="edge")
    across, down = wide[1:-1, 2:] != wide[1:-1, :-2], wide[2:, 1:-1] != wide[:-2, 1:-1]
    return (across | down).astype(np.uint8) * 255


def image_edges(image: Image.Image, kind: str) -> np.ndarray:
    """Edges of an RGB image as uint8 (H, W), 0 none to 255 strong.

    Args:
        kind: ``canny`` (OpenCV, thresholds 50 and 150, after a Gaussian of 1.4 pixels), 0 or 255;
            ``sobel``, the gradient's length, of which the strongest percent is 255.
    """
    grey = cv2.GaussianBlur(np.asarray(image.convert("L")), (0, 0), 1.4)
    if kind == "canny":
        return cv2.Canny(grey, 50, 150)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0))
    strength = np.hypot(across, down)
    full = max(float(np.percentile(strength, 99)), 1.0)
    return (strength / full * 255).clip(0, 255).round().astype(np.uint8)


def dilate(edges: np.ndarray, side: int) -> np.ndarray:
    """Edges (H, W), each pixel the strongest within a square of ``side`` (odd) around it."""
    return edges if side == 1 else cv2.dilate(edges, np.ones((side, side), np.uint8))
