"""Times the five core measures (MAE, F, E, S, weighted F) against PySODMetrics in one run.

    python -m benchmarks.metrics                             300×400 maps made on the spot
    python -m benchmarks.metrics --pred MAPS --gt MASKS      real maps, in memory and from files
    python -m benchmarks.metrics --gpu 0                     a device too, decoding excluded

In memory both run in one process, OpenCV with one thread. From files ``scoring`` and ``eval.py``
on all cores run against a loop over PySODMetrics that decodes with OpenCV: once without and once
with the start of the interpreter. Needs requirements-dev.txt.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import py_sod_metrics

from data.sample import centre_prior
from metrics import Evaluator
from scoring import score_folder
from scoring.jobs import folder_jobs
from utils.paths import ROOT

Sample = tuple[np.ndarray, np.ndarray]


def make_folders(folder: Path, count: int) -> tuple[Path, Path]:
    """Folders of noisy discs and of their masks, uint8 (300, 400)."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:300, :400]
    pred, gt = folder / "maps", folder / "masks"
    pred.mkdir(), gt.mkdir()
    for number in range(count):
        y, x, radius = random.uniform(60, 240), random.uniform(80, 320), random.uniform(30, 110)
        truth = ((rows - y) ** 2 + (columns - x) ** 2 < radius**2).astype(np.uint8) * 255
        noise = random.normal(0, 40, truth.shape)
        blurred = 0.6 * truth + 0.4 * centre_prior(*truth.shape) + noise
        cv2.imwrite(str(pred / f"{number:04d}.png"), np.clip(blurred, 0, 255).astype(np.uint8))
        cv2.imwrite(str(gt / f"{number:04d}.png"), truth)
    return pred, gt


def read(pred: Path, gt: Path) -> list[Sample]:
    """The maps of a folder with their masks."""
    return [(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE),
             cv2.imread(str(gt / path.name), cv2.IMREAD_GRAYSCALE))
            for path in sorted(pred.glob("*.png"))]


def theirs(samples: Sequence[Sample]) -> dict[str, float]:
    """The row of scores from PySODMetrics."""
    metrics = [py_sod_metrics.MAE(), py_sod_metrics.Fmeasure(), py_sod_metrics.Emeasure(),
               py_sod_metrics.Smeasure(), py_sod_metrics.WeightedFmeasure()]
    for prediction, truth in samples:
        for metric in metrics:
            metric.step(pred=prediction, gt=truth)
    mae, f, e, s, weighted = (metric.get_results() for metric in metrics)
    row = {"MAE": mae["mae"], "Sm": s["sm"], "wF": weighted["wfm"]}
    for name, result in (("F", f["fm"]), ("E", e["em"])):
        row |= {f"max{name}": result["curve"].max(), f"mean{name}": result["curve"].mean(),
                f"adp{name}": result["adp"]}
    return row


def ours(samples: Sequence[Sample], device: object = "cpu") -> dict[str, float]:
    """The row of scores from this repository."""
    evaluator = Evaluator(device)
    for number, sample in enumerate(samples):
        evaluator.update(str(number), *sample)
    return evaluator.compute()


def timed(run: Callable, *arguments) -> tuple[float, object]:
    """Seconds of a call, and its result."""
    start = time.perf_counter()
    result = run(*arguments)
    return time.perf_counter() - start, result


def report(name: str, maps: int, their_seconds: float, our_seconds: float) -> None:
    print(f"{name}, {maps} maps: PySODMetrics {1000 * their_seconds / maps:.2f} ms a map, this "
          f"repository {1000 * our_seconds / maps:.2f}, ratio {their_seconds / our_seconds:.1f}")


def report_difference(a: dict[str, float], b: dict[str, float]) -> None:
    print(f"largest difference of a score: {max(abs(a[column] - b[column]) for column in a):.1e}")


def in_memory(samples: list[Sample]) -> None:
    """Time both in this process with one thread."""
    cv2.setNumThreads(1)
    theirs(samples[:3]), ours(samples[:3])  # warm up
    their_seconds, their_row = timed(theirs, samples)
    our_seconds, our_row = timed(ours, samples)
    report("in memory", len(samples), their_seconds, our_seconds)
    report_difference(their_row, our_row)


def from_files(pred: Path, gt: Path) -> None:
    """Time folders, decoding included: without and with the start of the interpreter."""
    (job,) = folder_jobs([pred], gt)
    maps = sorted(pred.glob("*.png"))
    their_seconds, their_row = timed(lambda: theirs(read(pred, gt)))
    our_seconds, our_row = timed(lambda: score_folder(maps, job.pairs).evaluator.compute())
    report("from files", len(maps), their_seconds, our_seconds)
    report_difference(their_row, our_row)
    loop = ("import sys; from pathlib import Path; from benchmarks.metrics import read, theirs; "
            "theirs(read(Path(sys.argv[1]), Path(sys.argv[2])))")
    # The user's results/scores.json stays as it is.
    script = ("import sys; from pathlib import Path; import eval; eval.RESULTS = "
              "Path(sys.argv.pop()); sys.exit(eval.main())")
    with tempfile.TemporaryDirectory() as results:
        their_seconds, _ = timed(run_python, loop, pred, gt)
        our_seconds, _ = timed(run_python, script, "--gpu", "cpu", "--pred", pred, "--gt", gt,
                               results)
    report("from files, interpreter's start counted", len(maps), their_seconds, our_seconds)


def run_python(program: str, *arguments: object) -> None:
    """Run a program in a new interpreter."""
    subprocess.run([sys.executable, "-c", program, *map(str, arguments)], check=True, cwd=ROOT,
                   stdout=subprocess.DEVNULL)


def on_device(samples: list[Sample], gpu: str) -> None:
    """Time a device, in maps a second from memory."""
    from utils.device import select_device

    device = select_device(gpu)
    ours(samples[:64], device)  # warm up
    seconds, row = timed(ours, samples, device)
    print(f"on {device}: {len(samples) / seconds:.0f} maps a second")
    report_difference(ours(samples), row)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=int, default=100, help="maps in memory (default: 100)")
    parser.add_argument("--pred", type=Path, metavar="DIR", help="a folder of PNG maps")
    parser.add_argument("--gt", type=Path, metavar="DIR", help="their masks")
    parser.add_argument("--gpu", help="time this device too")
    args = parser.parse_args(argv)
    if bool(args.pred) != bool(args.gt):
        parser.error("--pred and --gt go together")
    with tempfile.TemporaryDirectory() as folder:
        pred, gt = (args.pred, args.gt) if args.pred else make_folders(Path(folder), args.maps)
        samples = read(pred, gt)[:args.maps]
        in_memory(samples)
        from_files(pred.absolute(), gt.absolute())
    if args.gpu:
        on_device(samples, args.gpu)
    return 0


if __name__ == "__main__":
    sys.exit(main())
