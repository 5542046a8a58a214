"""The evaluator: maps in, one row of a table out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from .counts import Counts, Sample, count, on_host, require_sample
from .measures import Levels, f_of, levels_of, score
from .pixels import measure_pixels
from .profiles import CORE, Profile, find_profile
from .structure import s_measure
from .weighted import weighted_errors, weighted_f

#: Maps that are scored together, by backend; fewer when they have more pixels than PIXELS.
_BATCH = {"numpy": 16, "torch": 64}
PIXELS = 2**24
#: What is known of one map: name of a measure or curve → number or float64 (T,).
Result = dict[str, float | np.ndarray]

_STRIDE = 64  # on a device, maps are batched with those of nearly the same size


class Evaluator:
    """Scores of a method on a data set, map by map.

    >>> evaluator = Evaluator()
    >>> evaluator.update("0001", prediction, ground_truth)   # uint8 arrays (H, W)
    >>> evaluator.compute()                                  # {"MAE": 0.059, "maxF": 0.866, …}

    Args:
        device: ``cpu`` scores with NumPy; any torch device in batches on that device, with the
            same result to 1e-9 (weighted F-measure 1e-6). ``torch`` is imported only then.
        profile: whose definitions to follow, a name of ``profiles.PROFILES``.
        measures: families of measures out of ``profiles.FAMILIES``; those that the profile does
            not define are left out.

    Maps are scored a few at a time: ``compute``, ``curves``, ``per_image`` and ``merge`` see to
    those that wait. Memory does not grow with the maps, but for a small dict of numbers for each.

    Raises:
        UserError: no such profile.
        ValueError: no such measure.
    """

    def __init__(self, device: object = "cpu", profile: str = "pysodmetrics",
                 measures: Sequence[str] = CORE):
        self.profile: Profile = find_profile(profile)
        measures = (measures,) if isinstance(measures, str) else tuple(measures)
        unknown = set(measures) - set(find_profile("pysodmetrics").families)
        if unknown:
            raise ValueError(f"unknown measures: {', '.join(sorted(unknown))}")
        self.families = tuple(family for family in self.profile.families if family in measures)
        if not self.families:
            raise ValueError(f"the profile {profile} defines none of {', '.join(measures)}")
        self.device = device
        self._uses_torch = str(device) != "cpu"
        #: Called with the name and all numbers and curves of each map that was scored.
        self.on_scored: Callable[[str, Result], None] | None = None
        self._per_image: dict[str, dict[str, float]] = {}
        self._sums: dict[str, np.ndarray] = {}
        self._waiting: dict[tuple, list[tuple[str, Sample]]] = defaultdict(list)
        self._names: set[str] = set()
        self._pixels = 0  # that wait

    @property
    def images(self) -> int:
        """Number of maps."""
        return len(self._names)

    @property
    def per_image(self) -> dict[str, dict[str, float]]:
        """Name of each map → its own numbers; maxF is then the maximum of its own curve."""
        self.flush()
        return self._per_image

    def update(self, name: str, prediction: np.ndarray, ground_truth: np.ndarray) -> None:
        """Score one map.

        Args:
            name: of the image, unique.
            prediction: uint8 (H, W), 0 to 255; on a device also a tensor.
            ground_truth: uint8 (H, W); above 128 is foreground.

        Raises:
            ValueError: other dtypes or dimensions, sizes that differ, a name that was scored.
        """
        require_sample(prediction, ground_truth)
        self._add_name(name)
        # Copies, as the caller may fill its arrays again before these are scored.
        sample = tuple(image.clone() if self._uses_torch and hasattr(image, "clone")
                       else on_host(image).copy(order="K") for image in (prediction, ground_truth))
        key = tuple(-(-side // _STRIDE) for side in prediction.shape) if self._uses_torch else ()
        waiting = self._waiting[key]
        waiting.append((name, sample))
        pixels = len(waiting) * sample[0].shape[0] * sample[0].shape[1]
        self._pixels += sample[0].shape[0] * sample[0].shape[1]
        if len(waiting) == _BATCH["torch" if self._uses_torch else "numpy"] or pixels > PIXELS:
            self._score(self._waiting.pop(key))
        elif self._pixels > 4 * PIXELS:  # many sizes, few maps of each
            self._score(self._waiting.pop(max(self._waiting, key=lambda k: len(self._waiting[k]))))

    def recall(self, name: str, result: Result) -> None:
        """Count in a map that an evaluator of the same profile and measures has scored before.

        Args:
            result: what that evaluator gave to ``on_scored``.

        Raises:
            ValueError: a name that was scored, or a result with other measures.
        """
        if self._sums and result.keys() != self._sums.keys():
            raise ValueError(f"the result of {name!r} has other measures")
        self._add_name(name)
        self._take([name], {key: np.asarray(value)[None] for key, value in result.items()})

    def _add_name(self, name: str) -> None:
        if name in self._names:
            raise ValueError(f"{name!r} was scored already")
        self._names.add(name)

    def merge(self, other: Evaluator) -> None:
        """Take in the maps of another evaluator, of the same profile and measures.

        Raises:
            ValueError: another profile or other measures, or maps that both have scored.
        """
        if (self.profile, self.families) != (other.profile, other.families):
            raise ValueError("evaluators of different profiles or measures cannot be merged")
        common = self._names & other._names
        if common:
            raise ValueError(f"scored in both: {', '.join(sorted(common)[:5])}")
        other.flush()
        self._names |= other._names
        self._per_image |= other._per_image
        self._add(other._sums)

    def compute(self) -> dict[str, float]:
        """The means over all maps, by the measures' names (``maxF``, ``Sm``, …).

        Curves are averaged over the maps first; maximum and mean are then taken of the mean
        curve, unless the profile says otherwise.

        Raises:
            ValueError: no map was scored.
        """
        curves = self.curves()
        row = {}
        for family in self.families:
            if family in curves:
                row |= self._of_curve(family, curves)
            else:
                name = "Sm" if family == "S" else family
                row[name] = float(self._sums[name] / self.images)
        return row

    def _of_curve(self, family: str, curves: dict[str, np.ndarray]) -> dict[str, float]:
        """Maximum, mean and adaptive value of a measure that has a threshold."""
        row = {f"max{family}": float(curves[family].max()),
               f"mean{family}": float(curves[family].mean())}
        if self.profile.max_f == "per image":
            row[f"max{family}"] = float(self._sums[f"max{family}"] / self.images)
            return row
        if family == "F" and self.profile.max_f == "mean precision and recall":
            row["maxF"] = float(f_of(curves["precision"], curves["recall"]).max())
        for prefix in ("adp", "bin"):
            if f"{prefix}{family}" in self._sums:
                row[f"{prefix}{family}"] = float(self._sums[f"{prefix}{family}"] / self.images)
        return row

    def curves(self) -> dict[str, np.ndarray]:
        """Mean curves over all maps, float64 (T,): ``F``, ``E``, ``precision``, ``recall``, ….

        Column k belongs to the threshold 1 − k / (T − 1).

        Raises:
            ValueError: no map was scored.
        """
        self.flush()
        if not self.images:
            raise ValueError("no maps were scored")
        return {name: total / self.images for name, total in self._sums.items() if total.ndim}

    def flush(self) -> None:
        """Score what still waits for its batch; ``compute``, ``curves`` and ``merge`` do."""
        while self._waiting:
            self._score(self._waiting.popitem()[1])

    def _score(self, waiting: list[tuple[str, Sample]]) -> None:
        names, samples = [name for name, _ in waiting], [sample for _, sample in waiting]
        self._pixels -= sum(sample[0].shape[0] * sample[0].shape[1] for sample in samples)
        try:
            result = self._results(samples)
        except BaseException:
            self._names -= set(names)  # they do not count
            raise
        self._take(names, result)
        if self.on_scored is not None:
            for i, name in enumerate(names):
                self.on_scored(name, {key: values[i] for key, values in result.items()})

    def _results(self, samples: list[Sample]) -> dict[str, np.ndarray]:
        """All numbers (B,) and curves (B, T) of some maps."""
        counts, levels, errors = self._measure(samples)
        result = score(counts, levels, samples, self.families, self.profile)
        if "S" in self.families:
            result["Sm"] = s_measure(counts, levels, samples)
        if errors is not None:
            result["wF"] = weighted_f(errors, levels)
        result |= measure_pixels(samples, levels, self.families, self.profile.foreground_above)
        for family in self.families:
            if family in result and result[family].ndim == 2:
                result |= {f"max{family}": result[family].max(axis=1),
                           f"mean{family}": result[family].mean(axis=1)}
        return result

    def _take(self, names: list[str], result: dict[str, np.ndarray]) -> None:
        self._add({key: values.sum(axis=0) for key, values in result.items()})
        numbers = {key: values.tolist() for key, values in result.items() if values.ndim == 1}
        for i, name in enumerate(names):
            self._per_image[name] = {key: values[i] for key, values in numbers.items()}

    def _measure(self, samples: list[Sample]) -> tuple[Counts, Levels, np.ndarray | None]:
        """What a backend takes from the pixels."""
        above, offset = self.profile.foreground_above, self.profile.split_offset
        if self._uses_torch:
            from .torch_backend import TorchBatch

            batch = TorchBatch(samples, self.device, above, offset)
            counts = batch.count()
        else:
            counts = count(samples, above, offset)
        levels = levels_of(counts, self.profile.stretch)
        if "wF" not in self.families:
            return counts, levels, None
        if self._uses_torch:
            return counts, levels, batch.weighted_errors(levels)
        return counts, levels, weighted_errors(samples, levels, above)

    def _add(self, sums: dict[str, np.ndarray]) -> None:
        for key, value in sums.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
