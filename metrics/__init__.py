"""Saliency measures: uint8 arrays in, numbers out. No files, and nothing of the repository.

A backend, NumPy or torch, counts how often each byte of a map meets foreground and background,
and takes what the weighted F-measure needs of distances; the rest is float64 NumPy. Scores equal
those of PySODMetrics 1.6.2; the definitions of other scripts are profiles. ``MEASURES`` is the
table of all measures: one that is added there is scored, printed and compared.
"""

from .evaluator import Evaluator
from .profiles import PROFILES
from .table import CORE, MEASURES, Measure, lower_is_better

__all__ = ["CORE", "MEASURES", "PROFILES", "Evaluator", "Measure", "lower_is_better"]
