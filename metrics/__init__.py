"""Saliency metrics: per-image histograms from a NumPy or a torch backend, then float64 NumPy.

Every measure so far is an exact function of how often each prediction byte meets foreground and
background, so a map is read once and never thresholded again. Equal to PySODMetrics 1.6.2.
"""

from .folders import FolderScores, read_map, read_truth, score_folder
from .histogram import joint_histogram
from .measures import ImageScores, Scores, score_histogram

__all__ = ["FolderScores", "ImageScores", "Scores", "joint_histogram", "read_map",
           "read_truth", "score_folder", "score_histogram"]
