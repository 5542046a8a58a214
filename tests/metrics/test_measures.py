"""Measures of counts and the weighted F-measure against PySODMetrics, image by image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import roc_auc_score

from tests.maps import (
    DEVICES,
    HANDLERS,
    MAPS,
    TRUTHS,
    draw_map,
    draw_truth,
    pairs,
    reference,
    scored,
    smooth,
)


def close(scores, expected) -> bool:
    """As ``pytest.approx`` with ``rel=abs=1e-12``, which takes long for curves."""
    assert np.shape(scores) == np.shape(expected)
    # One-pixel images have E up to 1 / EPS, so the error is relative there.
    tolerance = 1e-12 * np.maximum(1, np.abs(expected))
    return bool((np.abs(np.subtract(scores, expected)) <= tolerance).all())


def assert_equals_reference(sample, devices=DEVICES) -> None:
    expected = reference(*sample)
    for device in devices:
        evaluator = scored([sample], device)
        ours = evaluator.curves() | evaluator.per_image["0"]
        for name, value in expected.items():
            if name == "Sm" and np.isnan(value):  # a block without pixels; here it has no weight
                assert 0 <= ours[name] <= 1
            else:
                assert close(ours[name], value), f"{name} on {device}"


@settings(max_examples=60, deadline=None)
@given(sample=pairs())
def test_every_image_equals_pysodmetrics(sample):
    assert_equals_reference(sample)


@pytest.mark.parametrize("truth", TRUTHS)
def test_every_kind_of_map_and_truth_equals_pysodmetrics(truth):
    random = np.random.default_rng(1)
    for kind in MAPS:
        for shape in ((1, 1), (1, 9), (7, 1), (2, 2), (31, 48)):
            mask = draw_truth(random, truth, shape)
            assert_equals_reference((draw_map(random, kind, mask), mask))


@pytest.mark.parametrize("truth", [0, 128, 129, 255])
def test_constant_maps_and_constant_truths(truth):
    for value in (0, 1, 77, 127, 128, 254, 255):
        for shape in ((5, 7), (34, 50)):
            sample = np.full(shape, value, np.uint8), np.full(shape, truth, np.uint8)
            assert_equals_reference(sample)


def test_large_images_equal_pysodmetrics():
    """Distances beyond the table of weights, and an object far from everything."""
    random = np.random.default_rng(0)
    truth = np.zeros((700, 900), np.uint8)
    truth[3:9, 880:890] = 255
    truth[500, 40] = 255
    prediction = smooth(random.integers(0, 256, truth.shape)).astype(np.uint8)
    assert_equals_reference((prediction, truth), ["cpu"])


def test_real_maps_equal_pysodmetrics(shared):
    maps = shared / "data/mini/maps/WSSA/ECSSD"
    masks = shared / "data/mini/ECSSD/ground_truth_mask"
    for path in sorted(maps.glob("*.png")):
        sample = tuple(np.array(Image.open(file).convert("L"))
                       for file in (path, masks / path.name))
        assert_equals_reference(sample, ["cpu"])


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=8, deadline=None)
@given(samples=st.lists(pairs(), min_size=2, max_size=20))
def test_a_data_set_averages_curves_before_the_maximum(device, samples):
    """Maps of different sizes share a batch on a device."""
    evaluator = scored(samples, device)
    each = [reference(*sample) for sample in samples]
    row = evaluator.compute()
    for family in ("F", "E", *HANDLERS):
        curve = np.mean([numbers[family] for numbers in each], axis=0)
        assert row[f"max{family}"] == pytest.approx(curve.max(), rel=1e-12, abs=1e-12)
        assert row[f"mean{family}"] == pytest.approx(curve.mean(), rel=1e-12, abs=1e-12)
    for name in ("MAE", "adpF", "adpE", "wF", "adpIoU", "binBER"):
        expected = np.mean([numbers[name] for numbers in each])
        assert row[name] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert all(np.isfinite(value) for value in row.values())


@settings(max_examples=50, deadline=None)
@given(sample=pairs())
def test_auc_equals_scikit_learn(sample):
    prediction, truth = sample
    if prediction.min() != prediction.max():  # on the bytes that the thresholds tell apart
        low, high = float(prediction.min()), float(prediction.max())
        prediction = ((prediction / 255 - low / 255) / (high / 255 - low / 255) * 255).astype(int)
    positive = truth > 128
    auc = scored([sample], measures=("AUC",)).compute()["AUC"]
    if positive.all() or not positive.any():
        assert auc in (0, 0.5, 1)
    else:
        assert auc == pytest.approx(roc_auc_score(positive.ravel(), prediction.ravel()), abs=1e-12)


def test_sums_round_as_in_the_maps_own_memory_order():
    """S jumps where the mean of a constant block is not the constant to the last bit."""
    random = np.random.default_rng(0)
    for _ in range(6):
        shape = tuple(random.integers(20, 350, 2))
        truth = np.zeros(shape, np.uint8)
        truth[-3:, -3:] = 255
        sample = np.full(shape, random.integers(1, 255), np.uint8).T, truth.T
        assert_equals_reference(sample)
        assert_equals_reference(tuple(map(np.ascontiguousarray, sample)))
