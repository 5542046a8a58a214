"""Maps and truths of every kind, and the numbers that PySODMetrics gives them."""

from __future__ import annotations

import warnings

import numpy as np
import py_sod_metrics
from hypothesis import strategies as st

from metrics import MEASURES, Evaluator

#: The NumPy backend, and the torch backend on the CPU.
DEVICES = ("cpu", "cpu:0")
HANDLERS = {
    "IoU": py_sod_metrics.IOUHandler, "Dice": py_sod_metrics.DICEHandler,
    "BER": py_sod_metrics.BERHandler, "accuracy": py_sod_metrics.OverallAccuracyHandler,
    "specificity": py_sod_metrics.SpecificityHandler}


def smooth(values: np.ndarray) -> np.ndarray:
    """Means over 5×5 pixels, so that neighbours are alike and distances tie."""
    padded = np.pad(values.astype(float), 2, mode="edge")
    return sum(padded[y:y + values.shape[0], x:x + values.shape[1]]
               for y in range(5) for x in range(5)) / 25


def draw_truth(random: np.random.Generator, kind: str, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    truth = np.zeros(shape, np.uint8)
    if kind == "noise":
        truth[random.random(shape) < random.random()] = 255
    elif kind == "grey":
        truth = random.integers(0, 256, shape).astype(np.uint8)
    elif kind == "full":
        truth[:] = 255
    elif kind == "one pixel":
        truth[random.integers(height), random.integers(width)] = 255
    elif kind == "last row":
        truth[-1] = 255
    elif kind == "last column":
        truth[:, -1] = 255
    elif kind == "box":
        truth[height // 4:height // 2 + 1, width // 3:width // 2 + 1] = 255
    elif kind == "blob":
        truth[smooth(random.random(shape)) > 0.52] = 255
    return truth


TRUTHS = ("noise", "grey", "empty", "full", "one pixel", "last row", "last column", "box", "blob")


def draw_map(random: np.random.Generator, kind: str, truth: np.ndarray) -> np.ndarray:
    low, high = sorted(random.integers(0, 256, 2))
    noise = random.integers(low, high + 1, truth.shape)
    drawn = {"noise": noise, "smooth": smooth(noise), "constant": np.full(truth.shape, low),
             "black": np.zeros(truth.shape), "binary": (noise > (low + high) / 2) * 255,
             "half constant": np.where(np.arange(len(truth))[:, None] < len(truth) / 2, low, noise),
             "like the truth": smooth(truth) * 0.8 + noise * 0.2}[kind]
    return drawn.astype(np.uint8)


MAPS = ("noise", "smooth", "constant", "black", "binary", "half constant", "like the truth")


@st.composite
def pairs(draw):
    """Maps of any size, range and smoothness, with truths from empty to full."""
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    truth = draw_truth(random, draw(st.sampled_from(TRUTHS)), shape)
    return draw_map(random, draw(st.sampled_from(MAPS)), truth), truth


def reference(prediction: np.ndarray, truth: np.ndarray) -> dict:
    """All numbers and curves of one image from PySODMetrics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation of Fmeasure, means of empty blocks
        metrics = [py_sod_metrics.MAE(), py_sod_metrics.Fmeasure(), py_sod_metrics.Emeasure(),
                   py_sod_metrics.Smeasure(), py_sod_metrics.WeightedFmeasure(),
                   py_sod_metrics.FmeasureV2({name: handler(True, True, with_binary=True)
                                              for name, handler in HANDLERS.items()})]
        for metric in metrics:
            metric.step(pred=prediction, gt=truth)
        mae, f, e, s, weighted, others = (metric.get_results() for metric in metrics)
    numbers = {"MAE": mae["mae"], "F": f["fm"]["curve"], "adpF": f["fm"]["adp"],
               "precision": f["pr"]["p"], "recall": f["pr"]["r"], "E": e["em"]["curve"],
               "adpE": e["em"]["adp"], "Sm": s["sm"], "wF": weighted["wfm"]}
    for name in HANDLERS:
        numbers |= {name: others[name]["dynamic"], f"adp{name}": others[name]["adaptive"],
                    f"bin{name}": others[name]["binary"]}
    return numbers


def of_pysodmetrics(metric, sample) -> dict:
    """The results of one of PySODMetrics' classes on one image."""
    metric.step(pred=sample[0], gt=sample[1])
    return metric.get_results()


def scored(samples, device="cpu", measures=tuple(MEASURES), profile="pysodmetrics") -> Evaluator:
    evaluator = Evaluator(device, profile, measures)
    for number, sample in enumerate(samples):
        evaluator.update(str(number), *sample)
    return evaluator
