"""Decides what the numbers in the masks of a set mean: once, of a sample of its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.images import UnreadableError
from utils.schema import DataConfig

from .doubts import doubt
from .mask_files import Content, is_lossy, levels_of, read_content
from .masks import VOID_ADVICE, MaskCoding, colours_of, has_void
from .pairing import Pair

SAMPLE = 32  # files that are looked at; each of the others is held against what they said
FEW = {"grey": 16, "deep": 64, "indexed": 64, "colour": 64}  # levels of a file that holds labels
SMALL = 16  # the least number of a set of labels is smaller, if some are above one half
GREYS = 24  # distinct values of masks that are drawn in greys, such as PASCAL-S with 13, at most
LABEL = 64  # below 255, which may be void, class numbers are not larger

_SEE = "; docs/datasets.md has the table of codings"


@dataclass(frozen=True)
class Evidence:
    """What a file of the sample says of its set's coding.

    Attributes:
        form: see ``Content``.
        levels, counts: the distinct numbers, ascending, and how many pixels have each.
        real: whether the numbers are floating point.
        colours: the distinct colours as numbers, of the forms ``colour`` and ``indexed``.
        alpha: what an alpha channel that varies says: ``mask``, ``factor`` (colours are a mask in
            black and white, of which some is hidden), ``unclear``; empty without.
        lossy: the file is of JPEG or the like, whose numbers are not quite those that were drawn,
            so that they are no labels.
        rim: the median of the numbers along the border; of alpha, where that is the mask.
    """

    path: Path
    form: str
    levels: np.ndarray
    counts: np.ndarray
    real: bool = False
    colours: np.ndarray | None = None
    alpha: str = ""
    lossy: bool = False
    rim: float = 0

    @cached_property
    def black(self) -> bool:
        return bool((self.levels == 0).all()) and self.alpha != "mask"

    def values(self, white: float) -> np.ndarray:
        """The levels on the scale of 0 to 255."""
        return self.levels * (255 / white if self.form == "deep" else 1)

    def greys(self, white: float) -> bool:
        """Whether areas, and not just outlines, are dark and not nearly black."""
        values = self.values(white)
        between = self.counts[(values >= 32) & (values <= 128)] / self.counts.sum()
        return bool(between.max(initial=0) >= 0.05 or between.sum() >= 0.25)

    def straddles(self, white: float) -> bool:
        """Whether it is ``lossy`` and its brightest areas lie around one half, as of 128."""
        values = self.values(white)
        below, above = (self.counts[chosen].sum() for chosen in
                        ((values > 112) & (values <= 128), (values > 128) & (values <= 144)))
        return bool(self.lossy and below + above > self.counts[values > 144].sum()
                    and 10 * below > below + above)

    def darks(self, white: float) -> bool:
        """Whether a level that is not 0 and at most one half has more than a few pixels."""
        dark = (self.levels > 0) & (self.values(white) <= 128)
        return bool(self.counts[dark].max(initial=0) >= self.counts.sum() / 50)


def look_at(path: Path) -> Evidence:
    """Decode a mask file and sum it up.

    Raises:
        UnreadableError: it does not decode.
    """
    content = read_content(path)
    levels, counts = levels_of(content.numbers)
    coloured, alpha = content.form in ("colour", "indexed"), _of_alpha(content)
    seen = content.alpha if alpha == "mask" else content.numbers
    rim = np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1]])
    return Evidence(path, content.form, levels, counts, content.numbers.dtype.kind == "f",
                    colours_of(content.colours) if coloured else None, alpha,
                    is_lossy(path, content.file), float(np.median(rim)))


def _of_alpha(content: Content) -> str:
    alpha = content.varied_alpha
    if alpha is None:
        return ""
    visible, pixels = alpha > 127, content.numbers if content.colours is None else content.colours
    if not visible.any():
        return "unclear"
    if (pixels == pixels[:1, :1]).all() or (pixels[visible] == pixels[visible][:1]).all():
        return "mask"  # only alpha tells anything
    values = content.numbers[visible]
    bright, between = (values > 128).mean(), ((values >= 32) & (values < 224)).mean()
    if content.form == "grey" and between < 0.05 and 0.01 < bright < 0.99:
        return "factor"
    return "mask" if ((alpha >= 16) & (alpha < 240)).mean() < 0.25 else "unclear"


def with_coding(pairs: Sequence[Pair], options: DataConfig | None = None, title: str = "",
                part: str = "mask") -> list[Pair]:
    """Pairs of a set with the coding of its masks, which is printed if it is not the ordinary one.

    Args:
        options: what the user has decided, the keys ``data.mask_…``.
        title: the set's name, for messages.
        part: the files that are meant: ``mask``, or others that are decoded as masks are. Those
            may be soft, so what is not certainly a label image is read by brightness.

    Raises:
        UserError: the sample does not tell which coding it is; the message says how to.
    """
    files = [path for pair in pairs if (path := getattr(pair, part)) is not None]
    if not files:
        return list(pairs)
    if part == "mask":
        coding = decide(files, options, title)
        if not coding.ordinary or coding.grey or coding.note:
            note = f"; {coding.note}" if coding.note else ""
            print(f"masks: {coding}{note}" + (f" ({title})" if title else ""))
    else:
        try:
            coding = replace(decide(files), given=True)
        except UserError:
            coding = MaskCoding(given=True)
    return [replace(pair, codings={**pair.codings, part: coding}) for pair in pairs]


def decide(files: Sequence[Path], options: DataConfig | None = None,
           title: str = "") -> MaskCoding:
    """The coding of mask files, of ``SAMPLE`` of them that are spread evenly over the set.

    Raises:
        UserError: see ``with_coding``.
    """
    options = options or DataConfig()
    if options.mask_threshold is not None and options.mask_coding in ("auto", "palette", "trimap"):
        raise UserError(f"data.mask_threshold={options.mask_threshold} is for data.mask_coding="
                        f"binary, levels or alpha, not for {options.mask_coding}")
    where = f"masks of {title}" if title else f"masks in {files[0].parent}"
    chosen = np.unique(np.linspace(0, len(files) - 1, min(SAMPLE, len(files))).round().astype(int))
    sample = []
    for path in (files[i] for i in chosen):
        try:
            sample.append(look_at(path))
        except UnreadableError:
            continue  # it is named when all files are read
    if not sample:
        return MaskCoding(given=options.mask_coding != "auto")
    speaking = [each for each in sample if not each.black]
    if not speaking:
        coding = MaskCoding() if options.mask_coding == "auto" else _given(sample, options)
        return replace(coding, note=f"all {len(sample)} that were looked at are black")
    if options.mask_coding == "auto":
        coding = _decided(speaking, options, where)
    else:
        coding = _given(speaking, options)
    if coding.void_value is not None and coding.void == "error":
        _refuse_void(sample, coding, where)
    return replace(coding, note="; ".join(filter(None, (coding.note, doubt(speaking, coding)))))


def _given(sample: Sequence[Evidence], options: DataConfig) -> MaskCoding:
    kind = options.mask_coding
    coding = MaskCoding(kind, options.mask_threshold, None, options.mask_void, given=True,
                        white=_white(sample), of_colours=kind == "levels" and _coloured(sample))
    if kind == "trimap":
        trimap = tuple(options.mask_trimap)
        if len(set(trimap)) < 3:
            raise UserError(f"data.mask_trimap={list(trimap)}: foreground, background and unknown "
                            "are three different numbers")
        return replace(coding, trimap=trimap, void_value=trimap[2])
    if kind in ("levels", "palette"):
        default = 255 if kind == "palette" or coding.of_colours else None
        value = options.mask_void_value
        return replace(coding, void_value=default if value is None else value)
    return coding


def _coloured(sample: Sequence[Evidence]) -> bool:
    return any(each.form == "colour" for each in sample)


def _white(sample: Sequence[Evidence]) -> float:
    """What is white in files of more than 8 bits: 1 in real numbers, 255, or 65535."""
    deep = [each for each in sample if each.form == "deep"]
    largest = max((float(each.levels[-1]) for each in deep), default=65535)
    if largest <= 1 and all(each.real for each in deep):
        return 1
    return 255 if largest <= 255 else 65535


def _decided(sample: Sequence[Evidence], options: DataConfig, where: str) -> MaskCoding:
    """The coding that the files themselves tell of, black ones aside."""
    void = {"void": options.mask_void}
    varied = Counter(each.alpha for each in sample if each.alpha)
    if varied and 2 * varied.total() >= len(sample):
        (what, _), *others = varied.most_common()
        if what == "unclear" or (others and others[0][1] == varied[what]):
            first = next(each.path for each in sample if each.alpha)
            raise UserError(
                f"{where}: {varied.total()} of {len(sample)} that were looked at have an alpha "
                f"channel that varies, but not as masks do, for example {first}. Decide with "
                "data.mask_coding=alpha (opaque is object) or data.mask_coding=binary (brightness "
                f"times alpha){_SEE}")
        return MaskCoding("alpha") if what == "mask" else MaskCoding(blended=True)
    form = Counter(each.form for each in sample).most_common(1)[0][0]
    mine = [each for each in sample if each.form == form]
    value = 255 if options.mask_void_value is None else options.mask_void_value
    if form == "indexed":
        _require_background(mine, where)
        return MaskCoding("palette", void_value=value, **void)
    if form == "colour":
        return _of_colours(mine, where, MaskCoding("levels", of_colours=True, void_value=value,
                                                   **void))
    return _of_numbers(mine, where, options)


def _require_background(sample: Sequence[Evidence], where: str) -> None:
    """Palettes of labels have the background at index 0, and it is what is black in them."""
    levels = np.unique(np.concatenate([each.levels for each in sample]))
    median = np.median([len(each.levels) for each in sample])
    hidden = [each for each in sample if 0 in each.colours and _colour_of_zero(each) != 0]
    if levels[0] == 0 and median <= FEW["indexed"] and not hidden:
        return
    why = "which do not hold index 0" if levels[0] != 0 else \
        "in which black is another index than 0" if hidden else \
        f"of which most hold more than {FEW['indexed']} indices"
    raise UserError(
        f"{where} have palettes of colours, {why}, for example {(hidden or sample)[0].path}. "
        "Decide with data.mask_coding=palette (index 0 is background, others are object), "
        f"data.mask_coding=binary (by brightness) or data.mask_coding=trimap{_SEE}")


def _colour_of_zero(evidence: Evidence) -> int:
    """The colour of index 0 as a number."""
    red, green, blue = read_content(evidence.path).file.getpalette("RGB")[:3]
    return red << 16 | green << 8 | blue


def _of_colours(sample: Sequence[Evidence], where: str, labels: MaskCoding) -> MaskCoding:
    """Labels where files have few colours, of which one is black; else by brightness."""
    black = np.mean([0 in each.colours for each in sample])
    if np.median([len(each.colours) for each in sample]) <= FEW["colour"] and not _lossy(sample):
        if black >= 0.5:
            return labels
        raise UserError(
            f"{where} are coloured labels without black, for example {sample[0].path}, so it is "
            "not known which colour is background. Paint it black, or decide with "
            f"data.mask_coding=binary (by brightness){_SEE}")
    _require_bright(sample, 255, where)
    return MaskCoding(of_colours=True)


def _of_numbers(sample: Sequence[Evidence], where: str, options: DataConfig) -> MaskCoding:
    """Black to white, or labels: by which grey values occur together."""
    white, deep = _white(sample), sample[0].form == "deep"
    levels = np.unique(np.concatenate([each.levels for each in sample]))
    tops = np.array([each.values(white)[-1] for each in sample])
    reached = (tops >= 250).mean()  # white, as in most masks that are black to white
    few = _few([len(each.levels) for each in sample], FEW[sample[0].form]) and not _lossy(sample)
    labels = MaskCoding("levels", void_value=options.mask_void_value, void=options.mask_void,
                        seen=tuple(levels.tolist()))
    if few and _void_or_white(sample, levels, options.mask_void_value):
        if options.mask_void_value is None:
            raise UserError(
                f"{where} hold {_listed(levels)}, for example {sample[0].path}: either "
                f"{_listed(levels[(levels > 0) & (levels < 255)])} is object and 255 void "
                "(data.mask_coding=levels data.mask_void_value=255), or 255 is object "
                f"(data.mask_coding=binary){_SEE}")
        return labels
    if few and deep and reached >= 0.5 and np.mean([each.darks(white) for each in sample]) >= 0.5:
        raise UserError(
            f"{where} have 16 bits and hold {_listed(levels)}, for example {sample[0].path}. "
            "Decide with data.mask_coding=levels (all but 0 is object; data.mask_void_value=V if V "
            f"is void) or data.mask_coding=binary (above one half is object){_SEE}")
    both = few and tops.max() > 128 and (levels[levels > 0] <= 128).any()
    if few and levels[0] == 0 and len(levels) > 1 and (
            (deep and reached < 0.25) or tops.max() <= 128
            or (both and reached == 0 and levels[1] < SMALL)):
        return labels
    if both and not deep and (reached == 0 or len(levels) > GREYS) \
            and np.mean([each.darks(white) for each in sample]) >= 0.5:
        raise UserError(
            f"{where} hold {_listed(levels)}, for example {sample[0].path}: numbers of classes or "
            "instances (data.mask_coding=levels: all but 0 is object), or greys (data.mask_coding="
            f"binary: above one half is object){_SEE}")
    if few and levels[0] > 0 and tops.max() <= 128:
        raise UserError(
            f"{where} hold {_listed(levels)} and no 0, for example {sample[0].path}, so it is not "
            "known which number is the object. A trimap of foreground 1, background 2 and unknown "
            "3 is data.mask_coding=trimap data.mask_trimap=[1,2,3] with data.mask_void; "
            "data.mask_coding=binary data.mask_threshold=T takes what is above T of 255 as object"
            f"{_SEE}")
    _require_bright(sample, white, where)
    return _with_greys(MaskCoding(white=white, seen=labels.seen if few else ()), sample)


def _lossy(sample: Sequence[Evidence]) -> bool:
    return 2 * sum(each.lossy for each in sample) >= len(sample)


def _few(numbers: Sequence[int], most: int) -> bool:
    """Whether files of so many levels hold labels: not more than ``most``, but for some files."""
    return bool(np.median(numbers) <= most and max(numbers) <= 4 * most)


def _with_greys(coding: MaskCoding, sample: Sequence[Evidence]) -> MaskCoding:
    """Whether masks that are black to white have grey areas too, so that some may be faint."""
    bright = [each for each in sample if each.values(coding.white)[-1] > 128]
    dark = len(sample) - len(bright)
    grey = np.mean([each.greys(coding.white) for each in bright]) >= 0.05
    note = f"{dark} of {len(sample)} that were looked at have none"
    return replace(coding, grey=bool(grey), seen=coding.seen if grey else (),
                   note=note if 4 * dark > len(sample) else "")


def _void_or_white(sample: Sequence[Evidence], levels: np.ndarray, value: int | None) -> bool:
    """Whether the files hold small numbers, which may be labels, beside ``value`` (255), which may
    be void: most that have the one have the others, and not just in a pixel here and there."""
    void = 255 if value is None else value
    small = levels[(levels > 0) & (levels != void)]
    if void not in levels or not len(small) or small[-1] > LABEL:
        return False
    both = [each for each in sample if void in each.levels]
    most = np.mean([len(each.levels) > 1 + (0 in each.levels) for each in both]) >= 0.5
    labelled, unknown = (sum(each.counts[chosen(each.levels)].sum() for each in both) for chosen in
                         (lambda levels: (levels > 0) & (levels != void),
                          lambda levels: levels == void))
    return bool(most and labelled >= unknown / 50)


def _require_bright(sample: Sequence[Evidence], white: float, where: str) -> None:
    """Refuse masks of many greys of which most have nothing above one half, or hardly anything."""
    dark = [each for each in sample if each.values(white)[-1] <= 128 or each.straddles(white)]
    if 2 * len(dark) < len(sample):
        return
    raise UserError(
        f"{where}: {len(dark)} of {len(sample)} have no value clearly above one half, for example "
        f"{dark[0].path}, which holds {_listed(dark[0].levels)}. Decide with data.mask_coding="
        "binary data.mask_threshold=T (what is above T of 255 is object) or "
        f"data.mask_coding=levels (all but 0 is object){_SEE}")


def _listed(levels: np.ndarray) -> str:
    text = [f"{level:g}" for level in levels]
    return ", ".join(text if len(text) <= 8 else [*text[:7], f"… {text[-1]}"])


def _refuse_void(sample: Sequence[Evidence], coding: MaskCoding, where: str) -> None:
    """Raise where files of the sample have void pixels and nothing is decided on them."""
    holders = [each.path for each in sample if has_void(each.path, coding)]
    if holders:
        raise UserError(f"{where}: {len(holders)} of {len(sample)} that were looked at have void "
                        f"pixels ({coding.void_name}), for example {holders[0]}; "
                        f"{VOID_ADVICE}{_SEE}")
