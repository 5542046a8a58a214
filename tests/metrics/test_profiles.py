"""Profiles against the definitions of the scripts that they are named after."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from metrics import CORE
from tests.maps import draw_map, draw_truth, pairs, reference, scored


def normalised(prediction: np.ndarray) -> np.ndarray:
    low, high = int(prediction.min()), int(prediction.max())
    return (prediction - low) / (high - low) if high > low else prediction / 255


def test_the_salmetric_profile_does_not_stretch_and_selects_nothing_precisely():
    """Above the darker map's brightest pixel, it has the precision 1."""
    truth = np.array([[255, 255, 0, 0]], np.uint8)
    bright, dark = np.array([[250, 90, 120, 10]], np.uint8), np.array([[70, 60, 80, 20]], np.uint8)
    curves = []
    for prediction in (bright, dark):
        chosen = [prediction >= level for level in range(256)]
        curves.append([(float((truth[each] > 0).mean()) if each.any() else 1.0,
                        float(each[truth > 0].mean())) for each in chosen])
    p, r = np.mean(curves, axis=0).T
    row = scored([(bright, truth), (dark, truth)], profile="salmetric").compute()
    assert row["maxF"] == pytest.approx((1.3 * p * r / (0.3 * p + r + 1e-30)).max(), abs=1e-12)
    errors = [abs(each / 255 - truth / 255) for each in (bright, dark)]
    assert row["MAE"] == pytest.approx(np.mean(errors))
    assert "meanF" not in row


@settings(max_examples=40, deadline=None)
@given(sample=pairs())
def test_the_matlab_profile_is_strict_in_e_and_has_no_cap(sample):
    """Straight from the definition: alignment matrices of P > t, no histogram."""
    prediction, truth = sample
    mask = truth > 128
    values = normalised(prediction)

    def e_of(selected: np.ndarray) -> float:
        if not mask.any():
            matrix = 1.0 - selected
        elif mask.all():
            matrix = selected * 1.0
        else:
            a, b = selected - selected.mean(), mask - mask.mean()
            matrix = (2 * a * b / (a**2 + b**2 + np.spacing(1)) + 1) ** 2 / 4
        return matrix.sum() / (mask.size - 1 + np.spacing(1))

    evaluator = scored([sample], profile="matlab", measures=CORE)
    scale = int(prediction.max()) - int(prediction.min()) or 255
    base = int(prediction.min()) if prediction.max() > prediction.min() else 0
    whole = (prediction.astype(int) - base) * 255
    curve = [e_of(whole > k * scale) for k in range(255, -1, -1)]
    assert evaluator.curves()["E"] == pytest.approx(np.array(curve), rel=1e-9, abs=1e-9)
    threshold = 2 * values.mean()
    if (abs(values - threshold) > 1e-9).all():  # else the last bit decides
        assert evaluator.compute()["adpE"] == pytest.approx(e_of(values > threshold), rel=1e-9)


def test_the_matlab_profile_takes_f_of_the_mean_precision_and_recall():
    random = np.random.default_rng(3)
    samples = [(draw_map(random, "like the truth", truth), truth)
               for truth in (draw_truth(random, "blob", (20, 30)) for _ in range(8))]
    each = [reference(*sample) for sample in samples]
    p, r = (np.mean([numbers[key] for numbers in each], axis=0) for key in ("precision", "recall"))
    expected = (1.3 * p * r / (0.3 * p + r + np.spacing(1))).max()
    matlab, usual = (scored(samples, profile=profile, measures=CORE).compute()
                     for profile in ("matlab", "pysodmetrics"))
    assert matlab["maxF"] == pytest.approx(expected, abs=1e-12)
    assert matlab["maxF"] > usual["maxF"]
    for measure in ("MAE", "meanF", "adpF", "Sm", "wF"):
        assert matlab[measure] == usual[measure]


@settings(max_examples=40, deadline=None)
@given(sample=pairs())
def test_the_tracer_profile_takes_maxima_of_single_images(sample):
    """From TRACER's definition: 255 thresholds on the map as it is, F of each image."""
    prediction, truth = sample
    values, mask = prediction / 255, truth >= 128
    best, curve = 0.0, []
    for k in range(255):
        selected = prediction.astype(int) * 254 >= k * 255
        hit = (selected & mask).sum()
        p, r = hit / max(selected.sum(), 1), hit / max(mask.sum(), 1)
        curve.append(1.3 * p * r / (0.3 * p + r) if hit else 0.0)
        best = max(best, curve[-1])
    row = scored([sample, sample], profile="tracer").compute()
    assert set(row) == {"MAE", "maxF", "meanF", "Sm"}
    assert row["maxF"] == pytest.approx(best, abs=1e-12)
    assert row["meanF"] == pytest.approx(np.mean(curve), abs=1e-12)
    assert row["MAE"] == pytest.approx(abs(values - mask).mean(), abs=1e-12)


def tracer_s(values: np.ndarray, mask: np.ndarray) -> float:
    """S as TRACER defines it: blocks that begin at the rounded centroid, not after it."""
    def uniformity(pixels: np.ndarray) -> float:
        spread = pixels.std(ddof=1) if pixels.size > 1 else 0
        return 2 * pixels.mean() / (pixels.mean() ** 2 + 1 + spread)

    def similarity(x: np.ndarray, y: np.ndarray) -> float:
        if x.size < 2:
            return 1.0
        covariance = np.cov(x.ravel(), y.ravel())
        above = 4 * x.mean() * y.mean() * covariance[0, 1]
        below = (x.mean() ** 2 + y.mean() ** 2) * (covariance[0, 0] + covariance[1, 1])
        return above / (below + 1e-20) if above else float(below == 0)

    share = mask.mean()
    row, column = (int(np.round(axis.mean())) for axis in np.nonzero(mask))
    region = 0.0
    for rows in (slice(0, row), slice(row, None)):
        for columns in (slice(0, column), slice(column, None)):
            x = values[rows, columns]
            region += x.size and similarity(x, mask[rows, columns]) * x.size / values.size
    objects = share * uniformity(values[mask]) + (1 - share) * uniformity(1 - values[~mask])
    return max(0.0, (objects + region) / 2)


def test_the_tracer_profile_divides_at_the_centroid():
    random = np.random.default_rng(0)
    for kind in ("box", "blob", "noise"):
        truth = draw_truth(random, kind, (31, 24))
        prediction = draw_map(random, "noise", truth)
        row = scored([(prediction, truth)], profile="tracer").compute()
        assert row["Sm"] == pytest.approx(tracer_s(prediction / 255, truth > 127), abs=1e-9)
        usual = scored([(prediction, truth)]).compute()
        assert usual["Sm"] != pytest.approx(row["Sm"], abs=1e-9)


def test_the_tracer_profile_averages_maxima():
    """The best threshold of one image is not that of the other."""
    truth = np.zeros((8, 8), np.uint8)
    truth[:4] = 255
    bright, dark = (np.where(truth, *levels).astype(np.uint8) for levels in ((250, 200), (60, 10)))
    row = scored([(bright, truth), (dark, truth)], profile="tracer").compute()
    assert row["maxF"] == 1
    stretched = scored([(bright, truth), (dark, truth)]).compute()
    assert stretched["maxF"] == 1  # stretched, both are perfect at one threshold
    assert row["MAE"] > stretched["MAE"] == 0
