"""The published sets' own mean and deviation."""

from __future__ import annotations

import shutil

import imageio.v3 as iio
import numpy as np
import pytest

import test as test_script
import train as train_script
from data.catalog import with_statistics_of
from utils.config import default_config


def test_statistics_of_each_set_are_a_choice(made_sets, runs, tmp_path):
    config = with_statistics_of("ECSSD", default_config().data)
    assert config.mean == pytest.approx([117.15 / 255, 112.48 / 255, 92.86 / 255])
    assert config.std == pytest.approx([56.36 / 255, 53.82 / 255, 54.23 / 255])
    assert with_statistics_of("ecssd", default_config().data) == config
    assert with_statistics_of("photos", default_config().data) == default_config().data
    (tmp_path / "sets").mkdir()
    shutil.copytree(made_sets / "TINY-TE", tmp_path / "sets/ECSSD")
    small = ["model.options.width=0.0625", "weights.backbone=none", "data.size=32",
             "data.workers=0"]
    assert train_script.main(["--gpu", "cpu", f"data.root={made_sets}", "data.train=[TINY-TR]",
                              "train.epochs=1", "name=weak", *small]) == 0
    maps = {}
    for choice in ("recipe", "per_set"):
        out = tmp_path / choice
        assert test_script.main(["--checkpoint", str(runs / "weak/last.pt"), "--gpu", "cpu",
                                 "--data", str(tmp_path / "sets/ECSSD"), "--out", str(out),
                                 f"test.statistics={choice}", "test.minmax=true"]) == 0
        maps[choice] = np.stack([iio.imread(path) for path in sorted(out.rglob("00.png"))])
    assert not np.array_equal(maps["recipe"], maps["per_set"])
