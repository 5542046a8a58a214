"""Whose definitions a score follows. Published numbers were made by scripts that differ."""

from __future__ import annotations

from dataclasses import dataclass

from utils.errors import UserError, nearest

#: Families of measures. The five core ones, then those on request.
CORE = ("MAE", "F", "wF", "S", "E")
OVERLAP = ("IoU", "Dice", "BER", "accuracy", "specificity")
EXTRA = (*OVERLAP, "AUC", "BIoU", "mBA", "MSIoU", "context", "HCE")
FAMILIES = (*CORE, *EXTRA)


@dataclass(frozen=True)
class Profile:
    """Where the evaluation scripts differ; docs/evaluation.md explains each point.

    Attributes:
        families: the measures that the script computes.
        foreground_above: ground-truth bytes above this are foreground.
        stretch: stretch each map to [0, 1] by its own minimum and maximum first.
        cuts: number of thresholds, k / (cuts − 1) for k = cuts − 1, …, 0.
        e_strict: the E-measure selects what is above the threshold, not at it.
        e_capped: the E-measure's adaptive threshold is at most 1.
        split_offset: added to the rounded centroid that divides the map for the S-measure.
        max_f: the maximum is taken of the ``mean curve`` over the images, of F of the ``mean
            precision and recall``, or of the curve ``per image`` and then averaged.
    """

    name: str
    source: str
    families: tuple[str, ...] = FAMILIES
    foreground_above: int = 128
    stretch: bool = True
    cuts: int = 256
    e_strict: bool = False
    e_capped: bool = True
    split_offset: int = 1
    max_f: str = "mean curve"


PROFILES = {profile.name: profile for profile in (
    Profile("pysodmetrics", "PySODMetrics 1.6.2"),
    Profile("matlab", "MATLAB scripts, CODToolbox at 3708971 and F3Net at 006c19a",
            families=CORE, e_strict=True, e_capped=False,
            max_f="mean precision and recall"),
    Profile("tracer", "TRACER, util/metrics.py at 8dacecc", families=("MAE", "F", "S"),
            foreground_above=127, stretch=False, cuts=255, split_offset=0, max_f="per image"),
)}


def find_profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        UserError: no such profile.
    """
    if name not in PROFILES:
        raise UserError(f"unknown profile {name!r}; {nearest(name, list(PROFILES))}")
    return PROFILES[name]
