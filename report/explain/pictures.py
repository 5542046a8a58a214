"""The pictures of an explained photo: maps in grey, layers in colours, CAMs over the photo."""

from __future__ import annotations

import matplotlib
import numpy as np
from PIL import Image

from ..sheet import TILE


def grey(values: np.ndarray) -> Image.Image:
    """Values (h, w) in [0, 1] in grey, or (h, w, 3) in their colours."""
    return Image.fromarray(np.round(255 * values).astype(np.uint8))


def coloured(values: np.ndarray, colours: str = "viridis") -> Image.Image:
    """Values (h, w) in a colour map of matplotlib, from their 5th percentile to their 95th: a
    layer's border often holds some that are far from all others."""
    low, high = np.percentile(values, (5, 95))
    scaled = np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)
    return Image.fromarray(matplotlib.colormaps[colours](scaled, bytes=True)[..., :3])


def cam_on(photo: Image.Image, cam: np.ndarray, region: np.ndarray) -> Image.Image:
    """The photo in grey under a CAM (h, w) in [0, 1], from blue to red, with the outline of the
    explained region, bool (H, W), in white; as large as a tile."""
    small = photo.copy()
    small.thumbnail((TILE, TILE))
    shown = Image.fromarray(np.round(255 * cam).astype(np.uint8)).resize(small.size)
    heat = matplotlib.colormaps["turbo"](np.asarray(shown), bytes=True)[..., :3]
    mixed = np.asarray(Image.blend(small.convert("L").convert("RGB"), Image.fromarray(heat), 0.5))
    inside = np.asarray(Image.fromarray(region).resize(small.size, Image.Resampling.NEAREST), bool)
    return Image.fromarray(np.where(_outline(inside)[..., None], np.uint8(255), mixed))


def _outline(inside: np.ndarray) -> np.ndarray:
    """The pixels of a region, bool (H, W), with a neighbour outside."""
    around = np.pad(inside, 1, mode="edge")
    core = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return inside & ~core
