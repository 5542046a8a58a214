"""Boundary IoU and accuracy against their formulas, multi-scale IoU against PySODMetrics."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
import py_sod_metrics
import pytest
from hypothesis import given, settings
from scipy.ndimage import binary_dilation, binary_erosion, minimum_filter

from tests.maps import of_pysodmetrics, pairs, scored


def values_of(prediction: np.ndarray) -> np.ndarray:
    values = prediction / 255
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else values


@settings(max_examples=25, deadline=None)
@given(sample=pairs())
def test_multi_scale_iou_equals_pysodmetrics(sample):
    """On at most 2048 pixels, where the reference's float16 sums are exact."""
    metric = py_sod_metrics.MSIoU(True, True, with_binary=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = of_pysodmetrics(metric, sample)
    evaluator = scored([sample], measures=("MSIoU",))
    row = evaluator.compute()
    assert row["adpMSIoU"] == pytest.approx(expected["adaptive"], abs=1e-12)
    assert row["binMSIoU"] == pytest.approx(expected["binary"], abs=1e-12)
    assert evaluator.curves()["MSIoU"][::-1] == pytest.approx(expected["dynamic"], abs=1e-12)
    assert row["maxMSIoU"] == pytest.approx(expected["dynamic"].max(), abs=1e-12)


def test_multi_scale_iou_counts_more_edges_than_float16_can():
    truth = np.kron(np.indices((300, 300)).sum(axis=0) % 2, np.ones((3, 3))).astype(np.uint8) * 255
    row = scored([(truth, truth)], measures=("MSIoU",)).compute()
    assert row["maxMSIoU"] == row["binMSIoU"] == 1


@settings(max_examples=40, deadline=None)
@given(sample=pairs())
def test_boundary_iou_is_the_formula(sample):
    """Bands by distance: within d rows and columns of the outside, or of the image's edge."""
    prediction, truth = sample
    width = max(1, round(0.02 * np.hypot(*truth.shape)))

    def band(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, width)
        kept = np.all([padded[y:y + mask.shape[0], x:x + mask.shape[1]]
                       for y in range(2 * width + 1) for x in range(2 * width + 1)], axis=0)
        return mask & ~kept

    of_map, of_truth = band(values_of(prediction) > 0.5), band(truth > 128)
    evaluator = scored([sample], measures=("BIoU",))
    expected = (of_map & of_truth).sum() / max((of_map | of_truth).sum(), 1)
    assert evaluator.compute()["binBIoU"] == pytest.approx(expected, abs=1e-12)
    levels = (values_of(prediction) * 255).astype(int)
    grey = levels - minimum_filter(levels, 2 * width + 1, mode="constant", cval=0)
    curve = [(of_truth & (grey >= k)).sum() / max((of_truth | (grey >= k)).sum(), 1)
             for k in range(255, -1, -1)]
    assert evaluator.curves()["BIoU"] == pytest.approx(np.array(curve), abs=1e-12)


def test_boundary_accuracy_counts_right_pixels_near_the_boundary():
    truth = np.zeros((600, 900), np.uint8)
    truth[:, :450] = 255
    shifted = np.roll(truth, 2, axis=1)  # 2 columns wrong at the boundary
    shifted[:, :2] = 255
    accuracies = [1 - 2 / (2 * radius) for radius in (1, 1, 2, 3, 4)]  # up to 1500 / 300
    expected = np.mean([max(accuracy, 0.5) for accuracy in accuracies])
    evaluator = scored([(shifted, truth), (truth, truth)], measures=("mBA",))
    evaluator.flush()
    got = evaluator.per_image
    assert got["0"]["mBA"] == pytest.approx(expected, abs=1e-12)
    assert got["1"]["mBA"] == 1
    corner = np.zeros((700, 800), np.uint8)
    corner[300:, 300:] = 255
    noise = np.random.default_rng(0).integers(0, 256, corner.shape).astype(np.uint8)
    accuracies = []
    for radius in (1, 1, 2, 3, 4):  # a disk, not a square, around the corner
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        near = (binary_dilation(corner > 0, disk)
                & ~binary_erosion(corner > 0, disk, border_value=1))
        accuracies.append(((noise > 128) == (corner > 0))[near].mean())
    got = scored([(noise, corner)], measures=("mBA",)).compute()["mBA"]
    assert got == pytest.approx(np.mean(accuracies), abs=1e-12)
    empty = np.zeros_like(truth)
    assert scored([(truth, empty)], measures=("mBA",)).compute()["mBA"] == 0
