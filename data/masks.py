"""Mask files → 0 background to 255 foreground, as the coding of their set says.

The coding is decided once for all masks of a set (``coding``), never for one file. A file that does
not keep to it is an error that names the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.images import UnreadableError

from .decode import upright
from .mask_files import Content, levels_of, read_content

if TYPE_CHECKING:
    from .pairing import Pair

MANY = 16  # a file with more levels than these, and than twice those of the others, has no labels
COLOURS = 64  # the same of coloured labels
FAINT = 16  # of 255: a mask of greys that is darker all over is a fault, and not faint


class CodingError(UnreadableError):
    """A mask file that does not keep to the coding of its set."""


@dataclass(frozen=True)
class MaskCoding:
    """What the numbers in the mask files of a set mean; docs/datasets.md has the table.

    Attributes:
        kind: ``binary`` (black to white, greys are kept), ``levels`` (0 is background, all other
            grey values or colours are object), ``palette`` (the same of indices), ``alpha`` (opaque
            is object), or ``trimap``.
        threshold: what is above it is object: of 0 to 255 where the kind is ``binary`` or
            ``alpha``, of the file's own numbers where it is ``levels``; None for the kind's own.
        void_value: the number, or index, of pixels that are neither; None where there are none.
        void: what becomes of them: ``error``, ``background``, ``foreground`` or ``ignore``.
        trimap: the numbers of foreground, background and unknown, which is void.
        white: the number that is white in files of more than 8 bits.
        of_colours: masks are coloured labels.
        blended: brightness is multiplied by alpha.
        grey: many masks of the set have true greys, so that some may be faint.
        given: the user has named the kind; what the file holds then does not speak against it.
        seen: the numbers that the decision was made of, ascending; () for any.
        note: what else the sample showed, half a sentence.
    """

    kind: str = "binary"
    threshold: int | None = None
    void_value: int | None = None
    void: str = "error"
    trimap: tuple[int, ...] = ()
    white: float = 65535
    of_colours: bool = False
    blended: bool = False
    grey: bool = field(default=False, repr=False, compare=False)
    given: bool = field(default=False, repr=False, compare=False)
    seen: tuple[int, ...] = field(default=(), repr=False, compare=False)
    note: str = field(default="", repr=False, compare=False)

    @property
    def ordinary(self) -> bool:
        """Whether it is black to white, of which there is nothing to tell."""
        return self == MaskCoding(white=self.white)

    @property
    def key(self) -> str:
        """Tells apart codings under which a file gives other masks; empty for the ordinary one."""
        return "" if self == MaskCoding() else repr(self)

    @property
    def void_name(self) -> str:
        """What void pixels have in the files: a number, an index or a colour."""
        return "224 224 192" if self.of_colours else str(self.void_value)

    def __str__(self) -> str:
        above = "one half" if self.threshold is None else str(self.threshold)
        others = "others" if self.threshold is None else f"above {self.threshold}"
        text = {"binary": f"binary, above {above} = object",
                "levels": f"levels, 0 = background, {others} = object",
                "palette": "palette, 0 = background, others = object",
                "alpha": f"alpha, opaque above {above} = object",
                "trimap": "trimap, {} = object, {} = background".format(*self.trimap[:2] or "??"),
                }[self.kind]
        if self.grey and self.kind == "binary" and self.threshold is None:
            text = "grey values are kept, above one half = object"
            if len(self.seen) == 3:
                text += f" ({self.seen[1]} may be unknown: data.mask_coding=trimap)"
        if self.of_colours:
            text = text.replace("levels, 0", "colours, black").replace(
                "binary,", "binary, strongest channel of the colours")
        if self.blended:
            text = text.replace("binary,", "binary, brightness times alpha")
        if self.void_value is None:
            return text
        done = {"ignore": ", left out", "background": ", taken as background",
                "foreground": ", taken as object"}.get(self.void, "")
        return f"{text}, {self.void_name} = void{done}"


@dataclass(frozen=True)
class Mask:
    """A mask that was read.

    Attributes:
        values: uint8 (H, W), 0 background to 255 foreground, upright.
        void: bool (H, W), pixels that are to be left out, which are 0 in ``values``; None where
            there are none.
        remark: a sentence where the file is not black and yet has no foreground; else empty.
    """

    values: np.ndarray
    void: np.ndarray | None = None
    remark: str = ""

    def known(self, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A map (H, W) and its truth, both (1, N) of the N pixels that are not void where some
        are."""
        if self.void is None:
            return prediction, self.values
        return prediction[~self.void][None], self.values[~self.void][None]


