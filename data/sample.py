"""The built-in sample: a procedural data set, so that the demo and the tests need no download.

Each image shows one composed object (two or three shapes) of one texture on a duller background
of another, somewhere in the image, among thin lines and specks of any colour that are not part
of it. It is made for learning in minutes, not for comparing methods.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageDraw

from utils.errors import UserError, list_problems
from utils.files import written_whole
from utils.images import UnreadableError
from utils.maps import read_map, save_map

from .catalog import known_sets
from .decode import upright_size
from .listing import others_in
from .map_sizes import with_map_sizes
from .pairing import Pair

SETS = ("SAMPLE-TR", "SAMPLE-TE")
SIDES = (112, 160)  # heights and widths are drawn between these
AREA = (0.06, 0.35)  # share of the image that the object covers


def write_sample(root: Path, seed: int = 0) -> None:
    """Write SAMPLE-TR and SAMPLE-TE under ``root``, as ``images/*.jpg`` and ``masks/*.png``.

    The same seed gives the same pixels; the two sets are drawn from separate streams.

    Raises:
        UserError: one of their folders holds other files; nothing is written.
    """
    for name in SETS:
        numbers = range(known_sets()[name].pairs)
        own = {root / name / path for n in numbers
               for path in (f"images/{n:04d}.jpg", f"masks/{n:04d}.png")}
        if strange := list(map(str, others_in(root / name, own))):
            raise UserError(list_problems(f"{root / name} holds files that are not of the sample",
                                          strange, "Move them, or name another folder."))
    for stream, name in enumerate(SETS):
        random = np.random.default_rng((seed, stream))
        for number in range(known_sets()[name].pairs):
            image, mask = draw_pair(random)
            with written_whole(root / name / f"images/{number:04d}.jpg", "wb") as file:
                iio.imwrite(file, image, extension=".jpg", quality=95)
            save_map(root / name / f"masks/{number:04d}.png", mask)


def draw_pair(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One image (H, W, 3) and its mask (H, W), 0 or 255, both uint8."""
    height, width = (int(side) for side in random.integers(SIDES[0], SIDES[1] + 1, size=2))
    mask = draw_object(random, height, width)
    back, front = draw_colours(random)
    image = texture(random, height, width, back)
    draw_clutter(random, image)
    image = np.where(mask[..., None] > 0, texture(random, height, width, front), image)
    noise = random.normal(0, 6, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), mask


def draw_object(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A mask of two or three shapes, each touching the first, of an area within ``AREA``."""
    while True:
        canvas = Image.new("L", (width, height), 0)
        pen = ImageDraw.Draw(canvas)
        radius = math.sqrt(random.uniform(*AREA) * height * width / math.pi)
        x, y = random.uniform(0.15, 0.85) * width, random.uniform(0.15, 0.85) * height
        for part in range(random.integers(2, 4)):
            outline = blob(random, x, y, radius if part == 0 else radius * random.uniform(.4, .7))
            pen.polygon(outline, fill=255)
            turn = random.uniform(0, 2 * math.pi)
            x, y = x + radius * math.cos(turn), y + radius * math.sin(turn)
        mask = np.array(canvas)
        if AREA[0] <= (mask > 0).mean() <= AREA[1]:
            return mask


def blob(random: np.random.Generator, x: float, y: float, radius: float) -> list[tuple]:
    """Corners of an ellipse, a polygon or a star around (x, y)."""
    kind = random.integers(3)
    corners = (48, int(random.integers(3, 7)), 10)[kind]
    angles = np.arange(corners) * 2 * math.pi / corners + random.uniform(0, 2 * math.pi)
    radii = np.full(corners, radius)
    if kind == 2:
        radii[::2] *= 0.5
    stretch, turn = random.uniform(0.6, 1.0), random.uniform(0, math.pi)
    along, across = radii * np.cos(angles), radii * np.sin(angles) * stretch
    return list(zip(x + along * math.cos(turn) - across * math.sin(turn),
                    y + along * math.sin(turn) + across * math.cos(turn), strict=True))


def draw_colours(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """RGB colours of background and object: any hues, the object's the more saturated one."""
    def colour(saturation: float) -> np.ndarray:
        hue, value = random.uniform(0, 1), random.uniform(0.45, 0.95)
        return np.array(colorsys.hsv_to_rgb(hue, saturation, value)) * 255
    background = random.uniform(0.0, 0.45)
    return colour(background), colour(random.uniform(max(0.4, background + 0.2), 1.0))


def texture(random: np.random.Generator, height: int, width: int,
            colour: np.ndarray) -> np.ndarray:
    """(H, W, 3) float: stripes, patches or clouds between two colours near ``colour``."""
    rows, columns = np.mgrid[:height, :width]
    kind = random.integers(3)
    if kind == 2:
        cells = int(random.integers(3, 9))
        coarse = Image.fromarray(random.uniform(0, 1, (cells, cells)).astype(np.float32))
        field = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    else:
        turn, period = random.uniform(0, math.pi), random.uniform(6, 24)
        wave = np.sin(2 * math.pi * (columns * math.cos(turn) + rows * math.sin(turn)) / period)
        if kind == 1:
            wave = np.sign(wave * np.sin(2 * math.pi * (rows * math.cos(turn)
                                                        - columns * math.sin(turn)) / period))
        field = wave / 2 + 0.5
    spread = random.uniform(-40, 40, 3)
    return colour + (field[..., None] - 0.5) * spread


def draw_clutter(random: np.random.Generator, image: np.ndarray) -> None:
    """Thin lines and specks of any colour, painted into ``image``."""
    height, width = image.shape[:2]
    canvas = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(canvas)
    for _ in range(random.integers(3, 8)):
        x, y = random.uniform(0, width), random.uniform(0, height)
        colour = tuple(int(c) for c in random.uniform(0, 255, 3))
        if random.random() < 0.5:
            reach = random.uniform(-40, 40, 2)
            pen.line([(x, y), (x + reach[0], y + reach[1])], fill=colour, width=2)
        else:
            size = random.uniform(2, 5)
            pen.ellipse([x - size, y - size, x + size, y + size], fill=colour)
    image[:] = np.asarray(canvas)


def centre_prior(height: int, width: int) -> np.ndarray:
    """(H, W) uint8: a Gaussian of a quarter of the sides, a baseline that sees no image."""
    rows = (np.arange(height) + 0.5) / height - 0.5
    columns = (np.arange(width) + 0.5) / width - 0.5
    gaussian = np.exp(-(rows[:, None] ** 2 + columns[None, :] ** 2) / (2 * 0.25**2))
    return np.round(255 * gaussian).astype(np.uint8)


def write_centre_prior(pairs: Sequence[Pair], folder: Path) -> None:
    """Write the centre prior as the map of every pair's image.

    Raises:
        UserError: the folder holds images or masks of the set, or files that this function does
            not write.
    """
    _require_own(folder, pairs)
    for pair in with_map_sizes(pairs, "centre prior"):
        save_map(folder / f"{pair.name}.png",
                 centre_prior(*pair.size or upright_size(pair.image)[::-1]))


def _require_own(folder: Path, pairs: Sequence[Pair]) -> None:
    sources = {parent for pair in pairs for path in pair.files for parent in path.resolve().parents}
    if folder.resolve() in sources:
        raise UserError(f"{folder} holds images or masks of the set; name a folder elsewhere")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder for the maps")
    own = {path for pair in pairs if _is_centre_prior(path := folder / f"{pair.name}.png")}
    if strange := list(map(str, others_in(folder, own))):
        raise UserError(list_problems(f"{folder} holds files that are not the centre prior of this "
                                      "set", strange, "Name a new or an empty folder."))


def _is_centre_prior(path: Path) -> bool:
    try:
        saliency = read_map(path)
    except UnreadableError:
        return False
    return np.array_equal(saliency, centre_prior(*saliency.shape))
