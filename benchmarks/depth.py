"""How the depth measure follows the true error, as noise, blur and the like grow.

    python -m benchmarks.depth                             10 made scenes of each kind
    python -m benchmarks.depth --data ECSSD --root DIR     and photos, with depth of their masks

Scenes: ``shapes`` are planes, discs and boxes of one colour each, also some coloured discs without
depth; ``hills`` are shapes on a strong relief; ``sample`` and photos are images with a mask, whose
depth is smooth: a ground with relief, and the object inflated before it. For each distortion it
prints in how many scenes the score grows with every level, the least and the mean Spearman
correlation of score and true PSNR over the levels (its sign turned, so that 1 is perfect), and the
same over all levels of all distortions of a scene.
Needs SciPy, which requirements-dev.txt brings.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
from scipy.stats import spearmanr

from data import find_pairs
from data.decode import decode_image
from data.masks import mask_of
from data.sample import draw_pair
from metrics.depth_quality import depth_quality
from utils.errors import reports_errors
from utils.paths import ROOT

Scene = tuple[np.ndarray, np.ndarray]  # colours uint8 (H, W, 3), depth float (H, W) in (0, 1]
HEIGHT, WIDTH = 240, 320


def shapes(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Scene:
    """A slanted plane, and before or behind it some slanted discs, ellipses and boxes."""
    random = np.random.default_rng((seed, 1))
    rows, columns = np.mgrid[:height, :width].astype(float)
    unit = min(height, width)
    slant = random.uniform(-.25, .25, 2)
    depth = .45 + slant[0] * (columns / width - .5) + slant[1] * (rows / height - .5)
    color = random.uniform(40, 215, 3) + random.uniform(-20, 20, 3) * (columns / width)[..., None]
    for _ in range(random.integers(2, 6)):  # painted on the plane, without depth
        color[_outline(random, rows, columns, unit * random.uniform(.03, .12))] = \
            random.uniform(0, 255, 3)
    for _ in range(random.integers(3, 6)):
        inside = _outline(random, rows, columns, unit * random.uniform(.08, .23))
        level = random.uniform(.55, .95) if random.random() < .7 else random.uniform(.05, .3)
        slant = random.uniform(-.1, .1, 2)
        own = level + slant[0] * (columns / width - .5) + slant[1] * (rows / height - .5)
        depth = np.where(inside, own, depth)
        stripes = 10 * np.sin(columns / random.uniform(3, 9) + rows / random.uniform(3, 9))
        color[inside] = (random.uniform(0, 255, 3) + stripes[..., None])[inside]
    color = cv2.GaussianBlur(color, (0, 0), .7) + random.normal(0, 3, color.shape)
    return np.clip(color, 0, 255).astype(np.uint8), np.clip(depth, .02, 1)


def hills(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Scene:
    """Shapes, and added to their depth a relief nearly as high as the steps between them."""
    color, depth = shapes(seed, height, width)
    relief = np.random.default_rng((seed, 3)).normal(0, 1, depth.shape)
    relief = cv2.GaussianBlur(relief, (0, 0), 24)
    relief = (relief - relief.min()) / np.ptp(relief)
    return color, np.clip(.05 + .5 * depth + .4 * relief, .02, 1)


def _outline(random: np.random.Generator, rows: np.ndarray, columns: np.ndarray,
             radius: float) -> np.ndarray:
    """The inside of a turned ellipse or box somewhere, (H, W) bool."""
    height, width = rows.shape
    turn, thin = random.uniform(0, np.pi), random.uniform(.4, 1)
    y, x = rows - random.uniform(.1, .9) * height, columns - random.uniform(.1, .9) * width
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    if random.random() < .6:
        return (along / radius) ** 2 + (across / radius / thin) ** 2 < 1
    return (np.abs(along) < radius) & (np.abs(across) < radius * thin)


def inflated(image: np.ndarray, mask: np.ndarray, seed: int) -> Scene:
    """An image and its mask (H, W) of any size → the scene, its object smooth and round before a
    ground that rises and has a gentle relief."""
    random = np.random.default_rng((seed, 2))
    size = (WIDTH, HEIGHT)
    color = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 127
    relief = cv2.GaussianBlur(random.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 40)
    ground = .15 + .3 * np.linspace(0, 1, HEIGHT)[:, None] + .06 * relief / np.abs(relief).max()
    inner = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    bulge = cv2.GaussianBlur(np.sqrt(np.minimum(inner, 40) / 40), (0, 0), 3)
    return color, np.where(inside, .57 + .12 * bulge, ground)


def noisy(depth: np.ndarray, deviation: float) -> np.ndarray:
    """With Gaussian noise; no depth becomes 0, which would mark it as invalid."""
    return np.maximum(depth + np.random.default_rng(0).normal(0, deviation, depth.shape), 1e-3)


def blurred(depth: np.ndarray, deviation: float) -> np.ndarray:
    """Averaged by a Gaussian of so many pixels."""
    return cv2.GaussianBlur(depth, (0, 0), deviation)


def moved(depth: np.ndarray, pixels: int) -> np.ndarray:
    """Moved to the right and half as far down, without the image."""
    down = pixels // 2
    wide = cv2.copyMakeBorder(depth, down, 0, pixels, 0, cv2.BORDER_REPLICATE)
    return wide[:depth.shape[0], :depth.shape[1]]


def blocky(depth: np.ndarray, quality: int) -> np.ndarray:
    """As a JPEG file of so much quality keeps it."""
    _, file = cv2.imencode(".jpg", np.round(depth * 255).astype(np.uint8),
                           [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.maximum(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE), 1) / 255


def coarse(depth: np.ndarray, levels: int) -> np.ndarray:
    """Of so many levels between 0 and 1."""
    return (np.floor(depth * levels) + .5) / levels


#: Name → function of depth and level, and the levels from mild to strong.
DISTORTIONS: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], Sequence[float]]] = {
    "noise": (noisy, (.0025, .005, .01, .02, .04, .08)),
    "blur": (blurred, (.7, 1, 1.5, 2, 3, 4)),
    "misalignment": (moved, (1, 2, 3, 4, 5, 6)),
    "JPEG": (blocky, (90, 70, 50, 30, 15, 5)),
    "levels": (coarse, (128, 64, 32, 16, 8)),
}


def psnr(depth: np.ndarray, distorted: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB; the peak is the true depth's range."""
    return float(20 * np.log10(np.ptp(depth)) - 10 * np.log10(np.mean((depth - distorted) ** 2)))


