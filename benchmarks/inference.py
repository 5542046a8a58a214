"""Prediction by torch, onnxruntime and OpenVINO on the CPU, recipe by recipe.

    python -m benchmarks.inference --config u2netp cpd_vgg
    python -m benchmarks.inference --config u2netp --runtime torch onnxruntime
    python -m benchmarks.inference --config u2netp --save docs/inference.json

Each runtime is a process of its own, and runs the same network with the same random weights. First
the network alone: batches of ``test.batch``, then images one by one. Then end to end, as test.py
does it: made photos of 400×300 are decoded, resized, predicted, and their maps written, first in
batches, where the start of the loader's processes is left out, then one by one by
``engine.Predictor``. Calls before those that are timed warm up. The command prints a Markdown row
for each: images a second, the ratio to torch in float32, the median and the 95th percentile of one
image's milliseconds, the peak memory of the process, and how far its logits are from those of torch
in float32. A runtime that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

import model
from data import Pair
from engine import Predictor
from engine.__main__ import NATIVE_SIZE
from engine.summary import count
from report import inference as rows
from utils.cli import parse_with_overrides
from utils.config import load_config
from utils.device import set_threads
from utils.errors import UserError, nearest, reports_errors
from utils.machine import processor
from utils.maps import save_map
from utils.option import NATIVE
from utils.origin import commit
from utils.paths import CONFIGS
from utils.recipes import recipe_path
from utils.schema import sides

from .loader import make_pairs
from .process import in_a_process, peak_mib
from .runtimes import RUNTIMES, missing, trained, version, write_network, write_onnx
from .train import name_of

PACKAGES = tuple(dict.fromkeys(runtime.package for runtime in RUNTIMES.values()))
WARM_UP = 2  # calls that are not timed
LONG_ENOUGH = 8  # seconds of the network alone, beside which the loader's start varies little
MOST = 500  # photos from file to file


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", nargs="+", metavar="RECIPE",
                        help="files, or names in configs/ (default: all but the demo)")
    parser.add_argument("--runtime", nargs="+", metavar="PACKAGE", default=list(PACKAGES),
                        help=f"of {', '.join(PACKAGES)} (default: all)")
    parser.add_argument("--runs", type=int, default=20, help="images that are timed one by one "
                        f"(default: 20), after {WARM_UP} that are not; a quarter as many batches")
    parser.add_argument("--save", type=Path, metavar="FILE",
                        help="put the rows into this JSON file; the others stay")
    args = parse_with_overrides(parser, argv, ["config", "runtime"])
    for name in args.runtime:
        if name not in PACKAGES:
            raise UserError(f"--runtime {name}: {nearest(name, PACKAGES)}")
    if args.runs < 1:
        raise UserError(f"--runs {args.runs}: at least one image is timed")
    if args.save and args.overrides:
        raise UserError(f"--save keeps what the recipes give; leave out {' '.join(args.overrides)}"
                        ", or --save")
    if args.save and "torch" not in args.runtime:
        raise UserError("--save keeps how the others compare with torch; leave --runtime out, or "
                        "name torch too")
    if args.save:
        if not args.save.parent.is_dir():
            raise UserError(f"--save {args.save}: there is no folder {args.save.parent}; make it, "
                            "or name another file")
        rows.read_inference(args.save)  # an error now, not after hours
    names = args.config or sorted(path.stem for path in CONFIGS.glob("*.yaml")
                                  if path.stem != "demo")
    args.config = [recipe_path(name) for name in names]
    return args


def recipe_of(path: Path, overrides: list[str]) -> DictConfig:
    """The recipe, with the options with which torch computes all of the network, which a file of
    it needs."""
    options = model.network_class(load_config(path, overrides).model.name).in_torch
    return load_config(path, [*(f"model.options.{key}={value}" for key, value in options.items()),
                              *overrides])


def size_of(config: DictConfig) -> tuple[int, int]:
    """Height and width of the network's images, in pixels."""
    return NATIVE_SIZE if config.data.size == NATIVE else sides(config.data.size)


def seconds(call: Callable[[object], object], values: Iterable) -> list[float]:
    """What each call takes, after the first ``WARM_UP``."""
    result = []
    for value in values:
        start = time.perf_counter()
        call(value)
        result.append(time.perf_counter() - start)
    return result[WARM_UP:]


