"""Attributes of a set's images, computed once: a file keeps them for the same photos and masks."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import PIL
from tqdm import tqdm

from data import Pair, decode_image
from data.decode import original_size
from data.sizes import nearly
from metrics.profiles import Profile
from scoring import read_truth
from utils.errors import counted, list_problems, note_once
from utils.files import write_text
from utils.images import UnreadableError
from utils.machine import cores
from utils.paths import RESULTS
from utils.values import read_json

from .table import ATTRIBUTES, SIDE, measure

Values = dict[str, float]  # attribute → value, NaN where the image does not have it
#: Where attributes are kept, unless --out names another folder.
FOLDER = RESULTS / "_attributes"
_DEFINITIONS = ("shape.py", "appearance.py", "table.py")


@dataclass
class SetAttributes:
    """Attributes of a set's images.

    Attributes:
        values: image → attribute → value, of the images whose mask can be read; all attributes are
            keys, and NaN are those that an image does not have.
        computed: number of images that were not kept.
        notes: sentences on what is left out.
    """

    values: dict[str, Values]
    computed: int
    notes: list[str] = field(default_factory=list)

    def column(self, name: str, images: Sequence[str]) -> np.ndarray:
        """An attribute of these images, float64 (N,); NaN of an image that has no values."""
        return np.array([self.values[image][name] if image in self.values else math.nan
                         for image in images], dtype=np.float64)


@dataclass
class _Measured:
    """Attributes of an image, the key that they are kept under, if they are, and what is wrong with
    its files."""

    key: str = ""
    values: Values | None = None
    is_new: bool = False
    problem: str = ""


def read_attributes(pairs: Sequence[Pair], profile: Profile, path: Path) -> SetAttributes:
    """The attributes of all pairs, on all cores, of those that ``path`` does not keep; it keeps
    them afterwards.

    They are kept under a digest of what photo and mask hold, never of their paths or times, so
    that a set may lie elsewhere and a file that changed is measured again. Another version of the
    definitions measures all anew.

    Args:
        profile: what counts as foreground in a mask.
        path: JSON; one that is missing or damaged keeps nothing. Where it cannot be written a note
            says so, and the attributes are measured anew the next time.
    """
    version = definitions()
    kept = _read(path, version)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # else OpenCV starts threads inside those that measure
    try:
        with ThreadPoolExecutor(cores()) as pool:
            measured = list(tqdm(pool.map(lambda pair: _measure(pair, profile, kept), pairs),
                                 total=len(pairs), unit="image", desc="attributes", disable=None,
                                 leave=False))
    finally:
        cv2.setNumThreads(threads)
    if new := {part.key: part.values for part in measured
               if part.is_new and part.key}:
        _write(path, version, kept | new)
    values = {pair.name: part.values for pair, part in zip(pairs, measured, strict=True)
              if part.values is not None}
    return SetAttributes(values, sum(part.is_new for part in measured),
                         [*_notes(pairs, values), *(part.problem for part in measured
                                                    if part.problem)])


def kept_attributes(dataset: str, pairs: Sequence[Pair], profile: Profile) -> SetAttributes:
    """The attributes of a set, in the file that ``report attributes`` keeps them in; what is left
    out is printed on stderr."""
    attributes = read_attributes(pairs, profile, kept_path(FOLDER, dataset))
    if attributes.notes:
        note_once(list_problems(f"what attributes of {dataset} leave out", attributes.notes))
    return attributes


def kept_path(folder: Path, dataset: str) -> Path:
    """The file that keeps the attributes of a data set, in ``results/_attributes`` or where else
    they go. Sets whose names give the same file share it."""
    return folder / f"{file_stem(dataset)}.json"


def file_stem(name: str) -> str:
    """A name that may be part of a file's."""
    return re.sub(r"[^\w.+-]", "_", name).lstrip(".") or "_"


def definitions() -> str:
    """Tells apart versions of the definitions: of their source text, of OpenCV, which they call,
    and of Pillow, which decodes what they are given."""
    digest = hashlib.blake2b(f"{cv2.__version__} {PIL.__version__}".encode(), digest_size=16)
    for name in _DEFINITIONS:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()


