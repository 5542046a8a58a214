"""Pairs of colour and depth: two folders are paired by name, and the depth maps are judged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data.decode import decode_image, upright
from data.listing import list_images
from data.pairing import PLAIN, Names, distinct, fit
from metrics.depth_quality import depth_quality
from utils.errors import UserError, list_problems, note_once
from utils.images import UnreadableError, open_image
from utils.machine import cores

from .layout import require_folder

Files = dict[str, tuple[Path, Path]]  # the name of a pair → its image and its depth map


def judge_folders(color: Path, depth: Path, names: Names = PLAIN,
                  invalid: float | None = 0) -> list[dict]:
    """A row for each pair, the worst first: its name and the fields of ``DepthQuality``.

    Args:
        color: folder of images.
        depth: folder of their depth maps, of the images' names.
        names: how both are read; the affix is that of the depth maps.
        invalid: see ``depth_quality``.

    Raises:
        UserError: no folder, files that do not pair up, and pairs that cannot be judged, listed.
    """
    pairs = pair_files(color, depth, names)

    def row(name: str) -> dict | str:
        try:
            image, values = read_pair(*pairs[name])
            return {"name": name} | asdict(depth_quality(image, values, invalid))
        except UserError as error:
            return str(error)
        except ValueError as error:
            return f"{pairs[name][1]}: {error}"

    with ThreadPoolExecutor(cores()) as pool:
        rows = list(tqdm(pool.map(row, pairs), total=len(pairs), desc="depth", leave=False,
                         disable=None))
    if problems := [problem for problem in rows if isinstance(problem, str)]:
        raise UserError(list_problems(f"{depth}: depth maps that cannot be judged", problems,
                                      "Put them right, or move them and their images away."))
    return sorted(rows, key=lambda numbers: (-numbers["score"], numbers["name"]))


def pair_files(color: Path, depth: Path, names: Names = PLAIN) -> Files:
    """The files of two folders by name; what is left out of the folders is printed.

    Raises:
        UserError: a folder is missing, or an image or a depth map has no partner, listed.
    """
    require_folder(color, "--color")
    require_folder(depth, "--depth")
    images, maps = (list_images(folder, names.recursive) for folder in (color, depth))
    fitted = fit(map(images.name, images), maps, "images", "depth maps", names.affix)
    note_once(images.note, maps.note, *fitted.notes)
    maps, problems = fitted.listing, list(fitted.problems)
    of_images, more = distinct(((fitted.key(images.name(path)), images.name(path), path)
                                for path in images), "images")
    of_maps, others = distinct(((maps.key(path), maps.name(path), path) for path in maps),
                               "depth maps")
    problems += more + others
    problems += [f"no depth map for {path}" for key, path in of_images.items()
                 if key not in of_maps and key not in fitted.explained]
    problems += [f"no image for {path}" for key, path in of_maps.items()
                 if key not in of_images and key not in fitted.explained]
    if problems:
        raise UserError(list_problems(f"{color} and {depth} do not pair up", problems,
                                      "An image and its depth map have the same name; --prefix and "
                                      "--suffix give what the depth maps' names have beyond it."))
    if not of_images:
        raise UserError(f"no pairs: neither {color} nor {depth} holds a picture; name the folders "
                        "that the files lie in, or add --recursive")
    return {images.name(path): (path, of_maps[key]) for key, path in sorted(of_images.items())}


def read_pair(color: Path, depth: Path) -> tuple[np.ndarray, np.ndarray]:
    """An image, uint8 (H, W, 3) RGB, and its depth map, (H, W) of the numbers that its file holds.

    A depth map without an orientation of its own follows its image's, as masks do.

    Raises:
        UnreadableError: a file does not decode; the depth map has colours or transparent pixels.
        UserError: sizes differ.
    """
    image = np.asarray(decode_image(color))
    values = read_depth(depth, color)
    if image.shape[:2] != values.shape:
        sizes = [f"{array.shape[1]}×{array.shape[0]}" for array in (image, values)]
        raise UserError(f"sizes differ: {color} is {sizes[0]}, {depth} is {sizes[1]}; resize one "
                        "of them, the depth map without interpolation")
    return image, values


def read_depth(path: Path, color: Path | None = None) -> np.ndarray:
    """The depth map of a file, (H, W): uint8, uint16, int32 or float32, as the file has it.

    Args:
        color: the image that it belongs to, whose EXIF orientation it follows.

    Raises:
        UnreadableError: does not decode, or has colours or transparent pixels.
    """
    file = open_image(path)
    if file.mode in ("L", "I", "F") or file.mode.startswith("I;16"):
        values = np.asarray(file)
    else:
        pixels = np.asarray(file.convert("RGBA"))
        if (pixels[..., :3] != pixels[..., :1]).any() or (pixels[..., 3] != 255).any():
            raise UnreadableError(f"{path}: has colours or transparent pixels; a depth map is "
                                  "grey, of 8 or 16 bits")
        values = pixels[..., 0]
    return upright(np.ascontiguousarray(values), file, color)
