"""Maps that lie in a folder already: which of them are those that would be made now."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from data import Pair
from data.decode import upright_size
from utils.errors import UserError
from utils.machine import cores
from utils.maps import UnreadableError, read_map
from utils.origin import MapsOrigin, origin_of

SHOWN = 5  # folders of images that an origin names


def map_path(folder: Path, pair: Pair) -> Path:
    """Where the map of a pair lies."""
    return folder / f"{pair.name}.png"


def pairs_to_predict(pairs: Sequence[Pair], folder: Path, origin: MapsOrigin) -> list[Pair]:
    """The pairs whose map is not in ``folder``: a map that counts decodes, has its size, and was
    made of the same images by the same weights with the same settings."""
    if origin.differs_from(folder, folders_of(pairs)):
        return list(pairs)
    with ThreadPoolExecutor(cores()) as pool:
        whole = pool.map(lambda pair: is_whole(map_path(folder, pair), pair), pairs)
        return [pair for pair, keep in zip(pairs, whole, strict=True) if not keep]


def begin_folder(pairs: Sequence[Pair], folder: Path, origin: MapsOrigin, keep: bool) -> list[Pair]:
    """The pairs to predict, when their folder's entry of the origin is begun; maps that are made
    anew are printed. Those of other weights are removed before the first is made: a stop would
    leave them among the new ones, and the entry would be that of the new ones.

    Args:
        keep: whether maps that would come out the same are kept.

    Raises:
        UserError: maps of these names lie in the folder that test.py did not make.
    """
    require_own(pairs, folder)
    images = folders_of(pairs)
    differs = origin.differs_from(folder, images)
    to_do = pairs_to_predict(pairs, folder, origin) if keep else list(pairs)
    stale = [path for pair in to_do if (path := map_path(folder, pair)).is_file()]
    if stale and differs:
        print(f"note: {folder}: {len(stale)} maps of {differs} are made anew", file=sys.stderr)
        for path in stale:
            path.unlink()
    elif stale and keep:
        print(f"note: {folder}: {len(stale)} maps that are damaged or have another size are made "
              f"anew, the first is {stale[0].name}", file=sys.stderr)
    others = set(folder.rglob("*.png")) - {map_path(folder, pair) for pair in pairs}
    origin.begin(folder, images, len(others) if differs else 0)
    return to_do


def require_own(pairs: Sequence[Pair], folder: Path) -> None:
    """Raise a UserError if maps of these names lie in the folder that test.py did not make."""
    theirs = [pair for pair in pairs if map_path(folder, pair).exists()]
    if theirs and origin_of(folder) is None:
        raise UserError(f"{len(theirs)} maps in {folder} are not test.py's, as the folder above has"
                        " no origin.json that tells of them; move them elsewhere, or they would be "
                        "replaced. test.py also takes another --out or name=….")


def is_whole(path: Path, pair: Pair) -> bool:
    """Whether a map is there, decodes, and has the size that it would be written at."""
    try:
        return read_map(path).shape == (pair.size or upright_size(pair.image)[::-1])
    except UnreadableError:
        return False


def folders_of(pairs: Sequence[Pair]) -> str:
    """The folders that the images of pairs lie in; of very many, their number and a digest."""
    folders = sorted({str(pair.image.absolute().parent) for pair in pairs})
    text = ", ".join(folders)
    digest = hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
    return text if len(folders) <= SHOWN else f"{len(folders)} folders, {digest}"