def _measure(pair: Pair, profile: Profile, kept: dict[str, Values]) -> _Measured:
    try:
        key = _key(pair, profile)
        if key in kept:
            return _Measured(key, kept[key])
        truth = read_truth(pair)
    except UnreadableError as error:
        return _Measured(problem=f"no attributes: {error}")
    image, problem = None, ""
    if pair.image:
        try:
            image = _photo(pair, truth.shape)
        except UnreadableError as error:
            problem = f"without the attributes of its photo: {error}"
    values = measure(image, truth > profile.foreground_above)
    # Of a photo with a problem nothing is kept, so that the problem is told again.
    return _Measured("" if problem else key, values, True, problem)


def _photo(pair: Pair, size: tuple[int, int]) -> np.ndarray:
    """The photo, RGB uint8, large ones smaller already.

    Raises:
        UnreadableError: it does not decode, or has other proportions than its mask of ``size``.
    """
    photo = decode_image(pair.image, SIDE)
    width, height = original_size(photo)
    if not nearly(size, (height, width)):
        raise UnreadableError(f"{pair.image} is {width}×{height}, its mask {size[1]}×{size[0]}")
    return np.asarray(photo)


def _key(pair: Pair, profile: Profile) -> str:
    """Digest of what decides the attributes: what the files hold, how the mask is coded and cut.

    Raises:
        UnreadableError: a file that cannot be read.
    """
    coding = pair.codings.get("mask")
    words = f"{coding.key if coding else ''} {profile.foreground_above}"
    digest = hashlib.blake2b(digest_size=16)
    for content in (words.encode(), *(_bytes(path) for path in (pair.image, pair.mask))):
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def _bytes(path: Path | None) -> bytes:
    try:
        return path.read_bytes() if path else b""
    except OSError as error:
        raise UnreadableError.of(path, error) from None


def _notes(pairs: Sequence[Pair], values: dict[str, Values]) -> list[str]:
    """Which images lack which attributes, because they have no photo, no object, or little of what
    an attribute is measured on."""
    notes = []
    if bare := sum(pair.image is None for pair in pairs):
        names = ", ".join(attribute.name for attribute in ATTRIBUTES.values() if attribute.of_photo)
        which = "no image has a photo" if bare == len(pairs) else \
            f"there is no photo of {counted(bare, 'image')}"
        notes.append(f"{which}, so these attributes are left out: {names}; --data and --root name "
                     "sets with photos")
    if empty := sum(math.isnan(own["size"]) for own in values.values()):
        notes.append(f"there is no object in {counted(empty, 'image')}: of these only "
                     "attributes of the whole photo count, and F and wF are 0, whatever the map")
    if tiny := sum(not math.isnan(own["size"]) and math.isnan(own["off_centre"])
                   for own in values.values()):
        notes.append(f"the object of {counted(tiny, 'image')} is lost at {SIDE} pixels, and of "
                     "its attributes only the size is given")
    whole = [own for own in values.values()
             if not math.isnan(own["off_centre"]) and not math.isnan(own["canny"])]
    if lacking := {name: count for name in ATTRIBUTES
                   if (count := sum(math.isnan(own[name]) for own in whole))}:
        notes.append("too little background is left, or too near to the object, for: "
                     + ", ".join(f"{name} ({counted(count, 'image')})"
                                 for name, count in lacking.items()))
    return notes


def _read(path: Path, version: str) -> dict[str, Values]:
    """What a file keeps of this version of the definitions; nothing of a damaged file, which is
    made anew."""
    try:
        content = read_json(path)
        rows = content["images"] if content["version"] == version else {}
        return {key: {name: math.nan if row[name] is None else float(row[name])
                      for name in ATTRIBUTES} for key, row in rows.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write(path: Path, version: str, kept: dict[str, Values]) -> None:
    lines = [f'"{key}": ' + json.dumps({name: None if math.isnan(value) else value
                                        for name, value in kept[key].items()})
             for key in sorted(kept)]
    text = f'{{"version": "{version}",\n"images": {{\n' + ",\n".join(lines) + "\n}}\n"
    try:
        write_text(path, text)
    except OSError as error:
        note_once(f"attributes are not kept, as {path} cannot be written: {error.strerror}")
