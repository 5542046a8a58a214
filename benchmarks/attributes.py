"""Attributes of images: how long they take, and how much they change when images are resized.

    python -m benchmarks.attributes --data ECSSD --root datasets [--images 1000]

Photo and mask are read at their own size, made smaller by the scales that docs/attributes.md names
(means of areas; masks cut at one half), and measured again. For each attribute are printed: the
middle half of its values, and for each scale the change that one half and that 95 of 100 images
keep to, and Spearman's correlation of before and after; of flags and counts the share of images on
which they change. The second column of a scale, at 0.5, is what ``Attribute.stable`` rounds up.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from data import Pair, decode_image, find_pairs
from report.attributes.statistics import spearman
from report.attributes.table import ATTRIBUTES, NUMBER, measure, resized, resized_mask
from report.tables import Table, cells, print_table
from scoring import read_truth
from utils.errors import UserError, reports_errors
from utils.machine import cores
from utils.paths import DATASETS

SCALES = (0.5, 0.75)


def measure_scales(pair: Pair) -> list[list[float]]:
    """All attributes at the pair's own size and at each of ``SCALES``."""
    image, mask = np.asarray(decode_image(pair.image)), read_truth(pair) > 128
    rows = [measure(image, mask)]
    for scale in SCALES:
        size = tuple(round(scale * side) for side in mask.shape)
        rows.append(measure(resized(image, size), resized_mask(mask, size)))
    return [list(row.values()) for row in rows]


def table_of(values: np.ndarray) -> Table:
    """Of values (images, 1 + scales, attributes)."""
    lines = []
    for number, attribute in enumerate(ATTRIBUTES.values()):
        own = values[:, :, number]
        own = own[~np.isnan(own).any(axis=1)]
        if not len(own):
            lines.append(cells(attribute.name, "of no image", *[""] * 3 * len(SCALES)))
            continue
        low, high = np.quantile(own[:, 0], (0.25, 0.75))
        line = [attribute.name, f"{low:.4g} – {high:.4g}"]
        for column in range(1, own.shape[1]):
            change = abs(own[:, column] - own[:, 0])
            if attribute.kind == NUMBER and not attribute.counts:
                half, most = np.quantile(change, (0.5, 0.95))
                line += [f"{half:.2g}", f"{most:.2g}",
                         f"{spearman(own[:, 0], own[:, column]):.3f}"]
            else:
                line += ["", f"{(change > 0).mean():.1%} change", ""]
        lines.append(cells(*line))
    return Table("change when images are resized",
                 ["attribute", "middle half", *(f"{text}×{scale}" for scale in SCALES
                                                for text in ("50 % ", "95 % ", "Spearman "))],
                 [lines])


@reports_errors
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attributes", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ECSSD", metavar="SET")
    parser.add_argument("--root", type=Path, default=DATASETS, metavar="DIR")
    parser.add_argument("--images", type=int, default=1000, help="at most so many")
    args = parser.parse_args(argv)
    if args.images < 1:
        raise UserError(f"--images {args.images}: at least 1")
    pairs = find_pairs(args.data, args.root)[:args.images]
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(cores()) as pool:
        start = time.perf_counter()
        list(pool.map(lambda pair: measure(np.asarray(decode_image(pair.image)),
                                           read_truth(pair) > 128), pairs))
        seconds = time.perf_counter() - start
        values = np.array(list(pool.map(measure_scales, pairs)))
    print(f"{len(pairs)} images read and measured in {seconds:.1f} s by {cores()} threads")
    print_table(table_of(values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
