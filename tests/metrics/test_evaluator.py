"""The evaluator: what it accepts, how maps are batched and merged, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from metrics import Evaluator
from tests.maps import DEVICES, TRUTHS, draw_map, draw_truth, reference, scored


def test_unknown_profiles_and_measures():
    known = "pysodmetrics, matlab, salmetric, tracer"
    with pytest.raises(ValueError, match=f"'matlap'; known: {known}"):
        Evaluator(profile="matlap")
    with pytest.raises(ValueError, match="unknown measures: maxF"):
        Evaluator(measures=("maxF",))
    with pytest.raises(ValueError, match="tracer defines none of E"):
        Evaluator(profile="tracer", measures="E")


def test_merged_evaluators_equal_one():
    random = np.random.default_rng(0)
    truths = [draw_truth(random, kind, (9, 12)) for kind in TRUTHS * 5]
    samples = [(draw_map(random, "noise", truth), truth) for truth in truths]
    whole, left, right = scored(samples), scored([]), scored([])
    for number, sample in enumerate(samples):
        (left if number % 3 else right).update(str(number), *sample)
    left.merge(right)
    assert left.images == len(samples)
    assert left.compute() == pytest.approx(whole.compute(), abs=1e-12)
    assert left.per_image == whole.per_image


def test_a_map_is_counted_once():
    sample = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    evaluator = scored([sample])
    with pytest.raises(ValueError, match="'0' was scored already"):
        evaluator.update("0", *sample)
    with pytest.raises(ValueError, match="scored in both: 0"):
        evaluator.merge(scored([sample]))
    with pytest.raises(ValueError, match="different profiles"):
        evaluator.merge(Evaluator())


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
        context.setattr("metrics.batch.count", lambda *_: 1 / 0)
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
