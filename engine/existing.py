"""Maps that lie in a folder already: which of them are those that would be made now."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from data import Pair
from data.decode import upright_size
from data.fingerprint import digests
from utils.errors import UserError, counted
from utils.files import write_text
from utils.machine import cores
from utils.maps import UnreadableError, read_map
from utils.origin import MapsOrigin, origin_of
from utils.paths import hidden_beside
from utils.values import read_json
from utils.world import World


def map_path(folder: Path, pair: Pair) -> Path:
    """Where the map of a pair lies."""
    return folder / f"{pair.name}.png"


def image_digests(pairs: Sequence[Pair], world: World) -> dict[str, str]:
    """Name of each pair → digest of its name and of what its image file holds."""
    images = [Pair(pair.name, pair.image) for pair in pairs]
    return {pair.name: digest.hex()
            for pair, digest in zip(pairs, digests(images, world), strict=True)}


def pairs_to_predict(pairs: Sequence[Pair], folder: Path, origin: MapsOrigin,
                     images: dict[str, str]) -> list[Pair]:
    """The pairs whose map is not in ``folder``: a map that counts decodes, has its size, and was
    made of the same image by the same weights with the same settings.

    Args:
        images: see ``image_digests``.
    """
    if origin.differs_from(folder):
        return list(pairs)
    before = _recorded(folder)
    with ThreadPoolExecutor(cores()) as pool:
        whole = pool.map(lambda pair: before.get(pair.name) == images[pair.name]
                         and is_whole(map_path(folder, pair), pair), pairs)
        return [pair for pair, keep in zip(pairs, whole, strict=True) if not keep]


def begin_folder(pairs: Sequence[Pair], folder: Path, origin: MapsOrigin, images: dict[str, str],
                 keep: bool, limit: int | None = None) -> list[Pair]:
    """The pairs to predict, when their folder's entry of the origin is begun; maps that are made
    anew are printed. Those of other weights or images are removed before the first is made: a stop
    would leave them among the new ones, and the records would be those of the new ones.

    Args:
        images: see ``image_digests``.
        keep: whether maps that would come out the same are kept.
        limit: that the pairs are the first so many of their set; None where they are all.

    Raises:
        UserError: maps of these names lie in the folder that test.py did not make, or those of
            other weights would stay beside the first ``limit``.
    """
    require_own(pairs, folder)
    differs = origin.differs_from(folder)
    left = set(folder.rglob("*.png")) - {map_path(folder, pair) for pair in pairs}
    if limit and differs and left:
        raise UserError(f"{folder} has {len(left)} maps of {differs} beyond --limit {limit}, which "
                        "would be scored as one with the new ones. Leave --limit out, give another "
                        "--out or name=…, or move that folder elsewhere")
    before = {} if differs else _recorded(folder)
    to_do = pairs_to_predict(pairs, folder, origin, images) if keep else list(pairs)
    stale = [pair for pair in to_do if map_path(folder, pair).is_file()]
    same = {name for name, digest in images.items() if before.get(name) == digest}
    if others := [pair for pair in stale if pair.name not in same]:
        what = differs or ("other images" if before else "unknown images")
        number = counted(len(others), f"map of {what} is", f"maps of {what} are")
        print(f"note: {folder}: {number} made anew", file=sys.stderr)
        for pair in others:
            map_path(folder, pair).unlink()
    if keep and (damaged := [pair for pair in stale if pair.name in same]):
        number = counted(len(damaged), "map that is damaged or has another size is",
                         "maps that are damaged or have another size are")
        print(f"note: {folder}: {number} made anew, the first is {damaged[0].name}.png",
              file=sys.stderr)
    write_text(_record(folder), json.dumps(before | images) + "\n")
    origin.begin(folder, len(left) if differs else 0, limit)
    return to_do


def _record(folder: Path) -> Path:
    """The file with the digests of the images that the maps in a folder were made of."""
    return hidden_beside(folder, "images.json")


def _recorded(folder: Path) -> dict:
    """Name → digest of the image that a map in ``folder`` was made of, as far as it is known."""
    try:
        content = read_json(_record(folder))
    except (OSError, ValueError):  # none, or damaged: the maps are made anew
        return {}
    return content if isinstance(content, dict) else {}


def require_own(pairs: Sequence[Pair], folder: Path) -> None:
    """Raise a UserError if maps of these names lie in the folder that test.py did not make, or what
    is no file and cannot be replaced."""
    for pair in pairs:
        if (path := map_path(folder, pair)).exists() and not path.is_file():
            raise UserError(f"{path} is where a map is written, and is no file; move it elsewhere")
    theirs = [pair for pair in pairs if map_path(folder, pair).exists()]
    if theirs and origin_of(folder) is None:
        number = counted(len(theirs), f"map in {folder} is", f"maps in {folder} are")
        raise UserError(f"{number} not test.py's, as the folder above has no origin.json that "
                        "tells of them; move them elsewhere, or they would be replaced. test.py "
                        "also takes another --out or name=….")


def is_whole(path: Path, pair: Pair) -> bool:
    """Whether a map is there, decodes, and has the size that it would be written at."""
    try:
        return read_map(path).shape == (pair.size or upright_size(pair.image)[::-1])
    except UnreadableError:
        return False
