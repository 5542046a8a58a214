"""Scoring a folder of saliency maps against a folder of masks, strictly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.decode import UnreadableError, decode_mask, open_image
from data.pairing import by_stem

from .histogram import joint_histogram
from .measures import Scores, score_histogram

#: (prediction, truth) → counts (2, 256); see ``histogram.joint_histogram``.
Counter = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass
class FolderScores:
    """Scores over the maps that could be scored, and everything that was wrong."""

    scores: Scores
    expected: int
    problems: list[str] = field(default_factory=list)


def read_map(path: Path) -> np.ndarray:
    """A saliency map as uint8 (H, W).

    Raises:
        UnreadableError: does not decode, has colours, transparency or more than 8 bits.
    """
    image = open_image(path)
    if image.mode in ("L", "1"):
        return np.asarray(image.convert("L"))
    if image.mode not in ("P", "PA", "LA", "RGB", "RGBA"):
        raise UnreadableError(f"{path}: mode {image.mode}; a map is 8-bit grey")
    pixels = np.asarray(image.convert("RGBA"))
    if (pixels[..., 3] != 255).any():
        raise UnreadableError(f"{path}: has transparent pixels; a map is 8-bit grey")
    if (pixels[..., :3] != pixels[..., :1]).any():
        raise UnreadableError(f"{path}: has colours; a map is 8-bit grey")
    return np.ascontiguousarray(pixels[..., 0])


def score_folder(maps: Iterable[Path], masks: Iterable[Path], title: str = "",
                 count: Counter = joint_histogram) -> FolderScores:
    """Score every map against the mask of the same stem.

    Missing, extra, unreadable and wrongly sized maps are listed by file in ``problems``; the
    scores are those of all other maps.

    Raises:
        UnreadableError: a mask that does not decode, since no score can do without it.
    """
    map_table, problems = by_stem(maps, "maps")
    mask_table, more = by_stem(masks, "masks")
    problems += more
    problems += [f"no map for {path}" for stem, path in mask_table.items() if stem not in map_table]
    problems += [f"no mask for {path}" for stem, path in map_table.items()
                 if stem not in mask_table]
    common = [(map_table[stem], mask_table[stem]) for stem in sorted(mask_table)
              if stem in map_table]
    result = FolderScores(Scores(), len(mask_table), problems)

    def score(files: tuple[Path, Path]):
        truth = decode_mask(files[1])
        try:
            prediction = read_map(files[0])
        except UnreadableError as error:
            return str(error)
        if prediction.shape != truth.shape:
            return (f"{files[0]} is {prediction.shape[1]}×{prediction.shape[0]}, its mask "
                    f"{truth.shape[1]}×{truth.shape[0]}")
        return score_histogram(count(prediction, truth))

    with ThreadPoolExecutor() as pool:
        for outcome in tqdm(pool.map(score, common), total=len(common), unit="map", desc=title,
                            disable=None, leave=False):
            if isinstance(outcome, str):
                result.problems.append(outcome)
            else:
                result.scores.add(outcome)
    return result
