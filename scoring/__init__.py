"""Scoring: folders of saliency maps are found, read and held against their masks.

``jobs`` tells which folder is scored against which data set, ``folders`` reads and scores one
folder, ``scores`` keeps the results in ``results/scores.json``.
"""

from .folders import FolderScores, ScoringOptions, read_truth, score_folder

__all__ = ["FolderScores", "ScoringOptions", "read_truth", "score_folder"]
