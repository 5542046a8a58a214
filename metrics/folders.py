"""Scoring a folder of saliency maps against a folder of masks, strictly."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.decode import UnreadableError, decode_mask, open_image
from data.pairing import Pair, by_stem

from .histogram import joint_histogram
from .measures import ImageScores, Scores, score_histogram

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


def read_truth(pair: Pair) -> np.ndarray:
    """The pair's mask as uint8 (H, W), turned upright as its image is, where that is known.

    Raises:
        UnreadableError: a file that does not decode.
    """
    return decode_mask(pair.mask, pair.image)


def score_folder(maps: Iterable[Path], pairs: Sequence[Pair], title: str = "",
                 count: Counter = joint_histogram) -> FolderScores:
    """Score every map against the mask of the pair that it is named after.

    Missing, extra, unreadable and wrongly sized maps, maps that share a stem, and unreadable
    masks are listed by file in ``problems``; the scores are those of all other maps.
    """
    maps = list(maps)
    table, problems = by_stem(maps, "maps")
    shared = {stem for stem, number in Counts(path.stem for path in maps).items() if number > 1}
    names = {pair.name for pair in pairs}
    problems += [f"no map for {pair.mask}" for pair in pairs if pair.name not in table]
    problems += [f"no mask for {path}" for stem, path in table.items() if stem not in names]
    common = [(table[pair.name], pair) for pair in pairs
              if pair.name in table and pair.name not in shared]
    result = FolderScores(Scores(), len(pairs), problems)

    def score(path: Path, pair: Pair) -> ImageScores | str:
        try:
            prediction, truth = read_map(path), read_truth(pair)
        except UnreadableError as error:
            return str(error)
        if prediction.shape != truth.shape:
            return (f"{path} is {prediction.shape[1]}×{prediction.shape[0]}, its mask "
                    f"{truth.shape[1]}×{truth.shape[0]}")
        return score_histogram(count(prediction, truth))

    with ThreadPoolExecutor() as pool:
        for outcome in tqdm(pool.map(lambda job: score(*job), common), total=len(common),
                            unit="map", desc=title, disable=None, leave=False):
            if isinstance(outcome, str):
                result.problems.append(outcome)
            else:
                result.scores.add(outcome)
    return result