def follow(scene: Scene) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Distortion → scores, of which the first is that of the true depth, and the PSNR of all
    others."""
    color, depth = scene
    clean = depth_quality(color, depth).score
    table = {}
    for name, (distort, levels) in DISTORTIONS.items():
        maps = [distort(depth, level) for level in levels]
        table[name] = (np.array([clean, *(depth_quality(color, values).score for values in maps)]),
                       np.array([psnr(depth, values) for values in maps]))
    return table


def photos(name: str, root: str, count: int, seed: int) -> Iterator[Scene]:
    """Some pairs of a set, spread evenly over it, as scenes."""
    pairs = find_pairs(name, ROOT / root)
    for number, pair in enumerate(pairs[::max(1, len(pairs) // count)][:count]):
        yield inflated(np.asarray(decode_image(pair.image)),
                       mask_of(replace(pair, codings={})).values, seed + number)


def summary(kind: str, tables: Sequence[dict[str, tuple[np.ndarray, np.ndarray]]]) -> Iterator[str]:
    """Lines of a Markdown table, a line for each distortion."""
    for name in DISTORTIONS:
        growing = sum(bool((np.diff(table[name][0]) > 0).all()) for table in tables)
        rhos = [-spearmanr(table[name][0][1:], table[name][1]).statistic for table in tables]
        yield (f"| {kind} | {name} | {growing} of {len(tables)} | {min(rhos):.3f} | "
               f"{np.mean(rhos):.3f} |")
    pooled = [[np.concatenate(parts) for parts in zip(*((scores[1:], true) for scores, true
                                                        in table.values()), strict=True)]
              for table in tables]
    rhos = [-spearmanr(*both).statistic for both in pooled]
    yield f"| {kind} | all of a scene | | {min(rhos):.3f} | {np.mean(rhos):.3f} |"


@reports_errors
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--scenes", type=int, default=10, help="of each kind")
    add("--seed", type=int, default=300, help="of the first scene")
    add("--data", metavar="SET", help="a data set whose photos are scenes too")
    add("--root", default="datasets", help="the folder that it lies in")
    args = parser.parse_args(argv)
    seeds = range(args.seed, args.seed + args.scenes)
    kinds: dict[str, Iterator[Scene]] = {
        "shapes": map(shapes, seeds), "hills": map(hills, seeds),
        "sample": (inflated(*draw_pair(np.random.default_rng(seed)), seed) for seed in seeds)}
    if args.data:
        kinds[args.data] = photos(args.data, args.root, args.scenes, args.seed)
    print("| scenes | distortion | grows with every level | least ρ | mean ρ |\n"
          "| --- | --- | --- | --- | --- |")
    for kind, scenes in kinds.items():
        for line in summary(kind, [follow(scene) for scene in scenes]):
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
