"""Measures that need pixels and not just counts, map by map. On request: they are slower."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .boundary import (
    binary_boundary_iou,
    boundary_iou,
    mean_boundary_accuracy,
    multi_scale_iou,
    multi_scale_iou_curve,
)
from .context import context_measure
from .counts import Sample, on_host, valued
from .effort import correction_effort
from .measures import Levels


class Pixels:
    """One map as these measures want it.

    Attributes:
        prediction: uint8 (H, W), as it was given.
        foreground: bool (H, W).
        values: float64 (H, W) in [0, 1], stretched.
        levels: uint8 (H, W), ``values`` rounded down to bytes.
    """

    def __init__(self, sample: Sample, values: np.ndarray, foreground_above: int):
        self.prediction, truth = map(on_host, sample)
        self.foreground = truth > foreground_above
        self.values = valued(self.prediction, values)
        self.levels = (self.values * 255).astype(np.uint8)

    @property
    def at_half(self) -> np.ndarray:
        return self.values > 0.5

    @property
    def at_adaptive(self) -> np.ndarray:
        return self.values >= min(2 * self.values.mean(), 1.0)


def boundary_ious(map: Pixels) -> dict:
    return {"BIoU": boundary_iou(map.levels, map.foreground),
            "binBIoU": binary_boundary_iou(map.at_half, map.foreground)}


def multi_scale_ious(map: Pixels) -> dict:
    return {"MSIoU": multi_scale_iou_curve(map.levels, map.foreground),
            "adpMSIoU": multi_scale_iou(map.at_adaptive, map.foreground),
            "binMSIoU": multi_scale_iou(map.at_half, map.foreground)}


#: Family → the numbers and curves of one map.
OF_PIXELS: dict[str, Callable[[Pixels], dict]] = {
    "BIoU": boundary_ious,
    "mBA": lambda map: {"mBA": mean_boundary_accuracy(map.prediction, map.foreground)},
    "MSIoU": multi_scale_ious,
    "context": lambda map: {"context": context_measure(map.values, map.foreground)},
    "HCE": lambda map: {"HCE": float(correction_effort(map.at_half, map.foreground))},
}


def measure_pixels(samples: Sequence[Sample], levels: Levels, families: Sequence[str],
                   foreground_above: int) -> dict[str, np.ndarray]:
    """The families out of ``OF_PIXELS``: name → (B,) numbers or (B, T) curves."""
    wanted = [OF_PIXELS[family] for family in families if family in OF_PIXELS]
    if not wanted:
        return {}
    results = []
    for i, sample in enumerate(samples):
        pixels = Pixels(sample, levels.values[i], foreground_above)
        results.append({key: value for measure in wanted
                        for key, value in measure(pixels).items()})
    return {key: np.array([result[key] for result in results]) for key in results[0]}
