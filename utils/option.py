"""What is known of a configuration key beside its type: its default, choices or range, and help."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import ge, gt, le, lt
from typing import Any

NATIVE = "native"  # the value of data.size with which images keep their own sizes


@dataclass(frozen=True)
class Option:
    """What is known of a key beside its type.

    Attributes:
        default: its value where no recipe and no argument gives one; ``None`` may then be given.
        help: one line on what it does, with its unit.
        choices: the values that it, or each item of a list, may have; a mapping gives a line of
            help on each.
        low, above, high, below: bounds of the number, or of each number in a list or a mapping: at
            least ``low``, more than ``above``, at most ``high``, less than ``below``. Every key
            that may hold numbers has them on both sides, so that no number is infinite.
        length: how many numbers a list has.
        sides: whether it is a whole number, a list of two, see ``sides``, or ``NATIVE``.
    """

    default: Any
    help: str
    choices: Collection[str] = ()
    low: float | None = None
    above: float | None = None
    high: float | None = None
    below: float | None = None
    length: int | None = None
    sides: bool = False

    @property
    def rule(self) -> str:
        """What a value must be, to follow 'must be'; empty if its type says all."""
        if self.choices:
            return " or ".join(self.choices) if len(self.choices) == 2 else \
                f"one of {', '.join(self.choices)}"
        limits = [(word, limit if isinstance(limit, int) else f"{limit:g}")
                  for word, limit, _ in self._bounds()]
        bounds = " and ".join(f"{word} {limit}" for word, limit in limits)
        bounds = re.sub(r"^at least (\S+) and at most (\S+)$", r"from \1 to \2", bounds)
        if bounds and isinstance(self.default, dict | str):
            bounds = f"one with numbers {bounds}"
        parts = [f"{self.length} numbers" if self.length else "",
                 f"{NATIVE}, a whole number or [height,width]" if self.sides else "", bounds,
                 "or null" if bounds and self.default is None else ""]
        return ", ".join(part for part in parts if part)

    def allows(self, value: Any) -> bool:
        """Whether a value of the right type is among the choices or within the bounds."""
        if value is None:
            return self.default is None
        if self.sides and value == NATIVE:
            return True
        if self.sides:
            given = value if isinstance(value, Sequence) else [value, value]
            return len(given) == 2 and all(
                isinstance(side, int) and not isinstance(side, bool) and self._allows_item(side)
                for side in given)
        if self.length is not None and len(value) != self.length:
            return False
        return all(map(self._allows_item, items(value)))

    def _allows_item(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        return not isinstance(value, int | float) or all(
            compare(value, limit) for _, limit, compare in self._bounds())

    def _bounds(self) -> list[tuple[str, float, Callable[[float, float], bool]]]:
        bounds = (("at least", self.low, ge), ("above", self.above, gt),
                  ("at most", self.high, le), ("below", self.below, lt))
        return [bound for bound in bounds if bound[1] is not None]


def items(value: Any) -> Iterator[Any]:
    """What lies in lists and mappings at any depth; another value itself."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from items(each)
    else:
        yield value


def option(default: Any, help: str, **limits: Any) -> Any:
    """A dataclass field with an ``Option``, whose arguments these are."""
    metadata = {"option": Option(default, help, **limits)}
    if isinstance(default, (list, dict)):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)
