"""Counts of bytes against the truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from metrics import Evaluator, counts, evaluator, weighted
from metrics.counts import count, histogram


def test_counts_are_exact_beyond_the_whole_numbers_of_float32():
    cells = np.full((2**12, 2**12 + 1), 700, np.uint16)  # more than 2**24 of one cell
    cells[0, :3] = 2047
    counts = histogram(cells)
    assert (int(counts[700]), int(counts[2047])) == (cells.size - 3, 3)


@pytest.mark.parametrize("offset", [0, 1])
def test_blocks_part_at_the_centroid(offset):
    truth = np.zeros((6, 9), np.uint8)
    truth[2:5, 4:7] = 255  # centroid in row 3, column 5
    prediction = np.arange(54, dtype=np.uint8).reshape(6, 9)
    counts = count([(prediction, truth)], split_offset=offset)
    row, column = 3 + offset, 5 + offset
    assert counts.splits.tolist() == [[row, column]] and counts.shapes.tolist() == [[6, 9]]
    for block, (rows, columns) in enumerate((
            (slice(0, row), slice(0, column)), (slice(0, row), slice(column, None)),
            (slice(row, None), slice(0, column)), (slice(row, None), slice(column, None)))):
        for value, on_object in ((0, False), (1, True)):
            expected = prediction[rows, columns][(truth[rows, columns] > 128) == on_object]
            assert np.flatnonzero(counts.blocks[0, block, value]).tolist() == sorted(expected)


@pytest.mark.parametrize("band", [1, 300, 700])
@pytest.mark.parametrize("seed", range(4))
def test_a_large_map_scores_the_same_band_by_band(monkeypatch, band, seed):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (9, 8), dtype=np.uint8)
    prediction = cv2.resize(coarse, (53, 70), interpolation=cv2.INTER_CUBIC)
    truth = np.where(cv2.GaussianBlur(prediction, (9, 9), 3) > 150, np.uint8(255), np.uint8(0))
    prediction[:seed * 9] = 0
    whole = Evaluator()
    whole.update("a", prediction, truth)
    monkeypatch.setattr(counts, "BAND", band)
    monkeypatch.setattr(weighted, "LARGE", 100)
    monkeypatch.setattr(evaluator, "PIXELS", 100)
    bands = Evaluator()
    bands.update("a", prediction, truth)
    assert whole.compute()["wF"] > 0.1
    assert bands.compute() == pytest.approx(whole.compute(), abs=1e-13)