def measure(path: Path, overrides: list[str], name: str, runs: int, folder: Path) -> dict:
    """What one runtime takes, and its logits (1, 1, H, W) of a fixed image.

    Args:
        folder: has the photos, ``images``, and the network's files; maps go there.
    """
    config = recipe_of(path, overrides)
    set_threads(config.threads)
    predictor = Predictor(trained(name, config, folder), device="cpu",
                          precision=RUNTIMES[name].precision)
    batch, precision = config.test.batch, predictor.precision

    @torch.inference_mode()
    def predict(images: torch.Tensor) -> torch.Tensor:
        with precision.autocast():
            return predictor.network(images)["saliency"].float()

    generator = torch.Generator().manual_seed(0)
    images = precision.batch({"image": torch.randn(batch, 3, *size_of(config),
                                                   generator=generator)})["image"]
    single = images[:1].contiguous(memory_format=precision.layout)
    batches = seconds(predict, [images] * (max(1, runs // 4) + WARM_UP))
    singles = seconds(predict, [single] * (runs + WARM_UP))
    photos = sorted((folder / "images").iterdir())
    rate = end_to_end(partial(write_maps, predictor, folder=folder), photos,
                      batch / float(np.median(batches)))
    end_singles = seconds(partial(write_map, predictor, folder=folder),
                          (photos * (runs + WARM_UP))[:runs + WARM_UP])
    network_alone, whole = 1000 * np.array(singles), 1000 * np.array(end_singles)
    return {"images": {"model": batch / float(np.median(batches)), "end": rate},
            "latency": {"model": float(np.median(network_alone)), "end": float(np.median(whole))},
            "slow": {"model": float(np.percentile(network_alone, 95)),
                     "end": float(np.percentile(whole, 95))},
            "memory": peak_mib(torch.device("cpu")), "threads": torch.get_num_threads(),
            "size": str(config.data.size), "batch": batch, "logits": predict(single).numpy()}


def end_to_end(predict: Callable[[list[Path]], object], photos: list[Path], rate: float) -> float:
    """Photos a second, from file to file. Of the photos once and of them many times, the difference
    is taken: what is done once, such as the start of the loader's processes, does not count.

    Args:
        rate: of the network alone, images a second, by which it is chosen how many they are.

    Raises:
        UserError: the difference is nothing.
    """
    times = 1 + max(1, round(min(LONG_ENOUGH * rate, MOST) / len(photos)))
    once, often = seconds(predict, [photos[:1]] * WARM_UP + [photos, photos * times])
    if often <= once:
        raise UserError(f"{times * len(photos)} photos took no longer than {len(photos)}: the "
                        "machine is not quiet, or --runs is too small")
    return (times - 1) * len(photos) / (often - once)


def write_maps(predictor: Predictor, photos: list[Path], folder: Path) -> None:
    """Predict photos in batches and write their maps, as test.py does."""
    for name, saliency in predictor.maps([Pair(photo.stem, photo) for photo in photos]):
        save_map(folder / f"{name}.png", saliency)


def write_map(predictor: Predictor, photo: Path, folder: Path) -> None:
    """Predict one photo and write its map."""
    saliency = predictor(photo)
    save_map(folder / f"{photo.stem}.png", np.round(255 * saliency).astype(np.uint8))


def distance(logits: np.ndarray, plain: np.ndarray | None) -> float:
    """The mean difference, in deviations of ``plain``; NaN where torch was not run."""
    return math.nan if plain is None else float(np.abs(logits - plain).mean() / plain.std())


def prepare(path: Path, overrides: list[str], folder: Path, onnx: bool
            ) -> tuple[list[int], str]:
    """Write the network; its parameters and multiply–adds, and why it has no ONNX file, which is
    empty if it has or shall not."""
    config = recipe_of(path, overrides)
    set_threads(config.threads)
    size = size_of(config)
    network = write_network(config, size, folder)
    counts = list(count(network, size)[""])
    try:
        if onnx:
            write_onnx(network, config, size, folder)
    except UserError as error:
        return counts, str(error)
    return counts, ""


def compare(path: Path, overrides: list[str], names: list[str],
            runs: int) -> Iterator[tuple[str, dict]]:
    """Each runtime and its row, without date and commit, printed when it is measured."""
    config, result, plain = recipe_of(path, overrides), {}, None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_pairs(folder, max(runs, 2 * config.test.batch))
        counts, reason = in_a_process(prepare, path, overrides, folder,
                                      any(RUNTIMES[name].needs for name in names))
        for name in names:
            if reason and RUNTIMES[name].needs:
                print(f"{name_of(path)}: {name} is left out: {reason}", file=sys.stderr)
                continue
            load = os.getloadavg()[0]
            row = in_a_process(measure, path, overrides, name, runs, folder)
            logits = row.pop("logits")
            plain = logits if name == rows.PLAIN else plain
            result[name] = rounded(row) | {
                "distance": float(f"{distance(logits, plain):.3g}"),
                "counts": counts, "machine": processor(), "version": version(name),
                "load": round(load, 1)}
            print(rows.line(name_of(path), name, result[name], result.get(rows.PLAIN)), end="",
                  flush=True)
            yield name, result[name]


def rounded(row: dict) -> dict:
    """The row with numbers as short as they are sure."""
    return {key: {part: round(number, 3) for part, number in value.items()}
            if isinstance(value, dict) else round(value, 1) if isinstance(value, float) else value
            for key, value in row.items()}


@reports_errors
def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    absent = {name: missing(name) for name in RUNTIMES if RUNTIMES[name].package in args.runtime}
    for name, packages in absent.items():
        if packages:
            print(f"{name} is left out: pip install {' '.join(packages)}", file=sys.stderr)
    names = [name for name in absent if not absent[name]]
    if not names:
        raise UserError("none of the runtimes is installed")
    session = {"date": f"{datetime.now(timezone.utc):%Y-%m-%d}", "commit": commit()}
    print(rows.head(), end="", flush=True)
    for path in args.config:
        for name, row in compare(path, args.overrides, names, args.runs):
            if args.save:
                rows.add_inference(args.save, name_of(path), name, row | session)
    return 0


if __name__ == "__main__":
    sys.exit(main())
