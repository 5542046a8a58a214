"""The evaluator: maps in, a row of a table of scores out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .batch import Batch
from .counts import Sample, require_sample
from .measures import f_of
from .profiles import PROFILES, Profile
from .table import CORE, MEASURES, Results

PIXELS = 2**24  # of maps that are scored together, at most
_STRIDE = 64  # on a device, maps are batched with those of nearly the same size


class Evaluator:
    """Scores of a method on a data set, map by map.

    >>> evaluator = Evaluator()
    >>> evaluator.update("0001", prediction, ground_truth)   # uint8 arrays (H, W)
    >>> evaluator.compute()                                  # {"MAE": 0.059, "maxF": 0.866, …}

    Args:
        device: ``cpu`` scores with NumPy; any torch device in batches on that device, with the
            same result to 1e-9 (weighted F-measure 1e-6). ``torch`` is imported only then.
        profile: whose definitions to follow, a name in ``PROFILES``.
        measures: names in ``MEASURES``; those that the profile does not define are left out.

    Maps are scored a few at a time; ``compute``, ``curves``, ``per_image`` and ``merge`` score
    those that still wait. Of each map only a small dict of numbers stays in memory.

    Raises:
        ValueError: no such profile, no such measure, or none that the profile defines.
    """

    def __init__(self, device: object = "cpu", profile: str = "pysodmetrics",
                 measures: Sequence[str] = CORE):
        if profile not in PROFILES:
            raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}")
        self.profile: Profile = PROFILES[profile]
        measures = (measures,) if isinstance(measures, str) else measures
        if unknown := set(measures) - set(MEASURES):
            raise ValueError(f"unknown measures: {', '.join(sorted(unknown))}")
        self.measures = tuple(name for name in self.profile.measures if name in measures)
        if not self.measures:
            raise ValueError(f"the profile {profile} defines none of {', '.join(measures)}")
        self.device = device
        self._uses_torch = str(device) != "cpu"
        self._batch = 64 if self._uses_torch else 16  # maps that are scored together, at most
        self._per_image: dict[str, dict[str, float]] = {}
        self._sums: Results = {}
        self._waiting: dict[tuple, list[tuple[str, Sample]]] = defaultdict(list)
        self._names: set[str] = set()
        self._pixels = 0  # of the maps that wait

    @property
    def images(self) -> int:
        """Number of maps."""
        return len(self._names)

    @property
    def per_image(self) -> dict[str, dict[str, float]]:
        """Name of each map → its own numbers; its maxF is the maximum of its own curve."""
        self.flush()
        return self._per_image

    def update(self, name: str, prediction: np.ndarray, ground_truth: np.ndarray) -> None:
        """Score one map.

        Args:
            name: of the image, unique.
            prediction: uint8 (H, W), 0 to 255.
            ground_truth: uint8 (H, W); above the profile's ``foreground_above`` is foreground.

        Raises:
            ValueError: other dtypes or dimensions, sizes that differ, a name that was scored.
        """
        require_sample(prediction, ground_truth)
        if name in self._names:
            raise ValueError(f"{name!r} was scored already")
        self._names.add(name)
        if prediction.size > PIXELS:
            self._pixels += prediction.size
            return self._score([(name, (prediction, ground_truth))])
        # Copies, as the caller may fill its arrays again before these are scored.
        sample = prediction.copy(order="K"), ground_truth.copy(order="K")
        key = tuple(-(-side // _STRIDE) for side in prediction.shape) if self._uses_torch else ()
        waiting = self._waiting[key]
        waiting.append((name, sample))
        self._pixels += prediction.size
        if len(waiting) == self._batch or len(waiting) * prediction.size > PIXELS:
            self._score(self._waiting.pop(key))
        elif self._pixels > 4 * PIXELS:  # many sizes, few maps of each
            self._score(self._waiting.pop(max(self._waiting, key=lambda k: len(self._waiting[k]))))

    def merge(self, part: Evaluator) -> None:
        """Take in the maps of an evaluator of the same profile and measures.

        Raises:
            ValueError: another profile or other measures, or maps that both have scored.
        """
        if (self.profile, self.measures) != (part.profile, part.measures):
            raise ValueError("evaluators of different profiles or measures cannot be merged")
        if common := self._names & part._names:
            raise ValueError(f"scored in both: {', '.join(sorted(common)[:5])}")
        part.flush()
        self._names |= part._names
        self._per_image |= part._per_image
        self._add(part._sums)

    def compute(self) -> dict[str, float]:
        """The scores of all maps by the columns of a table (``maxF``, ``Sm``, …).

        Curves are averaged over the maps first; maximum and mean are then taken of the mean
        curve, unless the profile takes the maximum elsewhere.

        Raises:
            ValueError: no map was scored.
        """
        curves = self.curves()
        return {column: self._value(column, name, curves)
                for name in self.measures for column in self.profile.columns(name)}

    def _value(self, column: str, measure: str, curves: Results) -> float:
        """A column's score of all maps."""
        if column == f"mean{measure}":
            return float(curves[measure].mean())
        if column == f"max{measure}" and self.profile.max_f != "per image":
            return float(self.curve(measure).max())
        return float(self._sums[column] / self.images)

    def curve(self, measure: str) -> np.ndarray:
        """The curve of all maps of which ``max<measure>`` is the maximum, float64 (T,), unless the
        profile takes maxima per image: F of the mean precision and recall where the profile takes
        maxF of these, else the mean curve.

        Raises:
            ValueError: no map was scored.
        """
        curves = self.curves()
        return f_of(curves["precision"], curves["recall"]) \
            if measure == "F" and self.profile.f_of_means else curves[measure]

    def curves(self) -> Results:
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
        """Score the maps that still wait for their batch."""
        while self._waiting:
            self._score(self._waiting.popitem()[1])

    def _score(self, waiting: list[tuple[str, Sample]]) -> None:
        names, samples = [name for name, _ in waiting], [sample for _, sample in waiting]
        self._pixels -= sum(prediction.size for prediction, _ in samples)
        try:
            results = self._results(Batch(samples, self.profile, self.device))
        except BaseException:
            self._names -= set(names)  # they do not count
            raise
        self._add({key: values.sum(axis=0) for key, values in results.items()})
        numbers = {key: values.tolist() for key, values in results.items() if values.ndim == 1}
        for i, name in enumerate(names):
            self._per_image[name] = {key: values[i] for key, values in numbers.items()}

    def _results(self, batch: Batch) -> Results:
        """All numbers (B,) and curves (B, T) of some maps."""
        results: Results = {}
        for name in self.measures:
            measured = MEASURES[name].compute(batch)
            if name in measured and measured[name].ndim == 2:
                results |= {f"max{name}": measured[name].max(axis=1),
                            f"mean{name}": measured[name].mean(axis=1)}
            results |= measured
        return results

    def _add(self, sums: Results) -> None:
        for key, value in sums.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
