"""Saliency metrics: counts and distances from a NumPy or a torch backend, then float64 NumPy.

All core measures but the weighted F-measure are exact functions of how often each byte of a map
meets foreground and background, so a map is read once and never thresholded again. Equal to
PySODMetrics 1.6.2; other scripts' definitions are profiles.
"""

from .compare import lower_is_better
from .evaluator import Evaluator
from .profiles import CORE, FAMILIES, PROFILES

__all__ = ["CORE", "FAMILIES", "PROFILES", "Evaluator", "lower_is_better"]
