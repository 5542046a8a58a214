"""Scribbles out of full masks, coded and sparse like those of S-DUTS (Zhang et al., CVPR 2020).

Each stroke is drawn as a person would: it follows the medial axis of an object, or of the
background around it, loosely, in one smooth line that may end before the axis does. The pixels
that no stroke covers are unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage.graph import MCP_Geometric
from skimage.measure import subdivide_polygon
from skimage.morphology import skeletonize
from tqdm import tqdm

from utils.errors import UserError, counted, list_problems
from utils.machine import cores
from utils.maps import save_map

from .decode import decode_image
from .listing import others_in
from .masks import mask_of
from .pairing import Pair
from .soundness import require_sound
from .strokes import decode_scribble

FOREGROUND, BACKGROUND = 1, 2  # S-DUTS codes, see strokes.SCRIBBLE_CODES; 0 is unknown

SPECK = 0.001  # of the largest object's area: smaller islands are a mask's noise, not objects
SHALLOW = 0.3  # of the greatest depth: where the axis is nearer to the edge, no one would draw
#: Knots a stroke is bent at and how far off the axis they may lie: tried in turn until the
#: stroke keeps its distance from the region's edge.
LOOSENESS = ((6, 1.0), (10, 0.6), (18, 0.3), (34, 0.1))

SHOWN, TILE, GAP = 8, 240, 6  # rows of the overview, pixels of a tile and between tiles
COLOURS = {1: (255, 40, 40), 0: (40, 120, 255)}  # foreground red, background blue


@dataclass(frozen=True)
class Pen:
    """The options of ``python -m data scribbles``.

    Raises:
        UserError: an option is out of its range.
    """

    thickness: int = 3  # pixels
    length: float = 0.5  # the longest stroke, as a share of the image's longer side
    strokes: int = 3  # at most, on the foreground: one for each object, the largest first
    background_strokes: int = 2  # at most

    def __post_init__(self) -> None:
        if not 1 <= self.thickness <= 100:
            raise UserError(f"--thickness {self.thickness}: a stroke is 1 to 100 pixels thick")
        if not 0 < self.length <= 1:
            raise UserError(f"--length {self.length:g}: above 0, at most 1 (the longer side)")
        if self.strokes < 1:
            raise UserError(f"--strokes {self.strokes}: at least 1 stroke on the foreground")
        if self.background_strokes < 0:
            raise UserError(f"--background-strokes {self.background_strokes}: 0 or more")


def generator(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one image: from its name, so that no other image changes them."""
    return np.random.default_rng([seed, *name.encode("utf-8", "surrogateescape")])


def draw_scribble(mask: np.ndarray, random: np.random.Generator, pen: Pen) -> np.ndarray:
    """Scribble of a mask, uint8 (H, W) → uint8 (H, W) in S-DUTS codes.

    Foreground strokes lie where the mask is above 127, background strokes where it is not. A
    mask with any foreground gets a foreground stroke, one with any background a background
    stroke, if the pen draws any. With more strokes the first ones stay what they were.
    """
    inside, longest = mask > 127, pen.length * max(mask.shape)
    for_front, for_back = random.spawn(2)  # so that one kind does not change the other
    codes = np.zeros(mask.shape, np.uint8)
    for part in _objects(inside, pen.strokes):
        codes[_stroke(part, for_front, pen.thickness, longest)] = FOREGROUND
    for stroke in _background(~inside, for_back, pen, longest):
        codes[stroke] = BACKGROUND
    return codes


