"""How published numbers were made, and which measure and profile of ours they are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from metrics import CORE, MEASURES, PROFILES
from metrics.profiles import Profile
from utils.errors import nearest
from utils.schema import ReportedNumber

#: Core measure → its columns in a table of scores. Papers report core measures alone.
COLUMNS = {name: MEASURES[name].columns for name in CORE}
#: What a paper's F or E may be, where it does not say which.
PLAUSIBLE = {"F": (*COLUMNS["F"], *COLUMNS["wF"]), "E": COLUMNS["E"]}


@dataclass(frozen=True)
class Protocol:
    """How a paper's numbers were made, as far as it is known.

    Attributes:
        text: what a reader of the difference has to know, and what is not followed here.
        profile: whose definitions come nearest.
        named: the paper's name of a measure → ours, where they differ.
        guessed: of these names, those that may as well be another of our measures.
    """

    text: str
    profile: str = "pysodmetrics"
    named: Mapping[str, str] = field(default_factory=dict)
    guessed: tuple[str, ...] = ()

    def measure(self, name: str) -> str:
        """Our measure that the paper's ``name`` is compared with."""
        return self.named.get(name, name)


PROTOCOLS = {
    "cpd": Protocol(
        "as CPD's removed metric.py: maxF over 255 thresholds, the bytes 254 and 255 at the same "
        "one; images without an object add nothing and are counted (256 thresholds here)"),
    "minet": Protocol(
        "MINet's evaluation of the authors' maps: F is taken at twice each map's mean (adpF); "
        "which E it is, the paper does not say", named={"F": "adpF", "E": "adpE"},
        guessed=("E",)),
    "adaptive": Protocol(
        "MATLAB scripts of GCPANet and F3Net: F and E are the adaptive ones, at twice each map's "
        "mean; maxF is F of the mean precision and mean recall; E selects above its threshold, "
        "which is not capped at 1; images without an object and black maps add nothing and are "
        "counted (not followed here)", "matlab", {"F": "adpF", "E": "adpE"}),
    "user": Protocol(
        "a user's scores of the authors' maps, in an issue; the evaluator is not named"),
    "salod": Protocol(
        "the column orig of SALOD's README: of the authors' maps; it does not name its evaluator"),
    "ras": Protocol(
        "a MATLAB toolbox (jiwei0921's), whose F is the adaptive or the mean one; taken to be the "
        "adaptive F and E", "matlab", {"F": "adpF", "E": "adpE"}, ("F", "E")),
    "u2net": Protocol(
        "taken to be the MATLAB scripts that most use: maxF of the mean precision and recall, of "
        "maps stretched to their whole range", "matlab"),
    "scrn": Protocol(
        "SCRN's own table, whose evaluator is not named; taken to be CPD's, by the same authors, "
        "of maps that are stretched to their whole range"),
    "salmetric": Protocol(
        "the authors' SalMetric: F of the mean precision and recall, maps are not stretched; MAE "
        "against the greys of masks (against masks cut at one half here)", "salmetric"),
    "icon": Protocol(
        "ICON's table, of maps that are not stretched; its evaluator was not read; E is the mean "
        "over the thresholds"),
    "cod": Protocol(
        "MATLAB, taken to be CODToolbox, as usual for camouflaged objects: mean E over 256 "
        "thresholds, above them", "matlab"),
    "tracer": Protocol(
        "TRACER's util/metrics.py: maximum and mean of F of each image, then averaged, about .01 "
        "to .02 more than the maximum of the mean curve; 255 thresholds; maps are not stretched",
        "tracer"),
}


#: Column → what of a profile decides it, beside what is taken for foreground, and stretching.
_DECIDES = {"MAE": (), "wF": (), "adpF": (), "meanF": ("cuts",),
            "maxF": ("cuts", "max_f", "precision_of_none"), "Sm": ("split_offset",),
            "maxE": ("cuts", "e_strict"), "meanE": ("cuts", "e_strict"),
            "adpE": ("e_strict", "e_capped")}


def same_definition(column: str, a: Profile, b: Profile) -> bool:
    """Whether a column's scores under two profiles are the same number of the same maps."""
    if a != b and (column not in _DECIDES or column not in columns_of(a)
                   or column not in columns_of(b)):
        return False
    deciding = ("foreground_above", "stretch", *_DECIDES.get(column, ()))
    return all(getattr(a, key) == getattr(b, key) for key in deciding)


def columns_of(profile: Profile) -> list[str]:
    """Columns of the core measures that a profile defines."""
    return [column for measure in profile.measures if measure in CORE
            for column in profile.columns(measure)]


def candidates(name: str) -> list[tuple[str, str]]:
    """(profile, measure) of everything that a paper's measure of that name may be."""
    measure = next((m for m, columns in COLUMNS.items() if name in columns), name)
    wanted = PLAUSIBLE.get(measure, COLUMNS.get(measure, ()))
    return [(profile.name, column) for profile in PROFILES.values()
            for column in columns_of(profile) if column in wanted]


def problems_of(row: ReportedNumber) -> list[str]:
    """What is wrong with a reported number."""
    problems = [f"{key} is empty" for key in ("dataset", "source") if not getattr(row, key)]
    protocol = PROTOCOLS.get(row.protocol)
    if protocol is None:
        problems.append(f"protocol {row.protocol!r}: {nearest(row.protocol, list(PROTOCOLS))}")
    elif protocol.measure(row.measure) not in (columns := columns_of(PROFILES[protocol.profile])):
        known = [*protocol.named, *columns]
        problems.append(f"measure {row.measure!r} under protocol {row.protocol}: "
                        f"{nearest(row.measure, known)}")
    if not 3 <= row.digits <= 6:
        problems.append(f"digits = {row.digits}: must be 3 to 6, as many as the source prints")
    elif not 0 <= row.value <= 1 or abs(round(row.value, row.digits) - row.value) > 1e-9:
        problems.append(f"value = {row.value}: must be in [0, 1], with {row.digits} digits after "
                        "the point (digits says how many the source prints)")
    return problems
