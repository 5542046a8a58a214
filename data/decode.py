"""Image files → RGB, masks and scribbles, however they were saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from utils.errors import UserError
from utils.maps import UnreadableError, open_image

#: Our values of the S-DUTS codes: 0 unknown → 255 (ignored), 1 foreground → 1, 2 background → 0.
SCRIBBLE_CODES = (255, 1, 0)

_ORIENTATION = ExifTags.Base.Orientation


def stored_shape(path: Path) -> tuple[tuple[int, int], int]:
    """Width and height as stored and EXIF orientation, from the file's header alone.

    Raises:
        UnreadableError: not an image.
    """
    try:
        with Image.open(path) as image:
            return image.size, orientation(image)
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error, …
        raise UnreadableError.of(path, error) from None


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 (upright) to 8; 1 where it is missing or out of range."""
    value = image.getexif().get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def decode_image(path: Path) -> Image.Image:
    """RGB, 8 bit, upright: grey, palette, alpha, CMYK, 16-bit and EXIF-rotated files included.

    Transparent pixels keep the colour that the file stores for them.
    """
    image = ImageOps.exif_transpose(open_image(path))
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = Image.fromarray(_grey16_to_8(np.asarray(image), path))
    return image if image.mode == "RGB" else image.convert("RGB")


def decode_mask(path: Path, image: Path | None = None) -> np.ndarray:
    """Mask as uint8 (H, W), 0 background to 255 foreground, grey values kept; upright.

    Files with 0/1 are stretched to 0/255. Of colours the strongest channel counts; a colour,
    palette or 16-bit file with 0 and one other level is a label image, and that level becomes
    255. An alpha channel that varies multiplies the colour, or is the mask itself where the
    colour does not vary.

    Args:
        image: the image the mask belongs to. Tools that draw masks often drop the EXIF
            orientation, so a mask without one of its own follows its image, unless its shape
            says that it is upright already.
    """
    file = open_image(path)
    return _upright(_mask_values(file, path), file, image)


def _upright(values: np.ndarray, file: Image.Image, image: Path | None) -> np.ndarray:
    """The values of a mask, turned by its file's own orientation, else by its image's."""
    turn = orientation(file)
    if turn == 1 and image is not None:
        size, turn = stored_shape(image)
        if turn >= 5 and file.size == size[::-1] != size:
            turn = 1  # the image is stored lying, the mask stands: drawn on the upright image
    picture = Image.fromarray(values)
    picture.getexif()[_ORIENTATION] = turn
    return np.array(ImageOps.exif_transpose(picture))


def _mask_values(file: Image.Image, path: Path) -> np.ndarray:
    """Pixels of an opened mask file as uint8 0–255, not yet turned upright."""
    if file.mode in ("I", "F") or file.mode.startswith("I;"):
        return _stretch_two_levels(_grey16_to_8(np.asarray(file), path))
    if file.mode in ("1", "L"):
        return _stretch_01(np.array(file.convert("L")))
    has_alpha = file.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in file.info
    pixels = np.asarray(file.convert("RGBA" if has_alpha else "RGB"))
    values = pixels[..., :3].max(axis=2)
    if has_alpha:
        alpha = pixels[..., 3]
        if alpha.min() != alpha.max():
            constant = values.min() == values.max()
            values = alpha if constant else values.astype(np.uint16) * alpha // 255
    return _stretch_two_levels(values.astype(np.uint8))


def _stretch_two_levels(values: np.ndarray) -> np.ndarray:
    """0 and one other level to 0 and 255: a label image, whatever its colour or bit depth."""
    levels = np.unique(values)
    if len(levels) == 2 and levels[0] == 0:
        return np.where(values > 0, 255, 0).astype(np.uint8)
    return _stretch_01(values)


def _stretch_01(values: np.ndarray) -> np.ndarray:
    return values * np.uint8(255) if values.max(initial=0) == 1 else values


def _grey16_to_8(values: np.ndarray, path: Path) -> np.ndarray:
    """16-bit grey (0–65535) or float (0–1) to 8 bit. Pillow's own conversion would clip at 255.

    Files that use a wide type for 8-bit values (none above 255) keep them.
    """
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low < 0 or high > 65535 or not np.isfinite(high):
        raise UnreadableError(f"{path}: grey values from {low:g} to {high:g}; expected 8 or 16 bit")
    scale = 1.0 if high <= 255 else 1 / 257
    if values.dtype.kind == "f" and high <= 1:
        scale = 255.0
    return np.round(values * scale).astype(np.uint8)


def decode_strokes(foreground: Path, labelled: Path, image: Path | None = None) -> np.ndarray:
    """Scribbles from WSSA's two files, of foreground strokes and of all strokes; the same coding.

    Raises:
        UserError: files that do not decode, of different sizes, or foreground that is not labelled.
    """
    inside, known = (decode_mask(path, image) > 127 for path in (foreground, labelled))
    if inside.shape != known.shape:
        raise UserError(f"sizes differ: {foreground} and {labelled}")
    if (inside & ~known).any():
        raise UserError(f"{foreground}: foreground strokes that {labelled} does not label; these "
                        "should be WSSA's gt and mask folders")
    return np.where(known, inside, SCRIBBLE_CODES[0]).astype(np.uint8)


def decode_scribble(path: Path, image: Path | None = None) -> np.ndarray:
    """Scribbles as uint8 (H, W): 1 foreground, 0 background, 255 unknown; upright.

    The file holds the S-DUTS codes 0 unknown, 1 foreground, 2 background, as grey values,
    palette indices or three equal channels. One without an orientation of its own follows
    ``image``, as a mask does.

    Raises:
        UserError: a value outside the table, named with the file. Left in, it would reach the
            loss as a class that does not exist, which CUDA reports as a device-side assertion.
    """
    file = open_image(path)
    codes = np.asarray(file)
    if codes.dtype.kind not in "uib":
        raise UserError(f"{path}: scribble codes are integers, this file holds {codes.dtype}")
    if codes.ndim == 3:
        colours = codes[..., :codes.shape[2] - (codes.shape[2] in (2, 4))]  # without alpha
        if (colours != colours[..., :1]).any():
            raise UserError(f"{path}: a scribble map has one channel, this file has colours")
        codes = colours[..., 0]
    strange = np.setdiff1d(codes, [0, 1, 2])
    if strange.size:
        values = ", ".join(str(v) for v in strange[:5])
        raise UserError(f"{path}: scribble value {values}; the table is 0 unknown, 1 foreground, "
                        "2 background")
    return _upright(np.array(SCRIBBLE_CODES, np.uint8)[codes.astype(np.int64)], file, image)