def _objects(inside: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Connected parts as bool maps, largest first; ``most`` of them, specks left out."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    for index in np.argsort(-areas, kind="stable")[:most]:
        if areas[index] >= SPECK * areas.max():
            yield labels == index + 1


def _background(outside: np.ndarray, random: np.random.Generator, pen: Pen,
                longest: float) -> Iterator[np.ndarray]:
    """Strokes as bool maps: each where there is most room beside the ones before it."""
    room = outside
    clearance = max(_depth(outside).max() / 2, pen.thickness)
    for number in range(pen.background_strokes):
        depth = _depth(room)
        if depth.max() < (1 if number == 0 else 2 * pen.thickness):
            return
        labels = cv2.connectedComponents(room.astype(np.uint8))[1]
        stroke = _stroke(labels == labels[_deepest(depth)], random, pen.thickness, longest)
        yield stroke
        away = cv2.distanceTransform((~stroke).astype(np.uint8), cv2.DIST_L2, 5)
        room = room & (away > clearance)


def _stroke(part: np.ndarray, random: np.random.Generator, thickness: int,
            longest: float) -> np.ndarray:
    """One stroke inside of a connected region, both bool (H, W); at least one pixel."""
    x, y, width, height = cv2.boundingRect(part.astype(np.uint8))
    window = np.s_[y:y + height, x:x + width]
    depth = _depth(part[window])
    thickness = min(thickness, max(1, int(longest)))  # a dot has the length of its thickness
    axis = _without_hairpins(_axis(depth, random), max(6, 2 * thickness))
    stroke = np.zeros_like(part)
    while True:
        line = _by_hand(axis, depth, random, max(0.0, longest - thickness))
        stroke[window] = cv2.dilate(line, _nib(thickness)).astype(bool) & part[window]
        if len(axis) == 1 or _depth(stroke[window]).max() <= thickness / 2 + 1:
            return stroke
        axis = axis[:(len(axis) + 1) // 2]  # it turned within its own width, and made a blot


def _nib(thickness: int) -> np.ndarray:
    """A round brush, uint8 (thickness, thickness); as thick aslant as it is along the axes."""
    offsets = np.arange(thickness) - (thickness - 1) / 2
    squares = offsets[:, None] ** 2 + offsets[None, :] ** 2
    return (squares <= thickness * (thickness - 1) / 4).astype(np.uint8)


def _depth(region: np.ndarray) -> np.ndarray:
    """Distance of each pixel of a bool map to the region's edge, which the image's edge is too."""
    padded = np.pad(region, 1).astype(np.uint8)
    return cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]


def _deepest(depth: np.ndarray) -> tuple[int, int]:
    return np.unravel_index(depth.argmax(), depth.shape)


def _axis(depth: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The longest way along the medial axis, (N, 2) x and y, each a neighbour of the one before.

    Lengths count by depth, so that a way through the body beats one into a corner.
    """
    ridge = skeletonize(depth > 0) & (depth >= SHALLOW * depth.max())
    ridge[_deepest(depth)] |= not ridge.any()  # thinning may leave nothing of a few pixels
    weights = depth[ridge].astype(np.float64) ** 4
    end = tuple(np.argwhere(ridge)[random.choice(len(weights), p=weights / weights.sum())])
    for _ in range(2):  # the farthest point from the farthest point: the diameter, in a tree
        ways = MCP_Geometric(np.where(ridge, depth, -1))
        costs = ways.find_costs([end])[0]
        end = _deepest(np.where(np.isfinite(costs), costs, -1))
    return np.array(ways.traceback(end), np.float64)[:, ::-1]


def _by_hand(axis: np.ndarray, depth: np.ndarray, random: np.random.Generator,
             longest: float) -> np.ndarray:
    """A line along the axis, one pixel thick, uint8 (H, W): smooth and a little off the axis."""
    share, place, turn = random.uniform(0.75, 1), random.uniform(), random.uniform(0, np.pi)
    sway = random.uniform(-1, 1, (LOOSENESS[-1][0], 2))
    axis = _long_enough(axis, depth, turn)
    axis = _cut(axis, min(longest, share * _along(axis)[-1]), place)
    for knots, looseness in LOOSENESS:
        bent = _points(axis, np.linspace(0, _along(axis)[-1], knots))
        reach = looseness * np.minimum(0.25 * _at(depth, bent), 0.3 * _along(axis)[-1] / knots)
        bent += sway[:knots] * reach[:, None]
        for _ in range(4):
            bent = subdivide_polygon(bent, degree=2, preserve_ends=True)
        bent = _cut(bent, longest, place)
        # In pieces of 4 pixels: point by point, the line would have a step at every other pixel.
        pieces = np.linspace(0, _along(bent)[-1], 2 + int(_along(bent)[-1] / 4))
        line = _draw(_points(bent, pieces), depth.shape)
        if depth[line > 0].min() >= max(1, _at(depth, axis).min() / 2):
            return line
    return _draw(axis, depth.shape)


def _without_hairpins(axis: np.ndarray, span: int) -> np.ndarray:
    """The longest piece that does not turn back within ``span`` pixels."""
    if len(axis) <= 2 * span:
        return axis
    back, on = axis[:-2 * span] - axis[span:-span], axis[2 * span:] - axis[span:-span]
    sharp = (back * on).sum(axis=1) > 0.2 * np.hypot(*back.T) * np.hypot(*on.T)  # below 78°
    return max(np.split(axis, np.flatnonzero(sharp) + span), key=len)


def _long_enough(axis: np.ndarray, depth: np.ndarray, turn: float) -> np.ndarray:
    """The axis, or for a region as round as a disc, whose axis is a point, a line across it."""
    centre, radius = axis[_at(depth, axis).argmax()], float(_at(depth, axis).max())
    if _along(axis)[-1] >= radius or radius < 3:
        return axis
    across = 0.7 * radius * np.linspace(-1, 1, int(radius) + 2)
    return centre + across[:, None] * (np.cos(turn), np.sin(turn))


def _cut(line: np.ndarray, longest: float, place: float) -> np.ndarray:
    """A piece of a line, at most so long; ``place``: 0 takes its beginning, 1 its end."""
    spare = _along(line)[-1] - longest
    if spare <= 0:
        return line
    # Two points a pixel, so that a line through neighbouring pixels still goes through them.
    return _points(line, place * spare + np.linspace(0, longest, int(2 * longest) + 1))


def _points(line: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """The points of a line at distances from its beginning."""
    return np.stack([np.interp(distances, _along(line), xy) for xy in line.T], axis=1)


def _along(line: np.ndarray) -> np.ndarray:
    """The distance of each point of a line from its beginning."""
    return np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])


def _at(depth: np.ndarray, line: np.ndarray) -> np.ndarray:
    return depth[tuple(np.round(line).astype(int).T[::-1])]


def _draw(line: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return cv2.polylines(np.zeros(shape, np.uint8), [np.round(line).astype(np.int32)], False, 1)


def write_scribbles(pairs: Sequence[Pair], folder: Path, pen: Pen, seed: int = 0,
                    overwrite: bool = False, workers: int | None = None) -> list[str]:
    """Write ``folder/<name>.png`` for every pair, and the overview beside the folder.

    Args:
        overwrite: replace what is there; files of other names stay.
        workers: threads, by default one a core; the scribbles do not depend on it.

    Returns:
        What is unusual, in words: masks without foreground or background, other files.

    Raises:
        UserError: files in the way, or unusable files, listed; nothing is written.
    """
    picture = folder.parent / f"{folder.name}.png"
    _require_free(folder, picture, pairs, overwrite)
    require_sound(pairs, "scribbles")
    with ThreadPoolExecutor(workers or cores()) as pool:
        shares = list(tqdm(pool.map(lambda pair: _write(pair, folder, pen, seed), pairs),
                           total=len(pairs), unit="mask", desc="drawing", disable=None))
    save_map(picture, overview(pairs, folder))
    names = [pair.name for pair in pairs]
    empty, full = ([name for name, share in zip(names, shares, strict=True) if share == limit]
                   for limit in (0, 1))
    others = others_in(folder, {folder / f"{name}.png" for name in names})
    return [f"{counted(len(some), noun)}{rest}: {', '.join(some[:5])}{', …' * (len(some) > 5)}"
            for noun, rest, some in (
                ("empty mask", ", background strokes only", empty),
                ("full mask", ", foreground strokes only", full),
                ("other file", f" in {folder}, untouched",
                 [path.relative_to(folder).as_posix() for path in others])) if some]


def _require_free(folder: Path, picture: Path, pairs: Sequence[Pair], overwrite: bool) -> None:
    sources = {path.parent.resolve() for pair in pairs for path in (pair.image, pair.mask)}
    # The picture lies beside the folder, where it would be taken for an image or a mask too.
    if sources & {folder.resolve(), picture.parent.resolve()}:
        raise UserError(f"{folder}, or {picture.name} beside it, would lie among the images or the "
                        "masks of the set; name a folder elsewhere")
    if folder.is_file():
        raise UserError(f"{folder} is a file; name a folder for the scribbles")
    taken = [str(path) for path in (folder, picture) if path.is_file() or any(path.glob("*"))]
    if taken and not overwrite:
        raise UserError(f"{' and '.join(taken)}: exists already; name another folder, or give "
                        "--overwrite to replace scribbles of the same names")
    others = [str(path) for pair in pairs if (path := folder / f"{pair.name}.png").is_file()
              and not _is_scribble(path)]
    if others:
        raise UserError(list_problems(f"{folder} holds files of the same names that are no "
                                      "scribbles", others, "Name another folder."))


def _is_scribble(path: Path) -> bool:
    try:
        decode_scribble(path)
    except UserError:
        return False
    return True


def _write(pair: Pair, folder: Path, pen: Pen, seed: int) -> float:
    """Write one scribble; returns the share of the mask that is foreground."""
    mask = mask_of(pair).values
    save_map(folder / f"{pair.name}.png", draw_scribble(mask, generator(seed, pair.name), pen))
    return float((mask > 127).mean())


def overview(pairs: Sequence[Pair], folder: Path) -> np.ndarray:
    """Rows of image, mask, image under its scribble: uint8 RGB of samples spread over the set."""
    chosen = np.unique(np.linspace(0, len(pairs) - 1, SHOWN).round().astype(int))
    pitch = TILE + GAP
    sheet = Image.new("RGB", (3 * pitch + GAP, len(chosen) * pitch + GAP), "grey")
    for row, pair in enumerate(pairs[index] for index in chosen):
        image = decode_image(pair.image)
        mask = Image.fromarray(mask_of(pair).values)
        drawn, scribble = np.array(image), decode_scribble(folder / f"{pair.name}.png")
        for value, colour in COLOURS.items():
            drawn[scribble == value] = colour
        for column, tile in enumerate((image, mask, Image.fromarray(drawn))):
            tile.thumbnail((TILE, TILE))
            sheet.paste(tile, (GAP + column * pitch + (TILE - tile.width) // 2,
                               GAP + row * pitch + (TILE - tile.height) // 2))
    return np.asarray(sheet)
