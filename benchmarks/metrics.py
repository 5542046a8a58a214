"""Scoring in memory against PySODMetrics: MAE and the F curve of 300×400 maps, one process.

    python -m benchmarks.metrics [--maps 50]

Prints the milliseconds a map of each, the largest difference of any score, and the ratio.
Needs requirements-dev.txt.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import py_sod_metrics

from data.sample import centre_prior
from metrics import Scores, joint_histogram, score_histogram


def make_pairs(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Noisy blobs and their masks."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:300, :400]
    pairs = []
    for _ in range(count):
        y, x, radius = random.uniform(60, 240), random.uniform(80, 320), random.uniform(30, 110)
        truth = ((rows - y) ** 2 + (columns - x) ** 2 < radius**2).astype(np.uint8) * 255
        noise = random.normal(0, 40, truth.shape)
        blurred = 0.6 * truth + 0.4 * centre_prior(*truth.shape) + noise
        pairs.append((np.clip(blurred, 0, 255).astype(np.uint8), truth))
    return pairs


def theirs(pairs) -> dict[str, float]:
    """The summary of (prediction, truth) pairs from PySODMetrics."""
    mae, f = py_sod_metrics.MAE(), py_sod_metrics.Fmeasure()
    for prediction, truth in pairs:
        mae.step(pred=prediction, gt=truth)
        f.step(pred=prediction, gt=truth)
    fm = f.get_results()["fm"]
    return {"MAE": mae.get_results()["mae"], "maxF": fm["curve"].max(),
            "meanF": fm["curve"].mean(), "adpF": fm["adp"]}


def ours(pairs) -> dict[str, float]:
    """The same summary from this repository."""
    scores = Scores()
    for prediction, truth in pairs:
        scores.add(score_histogram(joint_histogram(prediction, truth)))
    return scores.summary()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=int, default=50)
    args = parser.parse_args(argv)
    pairs = make_pairs(args.maps)
    results, seconds = {}, {}
    for name, run in (("PySODMetrics", theirs), ("this repository", ours)):
        run(pairs[:3])
        start = time.perf_counter()
        results[name] = run(pairs)
        seconds[name] = time.perf_counter() - start
        print(f"{name}: {1000 * seconds[name] / len(pairs):.2f} ms a map")
    one, other = results.values()
    print(f"largest difference: {max(abs(one[key] - other[key]) for key in one):.1e}")
    print(f"ratio: {seconds['PySODMetrics'] / seconds['this repository']:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