def mask_of(pair: Pair, part: str = "mask") -> Mask:
    """The mask of a pair, or another of its files that is one; see ``read_mask``."""
    return read_mask(getattr(pair, part), pair.image, pair.codings.get(part))


def decode_mask(path: Path, image: Path | None = None,
                coding: MaskCoding | None = None) -> np.ndarray:
    """The ``values`` of ``read_mask``."""
    return read_mask(path, image, coding).values


def read_mask(path: Path, image: Path | None = None, coding: MaskCoding | None = None) -> Mask:
    """A mask file under the coding of its set, by default the ordinary one: black to white.

    Args:
        image: the image the mask belongs to. Tools that draw masks often drop the EXIF
            orientation, so a mask without one of its own follows its image, unless its shape
            says that it is upright already.

    Raises:
        UnreadableError: the file does not decode.
        CodingError: it does not keep to the coding, or has void pixels of which it is not decided
            what they are.
    """
    coding, content = coding or MaskCoding(), read_content(path)
    values, void = _READERS[coding.kind](path, content, coding)
    if not coding.given and (fault := fault_of(content, coding, values)):
        raise CodingError(
            f"{path}: {fault}, unlike the masks of its set, which are read as {coding}. Mend the "
            f"file, or name the coding with data.mask_coding (docs/datasets.md)")
    remark = _remark(path, content, coding, values)
    if void is not None and void.any():
        if coding.void == "error":
            raise CodingError(f"{path}: {void.sum()} pixels are void ({coding.void_name}); "
                              f"{VOID_ADVICE}")
        values[void] = 255 if coding.void == "foreground" else 0
    void = upright(void.astype(np.uint8), content.file, image) > 0 \
        if void is not None and coding.void == "ignore" else None
    return Mask(upright(values, content.file, image), void, remark)


def has_void(path: Path, coding: MaskCoding) -> bool:
    """Whether a file has void pixels, whatever is done with them. Errors as of ``read_mask``."""
    _, void = _READERS[coding.kind](path, read_content(path), coding)
    return void is not None and bool(void.any())


#: How a user decides on void pixels.
VOID_ADVICE = ("decide what they are: data.mask_void=background, data.mask_void=foreground, or "
               "data.mask_void=ignore, which leaves them out of losses and scores")


def _read_binary(path: Path, content: Content,
                 coding: MaskCoding) -> tuple[np.ndarray, np.ndarray | None]:
    return _cut(content.brightness(coding.white), coding.threshold), None


def _read_codes(path: Path, content: Content,
                coding: MaskCoding) -> tuple[np.ndarray, np.ndarray | None]:
    if coding.kind == "palette" and content.indices is not None:
        codes = content.indices
    elif coding.kind == "palette" and content.form == "colour":
        raise CodingError(f"{path}: has colours and no palette, so it cannot be read by index")
    else:
        codes = content.codes(coding.of_colours)
    void = None if coding.void_value is None else codes == coding.void_value
    return _cut(codes, coding.threshold or 0), void


def _read_alpha(path: Path, content: Content,
                coding: MaskCoding) -> tuple[np.ndarray, np.ndarray | None]:
    if content.alpha is None:
        raise CodingError(f"{path}: has no alpha channel, which is the mask in its set")
    return _cut(content.alpha, coding.threshold), None


def _read_trimap(path: Path, content: Content,
                 coding: MaskCoding) -> tuple[np.ndarray, np.ndarray | None]:
    numbers = content.numbers
    if set(levels_of(numbers)[0].tolist()) - set(coding.trimap):
        raise CodingError(f"{path}: is no trimap of foreground {coding.trimap[0]}, background "
                          f"{coding.trimap[1]} and unknown {coding.trimap[2]}; it holds "
                          f"{holds(numbers)}: see data.mask_trimap")
    foreground, _, unknown = coding.trimap
    return np.where(numbers == foreground, 255, 0).astype(np.uint8), numbers == unknown


