"""Whether files that can be read as the masks of a set are hardly meant so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .coding import Evidence
    from .masks import MaskCoding


def doubt(sample: Sequence[Evidence], coding: MaskCoding) -> str:
    """What speaks against the masks of a set, half a sentence; empty where nothing does.

    Args:
        sample: what files of the set hold that are not black.
    """
    number, photos = len(sample), sum(_is_photo(each, coding) for each in sample)
    if 2 * photos > number:
        return (f"{photos} of {number} that were looked at are neither black nor white, as photos "
                f"are: is {sample[0].path.parent} the folder of masks?")
    inverted = sum(_is_inverted(each, coding) for each in sample)
    if inverted == number or inverted > max(1, number / 20):
        return (f"in {inverted} of {number} that were looked at most of the border is object: are "
                "they inverted, or labels of whole scenes? Where 0 is object and 255 background, "
                "data.mask_coding=trimap data.mask_trimap=[0,255,128] reads them so")
    return ""


def _is_photo(evidence: Evidence, coding: MaskCoding) -> bool:
    """Whether most pixels are neither black nor white."""
    values = evidence.values(coding.white)
    between = evidence.counts[(values >= 32) & (values < 224)].sum()
    return bool(coding.kind == "binary" and 2 * between > evidence.counts.sum())


def _is_inverted(evidence: Evidence, coding: MaskCoding) -> bool:
    """Whether most of the border is object. Objects are rarely so large: 2 of 3000 masks of ECSSD
    and DUTS-TR are."""
    if coding.kind == "trimap":
        return evidence.rim == coding.trimap[0]
    if coding.kind in ("levels", "palette"):
        return evidence.rim not in (0, coding.void_value)
    deep = evidence.form == "deep" and evidence.alpha != "mask"
    return evidence.rim * (255 / coding.white if deep else 1) > 128
