"""Whether two pictures have the same size, nearly the same, or the one lies on its side.

Sizes are pairs of sides in pixels, both in the same order.
"""

from __future__ import annotations

Size = tuple[int, int]

_NEAR = 0.1  # most that a side may be longer or shorter, as a share of it
_SKEW = 1.03  # most that the proportions of the sides may differ, as a factor
_FEW = 4  # pixels by which both sides may differ, whatever that does to the proportions


def _skew(size: Size, other: Size) -> float:
    """The factor between the proportions of two sizes, 1 or more."""
    first, second = size[0] * other[1], size[1] * other[0]
    return max(first, second) / min(first, second)


def turned(size: Size, other: Size) -> bool:
    """Whether ``other`` is the like of ``size`` with height and width swapped."""
    return other == size[::-1] != size or _skew(size, other[::-1]) <= _SKEW < _skew(size, other)


def nearly(size: Size, other: Size) -> bool:
    """Whether a mask of size ``other`` can stand for an image of ``size``: the sides are the same,
    or differ by a few pixels or one small factor, as those of 77 masks of NC4K do (the farthest
    is 681×688 for an image of 750×750). What is turned does not."""
    apart = [abs(a - b) for a, b in zip(size, other, strict=True)]
    near = all(pixels <= _NEAR * side for pixels, side in zip(apart, size, strict=True))
    return near and not turned(size, other) and (max(apart) <= _FEW
                                                 or _skew(size, other) <= _SKEW)
