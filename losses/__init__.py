"""Losses: pure functions of tensors, one file for each idea."""

from __future__ import annotations

from .coherence import saliency_coherence
from .consistency import structure_consistency
from .cross_entropy import bce
from .intensity import adaptive_pixel_intensity
from .scribbles import balanced_ce, partial_bce
from .smoothness import smoothness
from .structure import dice, structure

__all__ = ["adaptive_pixel_intensity", "balanced_ce", "bce", "dice", "partial_bce",
           "saliency_coherence", "smoothness", "structure", "structure_consistency"]
