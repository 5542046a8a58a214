"""Small pictures of images, masks and maps for a page."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from data.decode import decode_image
from data.pairing import Pair
from metrics.profiles import Profile
from scoring.folders import read_truth
from utils.images import UnreadableError
from utils.machine import cores
from utils.maps import read_map, to_bytes

from ..methods import SetScores, foreground_share
from .sheets import Shown

_QUALITY = {"RGB": 70, "L": 80}  # of JPEG: maps have edges that must not ring, photos have noise


@dataclass
class Pictures:
    """The pictures of one image of a set.

    Attributes:
        size: width and height of the mask; (4, 3) when it cannot be read.
        area: share of the mask's pixels that is foreground, None when it cannot be read.
        files: ``image``, ``truth``, and the number of each method that has a map → JPEG. All have
            the shape of the mask, so that they can be laid over each other; but ``explain`` with
            a method's number is its sheet, of its own size.
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


def make_pictures(scores: SetScores, profile: Profile, longer: int,
                  sheets: Shown = MappingProxyType({})) -> Iterator[Pictures]:
    """The pictures of each image of a set, in its order, made on all cores.

    A file that cannot be read has no picture; scoring has listed what is wrong with it.
    """
    def make(pair: Pair) -> Pictures:
        pictures = Pictures()
        try:
            truth = read_truth(pair)
        except UnreadableError:
            return pictures
        pictures.size = truth.shape[1], truth.shape[0]
        pictures.area = foreground_share(truth, profile)
        small = fit(pictures.size, longer)
        pictures.files["truth"] = thumbnail(truth, small)
        if pair.image:
            with suppress(UnreadableError):
                photo = np.asarray(decode_image(pair.image, longer))
                pictures.files["image"] = thumbnail(photo, small)
        for number, method in enumerate(scores.methods):
            if pair.name in method.evaluator.per_image:
                # As it is scored: an error map of anything else would contradict the score.
                scored = to_bytes(read_map(method.maps[pair.name]) / 255, minmax=profile.stretch)
                pictures.files[str(number)] = thumbnail(scored, small)
            if sheet := sheets.get((scores.name, method.name), {}).get(pair.name):
                pictures.files[f"explain{number}"] = sheet.picture()
        return pictures

    with ThreadPoolExecutor(cores()) as pool:
        yield from tqdm(pool.map(make, scores.pairs), total=len(scores.pairs), unit="image",
                        desc=f"pictures of {scores.name}", disable=None, leave=False)
