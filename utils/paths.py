"""Where things lie, whatever directory a script is started from."""

from __future__ import annotations

from pathlib import Path

#: The repository. ``ROOT / path`` is how every path of a configuration is read: relative
#: ones are relative to the repository, absolute ones stay as they are.
ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
CHECKPOINTS = ROOT / "checkpoints"
DATASETS = ROOT / "datasets"
RESULTS = ROOT / "results"
