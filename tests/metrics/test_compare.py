"""The comparison of two methods, image by image."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.compare import compare
from report.tables import differences_table


def test_a_difference_beyond_chance_has_an_interval_without_zero():
    random = np.random.default_rng(0)
    base = random.random(200)
    a = {str(i): {"MAE": base[i], "Sm": 0.5} for i in range(200)}
    b = {str(i): {"MAE": base[i] + 0.01 + random.normal(0, 0.02), "Sm": 0.5} for i in range(200)}
    mae, s = compare(a, b)
    assert mae.low < mae.a - mae.b < mae.high < 0
    differences = np.array([a[name]["MAE"] - b[name]["MAE"] for name in a])
    assert (mae.wins, mae.losses) == ((differences < 0).sum(), (differences > 0).sum())
    # The normal interval of the mean, which the bootstrap approaches.
    half = 1.96 * differences.std(ddof=1) / np.sqrt(200)
    assert mae.low == pytest.approx(differences.mean() - half, abs=half / 10)
    assert mae.most[0][0] == str(abs(differences).argmax())
    assert (s.low, s.high, s.wins, s.losses, s.most) == (0, 0, 0, 0, [])


def test_one_image_tells_nothing_of_chance():
    (difference,) = compare({"x": {"MAE": .1}}, {"x": {"MAE": .2}})
    assert np.isnan((difference.low, difference.high)).all() and difference.wins == 1
    table = differences_table("A", "B", "S", [difference])
    assert table.title == "A against B on S, 1 image"
    ((row,),) = table.groups
    assert [cell.text for cell in row[3:5]] == ["-0.10000", "–"]  # without the star


def test_only_the_same_images_are_compared():
    with pytest.raises(ValueError, match="the same images"):
        compare({"a": {"MAE": 0.1}}, {"b": {"MAE": 0.1}})
