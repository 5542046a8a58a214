"""Whose definitions a score follows: published numbers were made by scripts that differ."""

from __future__ import annotations

from dataclasses import dataclass

from .table import CORE, MEASURES


@dataclass(frozen=True)
class Profile:
    """The points in which evaluation scripts differ; docs/evaluation.md explains each.

    Attributes:
        source: the script, and at which commit it was read.
        defined: the measures that the script computes; None for all of ``MEASURES``.
        undefined: columns of those measures that the script does not compute.
        foreground_above: ground-truth bytes above this are foreground.
        stretch: whether each map is first stretched to [0, 1] by its own minimum and maximum.
        cuts: number of thresholds, k / (cuts − 1) for k = cuts − 1, …, 0.
        e_strict: the E-measure selects what is above the threshold, not at it.
        e_capped: the E-measure's adaptive threshold is at most 1.
        split_offset: pixels added to the rounded centroid that divides the map for the S-measure.
        precision_of_none: the precision at a threshold that selects nothing of a map, as it counts
            in ``mean precision and recall``.
        max_f: the maximum is taken of the ``mean curve`` over the images, of F of the ``mean
            precision and recall``, or of the curve ``per image`` and then averaged.
    """

    name: str
    source: str
    defined: tuple[str, ...] | None = None
    undefined: tuple[str, ...] = ()
    foreground_above: int = 128
    stretch: bool = True
    cuts: int = 256
    e_strict: bool = False
    e_capped: bool = True
    split_offset: int = 1
    precision_of_none: float = 0.0
    max_f: str = "mean curve"

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures that the profile defines, in the table's order."""
        return tuple(name for name in MEASURES if self.defined is None or name in self.defined)

    @property
    def f_of_means(self) -> bool:
        """Whether maxF is the maximum of F of the mean precision and recall."""
        return self.max_f == "mean precision and recall"

    def columns(self, measure: str) -> tuple[str, ...]:
        """The columns of a measure that the profile defines."""
        return tuple(column for column in MEASURES[measure].columns
                     if column not in self.undefined)


PROFILES = {profile.name: profile for profile in (
    Profile("pysodmetrics", "PySODMetrics 1.6.2"),
    Profile("matlab", "MATLAB scripts, CODToolbox at 3708971 and F3Net at 006c19a",
            defined=CORE, e_strict=True, e_capped=False, max_f="mean precision and recall"),
    Profile("salmetric", "SalMetric, which CSNet's authors use, from a description of it",
            defined=("MAE", "F"), undefined=("meanF", "adpF"), stretch=False,
            precision_of_none=1.0, max_f="mean precision and recall"),
    Profile("tracer", "TRACER, util/metrics.py at 8dacecc", defined=("MAE", "F", "S"),
            undefined=("adpF",), foreground_above=127, stretch=False, cuts=255, split_offset=0,
            max_f="per image"),
)}
