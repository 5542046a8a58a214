"""Pictures that a map makes of its photo: cut-outs, and the object before other backgrounds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from threading import Lock

import cv2
import imageio.v3 as iio
import numpy as np
import torch
from PIL import Image

from data import Pair, decode_image
from utils.errors import UserError, counted, nearest, note_once
from utils.files import written_whole
from utils.images import declared_pixels
from utils.machine import cores
from utils.maps import read_map

RED = np.array([255, 32, 32], np.float32)
_PART = 2**21  # pixels that are floats at a time
LARGE = 2**24  # pixels of a photo, above which photos are made pictures of one after another
_COSTLY = 2**21  # pixels, of which PyMatting takes 95 bytes each; larger photos wait for each other
_ALONE, _ESTIMATE_ALONE = Lock(), Lock()
BLURRED = 0.02  # deviation of the Gaussian of ``blur``, as a share of the picture's longer side


def cutout(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """RGBA (H, W, 4): the object, whose transparency is the map. Where an edge is half transparent,
    its colours are the object's alone, if PyMatting is installed."""
    return np.dstack([object_colours(image, saliency), saliency])


def overlay(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """The photo, with red laid over it as strongly as the map is bright, up to 60 %."""
    return mixed(np.broadcast_to(RED, image.shape), image, 0.6 * saliency)


def on_white(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """The object before white."""
    return mixed(object_colours(image, saliency), np.full_like(image, 255), saliency)


def on_blur(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """The object before a blurred background, which does not hold the object's colours."""
    background = _blurred(*_small(image, saliency), saliency.shape)
    return mixed(object_colours(image, saliency), background, saliency)


def _small(image: np.ndarray, saliency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A photo and its map of at most 1024 pixels, which is finer than the blur."""
    height, width = saliency.shape
    factor = min(1, 1024 / max(height, width))
    size = max(1, round(factor * width)), max(1, round(factor * height))
    return tuple(cv2.resize(values, size, interpolation=cv2.INTER_AREA)
                 for values in (np.ascontiguousarray(image), saliency))


def _blurred(small: np.ndarray, share: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The background of a photo of this height and width, RGB uint8 (H, W, 3), of a small copy of
    it and of its map."""
    weight = 1 - share.astype(np.float32)[..., None] / 255 + 1e-3  # where all is object: itself
    sigma = BLURRED * max(share.shape)
    total = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
    background = (cv2.GaussianBlur(weight * small, (0, 0), sigma) / total).round().clip(0, 255)
    return cv2.resize(background.astype(np.uint8), shape[::-1])


#: Kind → what makes the picture of RGB uint8 (H, W, 3) and the map uint8 (H, W).
KINDS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "cutout": cutout, "overlay": overlay, "white": on_white, "blur": on_blur}


def mixed(front: np.ndarray, back: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Two pictures (H, W, 3) of 0 to 255, the first one as opaque as ``saliency`` (H, W), 0 to 255,
    says."""
    result = np.empty((*saliency.shape, 3), np.uint8)
    for part in _parts(*saliency.shape):
        share = saliency[part].astype(np.float32)[..., None] / 255
        result[part] = np.round(share * front[part] + (1 - share) * back[part]).clip(0, 255)
    return result


def _parts(height: int, width: int) -> Iterator[slice]:
    """Rows that are floats at a time."""
    rows = max(1, _PART // width)
    yield from (slice(start, min(start + rows, height)) for start in range(0, height, rows))


def object_colours(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """RGB uint8 (H, W, 3): the photo, with what shines through half transparent pixels taken out,
    where PyMatting is installed (Germer et al., Fast Multi-Level Foreground Estimation, 2020)."""
    estimate = _estimator()
    if saliency.size > LARGE:
        _note_edges()
        return image
    if estimate is None or not ((saliency > 0) & (saliency < 255)).any():
        return image
    with _ESTIMATE_ALONE if saliency.size > _COSTLY else nullcontext():
        threads = torch.get_num_threads()
        colours = estimate(image / 255.0, saliency / 255.0)
        torch.set_num_threads(threads)  # PyMatting's compiler sets another number for the process
    return np.round(255 * colours).clip(0, 255).astype(np.uint8)


def _note_edges() -> None:
    note_once(f"of photos above {LARGE // 10**6} megapixels, half transparent edges keep some of "
              "the old background's colour: taking it out needs too much memory")


@cache
def _estimator() -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    try:
        from pymatting import estimate_foreground_ml
    except ImportError:
        print("note: without PyMatting (pip install pymatting), half transparent edges keep some "
              "of the old background's colour", file=sys.stderr)
        return None
    return estimate_foreground_ml


def change_large(photo: Image.Image, saliency: np.ndarray, kind: str) -> None:
    """Make a picture of ``KINDS`` of a photo above ``LARGE``, with the same pixels, in the photo's
    own memory, some rows at a time."""
    if kind != "overlay":
        _note_edges()
    if kind == "cutout":
        photo.putalpha(Image.fromarray(saliency))
        return
    background = _blurred(*_small_of(photo, saliency), saliency.shape) if kind == "blur" else \
        np.broadcast_to(np.uint8(255), (*saliency.shape, 3))
    for part in _parts(*saliency.shape):
        rows, share = _rows(photo, part), saliency[part]
        made = overlay(rows, share) if kind == "overlay" else mixed(rows, background[part], share)
        photo.paste(Image.fromarray(made), (0, part.start))


def _rows(photo: Image.Image, part: slice) -> np.ndarray:
    return np.asarray(photo.crop((0, part.start, photo.width, part.stop)))


def _small_of(photo: Image.Image, saliency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As ``_small``. Pillow takes a photo's memory twice while it makes one array of it."""
    image = np.empty((*saliency.shape, 3), np.uint8)
    for part in _parts(*saliency.shape):
        image[part] = _rows(photo, part)
    return _small(image, saliency)


def kinds_in(words: Sequence[str]) -> list[str]:
    """The kinds that --save names, without ``map``, which is always saved.

    Raises:
        UserError: a word names none.
    """
    for word in words:
        if word != "map" and word not in KINDS:
            raise UserError(f"--save {word}: unknown kind of picture; "
                            f"{nearest(word, ['map', *KINDS])}")
    return [kind for kind in KINDS if kind in words]


def save_pictures(pairs: Sequence[Pair], folder: Path, kinds: Sequence[str]) -> None:
    """Write pictures of the photos and of their maps in ``<method>/<set>``, of the photo's size, to
    ``<method>/_<kind>/<set>/<name>.png``: scoring does not look into folders that begin so."""
    if not kinds:  # a large photo is not decoded whole for nothing
        return

    def save(pair: Pair) -> None:
        targets = {kind: picture_folder(folder, kind) / f"{pair.name}.png" for kind in kinds}
        if declared_pixels(pair.image) > LARGE:
            with _ALONE:
                saliency = read_map(folder / f"{pair.name}.png")
                for kind, path in targets.items():
                    _save_large(pair, saliency, kind, path)
            return
        image = np.asarray(decode_image(pair.image))
        saliency = _fitted(read_map(folder / f"{pair.name}.png"), image.shape[1::-1])
        for kind, path in targets.items():
            with written_whole(path, "wb") as file:
                iio.imwrite(file, KINDS[kind](image, saliency), extension=".png")

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(save, pairs))


def _save_large(pair: Pair, saliency: np.ndarray, kind: str, path: Path) -> None:
    """A picture of a photo that is decoded anew for each kind, since each is made in its memory."""
    photo = decode_image(pair.image)
    photo.info = {}  # the photo's metadata stay with the photo
    change_large(photo, _fitted(saliency, photo.size), kind)
    with written_whole(path, "wb") as file:
        photo.save(file, "PNG")


def _fitted(saliency: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map at a photo's width and height, where the mask has a few pixels more or less."""
    return saliency if saliency.shape == size[::-1] else \
        np.asarray(Image.fromarray(saliency).resize(size))


def drop_pictures(pairs: Sequence[Pair], folder: Path, kinds: Sequence[str]) -> None:
    """Remove pictures of other kinds than ``kinds`` that were made of earlier maps of these pairs;
    how many is printed."""
    for kind in KINDS.keys() - set(kinds):
        paths = [picture_folder(folder, kind) / f"{pair.name}.png" for pair in pairs]
        stale = [path for path in paths if path.is_file()]
        for path in stale:
            path.unlink()
        if stale:
            print(f"note: {picture_folder(folder, kind)}: {counted(len(stale), 'picture')} of "
                  f"earlier maps removed; --save {kind} makes new ones", file=sys.stderr)


def picture_folder(folder: Path, kind: str) -> Path:
    """Where the pictures of a kind lie, made of the maps in ``folder``."""
    return folder.with_name(f"_{kind}") / folder.name
