"""Scoring: folders of saliency maps are found, read and held against their masks.

``layout`` tells which folders hold maps of which method and set, ``jobs`` which folder is scored
against which masks, ``folders`` reads and scores one folder, ``scores`` keeps the results in
``results/scores.json``. ``arguments`` has the options of all that.
"""

from .folders import FolderScores, ScoringOptions, read_truth, score_folder

__all__ = ["FolderScores", "ScoringOptions", "read_truth", "score_folder"]
