"""Which images a figure shows: named ones, or those that stand at one end of an order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from data.pairing import Pair
from metrics import lower_is_better
from utils.errors import UserError, guess, nearest

from .attributes.kept import SetAttributes
from .attributes.table import ATTRIBUTES
from .methods import SetScores

#: Of an order by an attribute; the first where none is named.
ENDS = ("high", "low")
#: A data set's name and an image's name in it.
Image = tuple[str, str]


@dataclass(frozen=True)
class Candidates:
    """The images that can be chosen from: those that every method has a score of.

    Attributes:
        scores: image → method → score of the image in the chosen measure.
        lower: whether the measure is an error.
        of: the method whose scores decide; None for the mean of all methods.
    """

    scores: Mapping[Image, Mapping[str, float]]
    lower: bool
    of: str | None = None

    def error(self, image: Image) -> float:
        """How bad the scores of an image are: the greater, the worse."""
        scores = self.scores[image]
        score = scores[self.of] if self.of else sum(scores.values()) / len(scores)
        return score if self.lower else -score

    def best_first(self) -> list[Image]:
        return sorted(self.scores, key=lambda image: (self.error(image), image))


def _median(candidates: Candidates, count: int) -> list[Image]:
    images = candidates.best_first()
    start = max(0, (len(images) - count) // 2)
    return images[start:start + count]


def _furthest(candidates: Candidates, count: int) -> list[Image]:
    if candidates.of or any(len(scores) < 2 for scores in candidates.scores.values()):
        raise UserError("--by furthest: these are the images on which the methods shown are "
                        "furthest apart; show two or more, and leave --of out")

    def apart(image: Image) -> float:
        scores = candidates.scores[image].values()
        return max(scores) - min(scores)

    return sorted(candidates.scores, key=lambda image: (-apart(image), image))[:count]


#: The word of ``--by`` → the images that it chooses by their scores, in the order in which they are
#: shown. Beside these words there are the names of attributes, see ``ByAttribute``.
ORDERS: dict[str, Callable[[Candidates, int], list[Image]]] = {
    "worst": lambda candidates, count: sorted(
        candidates.scores, key=lambda image: (-candidates.error(image), image))[:count],
    "best": lambda candidates, count: candidates.best_first()[:count],
    "median": _median,
    "furthest": _furthest,
}


def by_order(sets: Sequence[SetScores], by: str, count: int, measure: str,
             of: str | None) -> tuple[list[Image], Candidates]:
    """The images at one end of an order by scores of all sets, and what they were chosen from.

    Args:
        by: a key of ``ORDERS``.
        of: see ``Candidates``.

    Raises:
        UserError: no such measure or method, or no image that all methods have.
    """
    methods = list(dict.fromkeys(method.name for scores in sets for method in scores.methods))
    if of is not None and of not in methods:
        raise UserError(f"--of {of}: no such method is shown; {nearest(of, methods)}")
    rows = {}
    for scores in sets:
        per_image = {method.name: method.evaluator.per_image for method in scores.methods}
        for pair in scores.pairs:
            own = {name: images[pair.name] for name, images in per_image.items()
                   if pair.name in images}
            if len(own) == len(methods):
                rows[scores.name, pair.name] = own
    if not rows:
        raise UserError("--by: there is no image that all methods have a score of")
    known = list(next(iter(next(iter(rows.values())).values())))
    if measure not in known:
        raise UserError(f"--measure {measure}: images have no such score; "
                        f"{nearest(measure, known)}")
    candidates = Candidates({image: {name: row[measure] for name, row in own.items()}
                             for image, own in rows.items()}, lower_is_better(measure), of)
    return ORDERS[by](candidates, count), candidates


@dataclass(frozen=True)
class ByAttribute:
    """An order by what images are, not by their scores: most of an attribute first, or least."""

    name: str
    least: bool = False

    def first(self, count: int, attributes: Mapping[str, SetAttributes],
              images: Sequence[Image]) -> dict[Image, float]:
        """The first of these images → the attribute; those that do not have it are left out. Of
        equal ones the first by name come first.

        Args:
            attributes: data set → its images' attributes.

        Raises:
            UserError: no image has the attribute.
        """
        values = {(dataset, name): attributes[dataset].values.get(name, {}).get(self.name, math.nan)
                  for dataset, name in images}
        known = {image: value for image, value in values.items() if not math.isnan(value)}
        if not known:
            raise UserError(f"--by {self.name}: no image of {len(images)} has this attribute; "
                            "docs/attributes.md says what each is computed from")
        sign = 1 if self.least else -1
        return dict(sorted(known.items(), key=lambda item: (sign * item[1], item[0]))[:count])


def attribute_order(by: str) -> ByAttribute | None:
    """What a word of ``--by`` says, before anything is read: ``complexity``, ``complexity:high``
    or ``complexity:low``; None where it is a key of ``ORDERS``.

    Raises:
        UserError: no such order, or no such end of it.
    """
    if by in ORDERS:
        return None
    name, colon, end = by.partition(":")
    if name not in ATTRIBUTES and not (colon and name in ORDERS):
        raise UserError(f"--by {by}: no such order; {nearest(name, [*ORDERS, *ATTRIBUTES])}")
    if name in ORDERS:
        raise UserError(f"--by {by}: {name} is an order by scores and has no other end; write "
                        f"--by {name}")
    if colon and end not in ENDS:
        raise UserError(f"--by {by}: after the colon stands {' or '.join(ENDS)}; "
                        f"{guess(end, ENDS)}".rstrip("; "))
    return ByAttribute(name, end == "low")


def by_name(words: Sequence[str], sets: Mapping[str, Sequence[Pair]]) -> list[Image]:
    """The images of these names, each ``NAME`` or, where several sets have it, ``SET/NAME``.

    Raises:
        UserError: no such image, several, or one that is named twice.
    """
    known: dict[str, list[Image]] = {}
    for dataset, pairs in sets.items():
        for pair in pairs:
            known.setdefault(pair.name, []).append((dataset, pair.name))
            known.setdefault(f"{dataset}/{pair.name}", []).append((dataset, pair.name))
    chosen = []
    for word in words:
        images = known.get(word, [])
        if not images:
            padded = next((name for name in known if name.lstrip("0") == word.lstrip("0")), None)
            hint = f"did you mean {padded!r}?" if padded else guess(word, known) or \
                "names are those of the files, without extension"
            raise UserError(f"--images {word}: no such image in {', '.join(sets)}; {hint}")
        if len(images) > 1:
            raise UserError(f"--images {word}: several sets have it; name "
                            f"{' or '.join('/'.join(image) for image in images)}")
        if images[0] in chosen:
            raise UserError(f"--images {word}: it is named twice")
        chosen.append(images[0])
    return chosen