_READERS = {"binary": _read_binary, "levels": _read_codes, "palette": _read_codes,
            "alpha": _read_alpha, "trimap": _read_trimap}


def _cut(values: np.ndarray, threshold: int | None) -> np.ndarray:
    """A copy that may be written to; 255 above the threshold and 0 elsewhere if there is one."""
    if threshold is None:
        return np.array(values)
    return np.where(values > threshold, 255, 0).astype(np.uint8)


def holds(numbers: np.ndarray) -> str:
    """The values of an array in words, at most eight of them."""
    levels = levels_of(numbers)[0]
    text = ", ".join(f"{level:g}" for level in levels[:8])
    return text if len(levels) <= 8 else f"{text}, … {levels[-1]:g} ({len(levels)} levels)"


def fault_of(content: Content, coding: MaskCoding, values: np.ndarray) -> str:
    """Why a file does not keep to a coding that was decided for its set; empty if it does.

    Another form than the set's is no fault where it gives the same mask.

    Args:
        values: the mask that the coding makes of it, uint8 (H, W).
    """
    inside, numbers = values > 128, content.numbers
    alpha = None if coding.blended or coding.kind == "alpha" else content.varied_alpha
    if alpha is not None and differ(alpha > 128, inside):
        return "has an alpha channel"
    if coding.kind == "alpha":
        return "is opaque everywhere" if content.alpha.min() == 255 else ""
    if content.form == "indexed" and coding.kind != "palette":
        other = (numbers > 0) != inside
        return f"has a palette and the indices {holds(numbers)}" \
            if other.any() or (numbers == 255).any() else ""
    if coding.kind == "palette":
        if content.form != "indexed" and (numbers.any() if content.indices is None else
                                          ((numbers > 128) != inside).any()):
            return f"has no palette of colours and holds {holds(numbers)}"
        return ""
    if content.form == "deep" and numbers.max(initial=0) > coding.white:
        return f"holds values up to {numbers.max():g}"
    return (_fault_of_levels if coding.kind == "levels" else _fault_of_grey)(content, coding)


def differ(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two bool maps are different masks, by more than what smooth outlines come to."""
    return bool((a != b).sum() > max(a.sum(), b.sum()) / 20)


def _fault_of_levels(content: Content, coding: MaskCoding) -> str:
    if content.form == "colour" or coding.of_colours:
        distinct = 0 if content.colours is None else len(colours_of(content.colours))
        return f"has {distinct} colours" if distinct > COLOURS else ""
    levels, seen = levels_of(content.numbers)[0], coding.seen
    if seen and seen[-1] < 255 and 255 in levels:
        return f"holds {holds(content.numbers)}, of which 255 may be void"
    if len(levels) > max(MANY, 2 * len(seen)):
        return f"holds {holds(content.numbers)}"
    return ""


def _fault_of_grey(content: Content, coding: MaskCoding) -> str:
    """A label image among masks that are black to white: 0 and one other level, which is dark."""
    values = content.brightness(coding.white)
    top = int(values.max(initial=0))
    if 0 < top <= 128 and (top < FAINT or not coding.grey) \
            and len(levels_of(content.numbers)[0]) <= 2:
        return f"holds {holds(content.numbers)}"
    return ""


def colours_of(colours: np.ndarray) -> np.ndarray:
    """The distinct colours of (…, 3) uint8, each as one number."""
    red, green, blue = (colours[..., channel].astype(np.int32) for channel in range(3))
    return np.unique((red << 16) | (green << 8) | blue)


def _remark(path: Path, content: Content, coding: MaskCoding, values: np.ndarray) -> str:
    if values.max(initial=0) > 128 or coding.kind == "trimap":
        return ""
    numbers = content.alpha if coding.kind == "alpha" else content.numbers
    top = int(content.brightness(coding.white).max(initial=0))
    if not numbers.any():
        return ""
    if coding.grey and coding.kind == "binary" and top >= FAINT:
        return ""
    return f"no foreground in {path}, which holds {holds(numbers)}; masks are read as {coding}"
