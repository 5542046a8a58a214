"""Small pictures of images, masks and maps for a page."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from data.decode import decode_image
from data.pairing import Pair
from metrics.profiles import Profile
from scoring.folders import read_truth
from utils.machine import cores
from utils.maps import UnreadableError, read_map, to_bytes

from ..methods import ScoredSet

_QUALITY = {"RGB": 70, "L": 80}  # of JPEG: maps have edges that must not ring, photos have noise


@dataclass
class Pictures:
    """The pictures of one image of a set.

    Attributes:
        size: width and height of the mask; (4, 3) when it cannot be read.
        area: share of the mask's pixels that is foreground, None when it cannot be read.
        files: ``image``, ``truth``, and the number of each method that has a map → JPEG. All have
            the shape of the mask, so that they can be laid over each other.
    """

    size: tuple[int, int] = (4, 3)
    area: float | None = None
    files: dict[str, bytes] = field(default_factory=dict)


def thumbnail(pixels: np.ndarray, size: tuple[int, int]) -> bytes:
    """uint8 (H, W) or (H, W, 3) as JPEG of ``size`` (width, height)."""
    shrinks = size[0] <= pixels.shape[1] and size[1] <= pixels.shape[0]
    small = cv2.resize(pixels, size,
                       interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    picture = Image.fromarray(small)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY[picture.mode])
    return file.getvalue()


def fit(size: tuple[int, int], longer: int) -> tuple[int, int]:
    """``size`` brought down to a longer side of ``longer``; smaller ones stay as they are."""
    scale = min(1.0, longer / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def make_pictures(found: ScoredSet, profile: Profile, longer: int) -> Iterator[Pictures]:
    """The pictures of each image of a set, in its order, made on all cores.

    A file that cannot be read has no picture: what is wrong with it, scoring has said.
    """
    def make(pair: Pair) -> Pictures:
        return _make(found, pair, profile, longer)

    with ThreadPoolExecutor(cores()) as pool:
        yield from tqdm(pool.map(make, found.pairs), total=len(found.pairs), unit="image",
                        desc=f"pictures of {found.name}", disable=None, leave=False)


def _make(found: ScoredSet, pair: Pair, profile: Profile, longer: int) -> Pictures:
    pictures = Pictures()
    try:
        truth = read_truth(pair)
    except UnreadableError:
        return pictures
    pictures.size = truth.shape[1], truth.shape[0]
    pictures.area = foreground_share(truth, profile)
    small = fit(pictures.size, longer)
    pictures.files["truth"] = thumbnail(truth, small)
    sources = {"image": lambda: np.asarray(decode_image(pair.image))} if pair.image else {}
    for number, method in enumerate(found.methods):
        if pair.name in method.evaluator.per_image:
            sources[str(number)] = partial(_read_scored, method.maps[pair.name], profile)
    for key, read in sources.items():
        try:
            pictures.files[key] = thumbnail(read(), small)
        except UnreadableError:
            continue
    return pictures


def _read_scored(path: Path, profile: Profile) -> np.ndarray:
    """The map as it is scored: an error map of anything else would contradict the score."""
    return to_bytes(read_map(path) / 255, minmax=profile.stretch)


def foreground_share(truth: np.ndarray, profile: Profile) -> float:
    """Share of a mask's pixels that the profile counts as foreground."""
    return float((truth > profile.foreground_above).mean())


def object_sizes(found: ScoredSet, profile: Profile) -> dict[str, float]:
    """Image → share of foreground, of the masks that can be read."""
    def measure(pair: Pair) -> float | None:
        try:
            return foreground_share(read_truth(pair), profile)
        except UnreadableError:
            return None

    with ThreadPoolExecutor(cores()) as pool:
        shares = list(tqdm(pool.map(measure, found.pairs), total=len(found.pairs), unit="mask",
                           desc=f"sizes in {found.name}", disable=None, leave=False))
    return {pair.name: share for pair, share in zip(found.pairs, shares, strict=True)
            if share is not None}
