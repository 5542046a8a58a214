"""What the tests of several scripts share."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def scored(sets, tmp_path) -> Path:
    """A results folder in which method ``copy`` predicts TINY-TE perfectly."""
    folder = tmp_path / "results/copy/TINY-TE"
    folder.mkdir(parents=True)
    for path in (sets / "TINY-TE/masks").iterdir():
        Image.open(path).save(folder / path.name)
    return folder
