"""What measures take from maps. All of it is computed when a measure first asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .counts import Counts, Sample, count, valued
from .measures import Confusion, Levels, adaptive, at_selection, at_thresholds, levels_of
from .weighted import weighted_errors

if TYPE_CHECKING:
    from .profiles import Profile
    from .torch_backend import TorchBatch


class Batch:
    """B maps with their ground truths under the definitions of a profile.

    Args:
        samples: B pairs of prediction and truth, uint8 (H, W).
        device: ``cpu`` for NumPy, else a torch device.

    Attributes:
        counts, levels: see ``Counts`` and ``Levels``.
        at_thresholds, at_adaptive, at_half: selections at all thresholds (B, T), at twice each
            map's mean (B, 1), and above 0.5 (B, 1).
        e_selections: the first two as the profile's E-measure selects.
        weighted_errors: (B, 2), see ``weighted.weighted_errors``.
    """

    def __init__(self, samples: Sequence[Sample], profile: Profile, device: object = "cpu"):
        self.samples, self.profile, self.device = samples, profile, device

    @cached_property
    def _on_device(self) -> TorchBatch | None:
        if str(self.device) == "cpu":
            return None
        from .torch_backend import TorchBatch  # slow to import, and not needed for NumPy

        return TorchBatch(self.samples, self.device, self.profile.foreground_above,
                          self.profile.split_offset)

    @cached_property
    def counts(self) -> Counts:
        if self._on_device:
            return self._on_device.count()
        return count(self.samples, self.profile.foreground_above, self.profile.split_offset)

    @cached_property
    def levels(self) -> Levels:
        return levels_of(self.counts, self.profile.stretch)

    @cached_property
    def at_thresholds(self) -> Confusion:
        return at_thresholds(self.levels, self.profile.cuts)

    @cached_property
    def at_adaptive(self) -> Confusion:
        return adaptive(self.levels, self.samples)

    @cached_property
    def at_half(self) -> Confusion:
        return at_selection(self.levels, self.levels.values > 0.5)

    @cached_property
    def e_selections(self) -> tuple[Confusion, Confusion]:
        strict, capped = self.profile.e_strict, self.profile.e_capped
        if capped and not strict:
            return self.at_thresholds, self.at_adaptive
        return (at_thresholds(self.levels, self.profile.cuts, strict),
                adaptive(self.levels, self.samples, strict, capped))

    @cached_property
    def weighted_errors(self) -> np.ndarray:
        if self._on_device:
            return self._on_device.weighted_errors(self.levels)
        return weighted_errors(self.samples, self.levels, self.profile.foreground_above)

    def maps(self) -> Iterator[PixelMap]:
        """The maps one by one, made anew each time: pixels take more memory than counts."""
        for (prediction, truth), values in zip(self.samples, self.levels.values, strict=True):
            yield PixelMap(prediction, truth > self.profile.foreground_above,
                           valued(prediction, values))


@dataclass(frozen=True)
class PixelMap:
    """A map as the measures of pixels want it.

    Attributes:
        prediction: uint8 (H, W), as it was given.
        foreground: bool (H, W).
        values: float64 (H, W) in [0, 1], stretched where the profile stretches.
        levels: uint8 (H, W), ``values`` rounded down to bytes.
        at_half, at_adaptive: bool (H, W), what is selected above 0.5, and at twice the mean.
    """

    prediction: np.ndarray
    foreground: np.ndarray
    values: np.ndarray

    @property
    def levels(self) -> np.ndarray:
        return (self.values * 255).astype(np.uint8)

    @property
    def at_half(self) -> np.ndarray:
        return self.values > 0.5

    @property
    def at_adaptive(self) -> np.ndarray:
        return self.values >= min(2 * self.values.mean(), 1.0)
