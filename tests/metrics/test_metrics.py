"""Measures against PySODMetrics, image by image; profiles; the evaluator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import roc_auc_score

from metrics import CORE, FAMILIES, Evaluator
from metrics.compare import compare
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
from utils.errors import UserError


def close(found, expected) -> bool:
    """As ``pytest.approx`` with ``rel=abs=1e-12``, which takes long for curves."""
    assert np.shape(found) == np.shape(expected)
    # One-pixel images have E up to 1 / EPS, so the error is relative there.
    tolerance = 1e-12 * np.maximum(1, np.abs(expected))
    return bool((np.abs(np.subtract(found, expected)) <= tolerance).all())


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


@settings(max_examples=200, deadline=None)
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
        for shape in ((5, 7), (64, 50)):
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
@settings(max_examples=20, deadline=None)
@given(samples=st.lists(pairs(), min_size=2, max_size=40))
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
    got = scored([sample], measures=("AUC",)).compute()["AUC"]
    if positive.all() or not positive.any():
        assert got in (0, 0.0, 0.5, 1.0)
    else:
        assert got == pytest.approx(roc_auc_score(positive.ravel(), prediction.ravel()), abs=1e-12)


# --- profiles ----------------------------------------------------------------------------------


def normalised(prediction: np.ndarray) -> np.ndarray:
    low, high = int(prediction.min()), int(prediction.max())
    return (prediction - low) / (high - low) if high > low else prediction / 255


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
        other = scored([(prediction, truth)]).compute()
        assert other["Sm"] != pytest.approx(row["Sm"], abs=1e-9)


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


def test_unknown_profiles_and_measures():
    with pytest.raises(UserError, match="did you mean 'matlab'"):
        Evaluator(profile="matlap")
    with pytest.raises(ValueError, match="maxF"):
        Evaluator(measures=("maxF",))


# --- the evaluator -----------------------------------------------------------------------------


def test_merged_evaluators_equal_one():
    random = np.random.default_rng(0)
    truths = [draw_truth(random, kind, (9, 12)) for kind in TRUTHS * 5]
    samples = [(draw_map(random, "noise", truth), truth) for truth in truths]
    one, left, right = scored(samples), Evaluator(measures=FAMILIES), Evaluator(measures=FAMILIES)
    for number, sample in enumerate(samples):
        (left if number % 3 else right).update(str(number), *sample)
    left.merge(right)
    assert left.images == len(samples)
    assert left.compute() == pytest.approx(one.compute(), abs=1e-12)
    assert left.per_image == one.per_image


def test_recalled_results_equal_scored_ones():
    random = np.random.default_rng(0)
    truth = draw_truth(random, "blob", (30, 20))
    first, second = Evaluator(), Evaluator()
    kept = {}
    first.on_scored = kept.__setitem__
    for number in range(20):
        first.update(str(number), draw_map(random, "noise", truth), truth)
    first.flush()
    for name, result in kept.items():
        second.recall(name, result)
    assert second.compute() == pytest.approx(first.compute(), abs=1e-15)
    assert second.per_image == first.per_image


def test_a_map_is_counted_once():
    sample = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    one, other = scored([sample]), scored([sample])
    with pytest.raises(ValueError, match="'0' was scored already"):
        one.update("0", *sample)
    with pytest.raises(ValueError, match="scored in both: 0"):
        one.merge(other)
    with pytest.raises(ValueError, match="different profiles"):
        one.merge(Evaluator())


@pytest.mark.parametrize("device", DEVICES)
def test_wrong_arrays_are_refused(device):
    good = np.zeros((4, 5), np.uint8)
    evaluator = Evaluator(device)
    for bad in (np.zeros((5, 4), np.uint8), np.zeros((4, 5)), np.zeros((4, 5, 3), np.uint8),
                np.zeros((4, 5), bool)):
        with pytest.raises(ValueError, match="prediction"):
            evaluator.update("a", bad, good)
    with pytest.raises(ValueError, match="no pixels"):
        evaluator.update("a", good[:0], good[:0])
    with pytest.raises(ValueError, match="no maps"):
        evaluator.compute()


@pytest.mark.parametrize("device", DEVICES)
def test_flipped_views_score_as_their_copies(device):
    random = np.random.default_rng(0)
    prediction, truth = random.integers(0, 256, (2, 9, 8)).astype(np.uint8)
    flipped = prediction[:, ::-1], truth[::-1]
    copies = tuple(np.ascontiguousarray(array) for array in flipped)
    assert scored([flipped], device).compute() == pytest.approx(scored([copies]).compute(),
                                                                abs=1e-12)


def test_arrays_may_be_filled_again_after_an_update():
    random = np.random.default_rng(0)
    buffer = np.empty((6, 7), np.uint8)
    truth = draw_truth(random, "box", (6, 7))
    evaluator, expected = Evaluator(measures=("MAE",)), []
    for number in range(5):
        buffer[:] = random.integers(0, 256, buffer.shape)
        evaluator.update(str(number), buffer, truth)
        expected.append(reference(buffer, truth)["MAE"])
    assert [numbers["MAE"] for numbers in evaluator.per_image.values()] == pytest.approx(expected)


def test_maps_that_could_not_be_scored_do_not_count(monkeypatch):
    sample = np.full((4, 5), 9, np.uint8), np.full((4, 5), 255, np.uint8)
    evaluator = scored([sample])
    evaluator.flush()
    with monkeypatch.context() as context:
        context.setattr("metrics.evaluator.count", lambda *_: 1 / 0)
        evaluator.update("bad", *sample)
        with pytest.raises(ZeroDivisionError):
            evaluator.flush()
    assert evaluator.images == 1
    assert evaluator.compute() == scored([sample]).compute()


def test_many_sizes_do_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr("metrics.evaluator.PIXELS", 10_000)
    evaluator = Evaluator("cpu:0", measures=("MAE",))
    for side in range(1, 300, 2):  # each size in a batch of its own
        evaluator.update(str(side), *np.zeros((2, side, 3), np.uint8))
        assert evaluator._pixels <= 40_000
    assert evaluator._pixels > 0
    assert len(evaluator.per_image) == 150
    assert evaluator._pixels == 0


def test_sums_round_as_in_the_maps_own_memory_order():
    """S jumps where the mean of a constant block is not the constant to the last bit."""
    random = np.random.default_rng(0)
    for _ in range(12):
        shape = tuple(random.integers(20, 350, 2))
        truth = np.zeros(shape, np.uint8)
        truth[-3:, -3:] = 255
        sample = np.full(shape, random.integers(1, 255), np.uint8).T, truth.T
        assert_equals_reference(sample)
        assert_equals_reference(tuple(map(np.ascontiguousarray, sample)))


# --- comparison --------------------------------------------------------------------------------


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


def test_only_the_same_images_are_compared():
    with pytest.raises(ValueError, match="the same images"):
        compare({"a": {"MAE": 0.1}}, {"b": {"MAE": 0.1}})
