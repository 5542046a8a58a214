"""What the tests of several scripts share."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import train as train_script
from tests.small_runs import train


@pytest.fixture
def scored(sets, tmp_path) -> Path:
    """A results folder in which method ``copy`` predicts TINY-TE perfectly."""
    folder = tmp_path / "results/copy/TINY-TE"
    folder.mkdir(parents=True)
    for path in (sets / "TINY-TE/masks").iterdir():
        Image.open(path).save(folder / path.name)
    return folder


@pytest.fixture(scope="session")
def trained(made_sets, tmp_path_factory) -> Path:
    """A checkpoint that tests only read."""
    runs = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_script, "CHECKPOINTS", runs)
        assert train(made_sets, "train.steps=1") == 0
    return runs / "trial/last.pt"
