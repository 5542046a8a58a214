"""Which tensors of a file are those that a network wants, and what they are called there.

People save state dicts as they are or inside of other dicts, with the prefixes of what wrapped
their network in training, with the counters of their tools. None of that is known here by name: of
the mappings of tensors in a file, that one is taken whose keys fit, once a prefix is removed that
most of them share. All that is done to a file's keys is printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, product

import torch
from torch import Tensor

from .errors import UserError
from .weights_file import note

State = Mapping[str, Tensor]
TOP = "."  # where a file's tensors are that lie in no mapping of their own
_DEPTH = 2  # levels of mappings that are looked through
_LONGEST = 8  # parts of a prefix
#: Last parts of keys that tools add to a network, and that no weights have: those of thop, and of
#: torch's moving averages.
_COUNTERS = ("total_ops", "total_params", "n_averaged")
_WRAPPERS = ("module", "_orig_mod")  # parts of keys that DataParallel and torch.compile put in
_BATCHES = "num_batches_tracked"  # batch norms' counters


@dataclass(frozen=True)
class Wanted:
    """What is looked for in a file.

    Attributes:
        tensors: by the key that ``rename`` gives, a tensor of the shape that is wanted.
        rename: a file's key → the key that it is wanted under.
        unused: beginnings of a file's keys whose tensors may be in it and are not wanted.
    """

    tensors: State
    rename: Callable[[str], str] = str
    unused: tuple[str, ...] = ()


@dataclass
class Reading:
    """One mapping of a file, its keys read in one way.

    Attributes:
        where: the keys that lead to the mapping, joined by points, or ``TOP``.
        state: the tensors by the keys that are wanted.
        unused: those that are not wanted, by the file's keys.
        done: what was done to the mapping and its keys, in words.
        matches, misfits: how many tensors have the key and shape of one that is wanted; how many
            are missing, unexpected or of another shape.
    """

    where: str
    state: dict[str, Tensor]
    unused: dict[str, Tensor]
    done: list[str] = field(default_factory=list)
    matches: int = 0
    misfits: int = 0


def shape(tensor: Tensor) -> tuple[int, ...] | None:
    """A tensor's shape; None for a nested one, which has none."""
    return None if tensor.is_nested else tuple(tensor.shape)


def all_finite(tensor: Tensor) -> Tensor:
    """Whether no value of a dense tensor is NaN or infinite: one boolean, on the tensor's device.
    The tensor holds no complex numbers.

    The least and the greatest value tell it in a tenth of the time that a mask of all values takes.
    """
    if not tensor.is_floating_point() or not tensor.numel():
        return torch.tensor(True, device=tensor.device)
    if tensor.element_size() == 1:
        tensor = tensor.float()  # torch has no extrema of 8-bit numbers, which float32 holds
    return torch.stack(tensor.aminmax()).isfinite().all()


def read_state(content: Mapping, wanted: Sequence[Wanted], origin: str, key: str = "",
               partial: bool = False) -> Reading:
    """The mapping in a file's content whose tensors are wanted, and the reading of its keys that
    fits, else the nearest one.

    Args:
        wanted: the ways to read the keys, in the order in which they are tried.
        origin: the file's name for messages.
        key: which mapping to take (``weights.key``), if several fit.
        partial: whether the nearest reading is used although it does not fit.

    Raises:
        UserError: no mapping of tensors, none under ``key``, or several that fit.
    """
    mappings = mappings_under(content, key)
    if not mappings:
        named = ", ".join(mappings_in(content)) or "nothing up to two levels deep"
        raise UserError(f"{origin}: no tensors under weights.key={key}; there are under {named}"
                        if key else f"{origin} is not a state dict: up to two levels deep it holds "
                        f"no mapping of tensors; its keys are {_listed(content) or '(none)'}")
    best = [_best(_readings(where, mapping, wanted)) for where, mapping in mappings.items()]
    candidates = [reading for reading in best if not reading.misfits]
    if not candidates:
        most = max(reading.matches for reading in best)
        candidates = sorted((reading for reading in best if reading.matches == most),
                            key=lambda reading: -len(reading.state))
    if len(candidates) > 1 and (not candidates[0].misfits or (partial and candidates[0].matches)):
        names = [reading.where for reading in candidates]
        raise UserError(f"{origin} holds several sets of weights that fit: {', '.join(names)}. "
                        "Choose one by its name, for example weights.key=" + names[-1])
    chosen = candidates[0]
    plain = (TOP,) if "average" in content else (TOP, _own(content))
    under = [] if chosen.where in plain else [f"weights under {chosen.where}"]
    chosen.done = under + chosen.done
    if chosen.done and (partial or not chosen.misfits):
        note(f"{origin}: {', '.join(chosen.done)}")
    return chosen


def _own(content: Mapping) -> str:
    """Where a checkpoint of train.py holds its weights; empty for other files."""
    return "network" if "network" in content and "config" in content else ""


def mappings_in(content: Mapping) -> dict[str, Mapping]:
    """The mappings in a file that hold tensors, up to two levels deep, by the keys that lead to
    them."""
    return {where: mapping for where, mapping in _walk(content)
            if any(isinstance(value, Tensor) for value in mapping.values())}


def mappings_under(content: Mapping, key: str) -> dict[str, Mapping]:
    """Those of ``mappings_in``, or the one that ``key`` names. Of a checkpoint of train.py, the
    network's own is taken without a key."""
    mappings = mappings_in(content)
    chosen = key or (own if (own := _own(content)) in mappings else "")
    return {where: mapping for where, mapping in mappings.items() if chosen in ("", where)}


def _walk(content: Mapping, where: str = "", depth: int = 0) -> Iterator[tuple[str, Mapping]]:
    yield where or TOP, content
    if depth < _DEPTH:
        for name, value in content.items():
            if isinstance(value, Mapping):
                yield from _walk(value, f"{where}.{name}" if where else str(name), depth + 1)


def _best(readings: Iterator[Reading]) -> Reading:
    """The first reading that fits, else the first of those with the most matches."""
    best = next(readings)
    for reading in chain((best,), readings):
        if not reading.misfits:
            return reading
        if (reading.matches, -reading.misfits) > (best.matches, -best.misfits):
            best = reading
    return best


def _readings(where: str, mapping: Mapping, wanted: Sequence[Wanted]) -> Iterator[Reading]:
    """The ways to read a mapping, the simplest first: its keys as they are, without a prefix that
    most share, without the parts that wrappers put into some of them, with a prefix that all that
    is wanted shares."""
    state = {str(key): value for key, value in mapping.items() if isinstance(value, Tensor)}
    others = [str(key) for key, value in mapping.items() if not isinstance(value, Tensor)]
    aside = [f"{len(others)} entries that are no tensors left out ({_listed(others)})"] \
        if others else []
    counters = [key for key in state if key.rpartition(".")[2] in _COUNTERS
                and not any(key.endswith(ours) for each in wanted for ours in each.tensors)]
    if counters:
        kinds = "/".join(dict.fromkeys(key.rpartition(".")[2] for key in counters))
        aside.append(f"{len(counters)} counters {kinds} left out")
        state = {key: value for key, value in state.items() if key not in counters}
    for each in wanted:
        prefixes = dict.fromkeys(("", _shared(list(each.tensors), len(each.tensors))[-1]))
        for (keys, removed), added in product(_renamings(list(state)), prefixes):
            renamed = {f"{added}{new}": state[old] for old, new in keys.items()}
            steps = [*removed, *([f"prefix {added} added"] if added else [])]
            yield _reading(where, renamed, each, steps + aside)


def _reading(where: str, state: dict[str, Tensor], wanted: Wanted, done: list[str]) -> Reading:
    unused = {key: value for key, value in state.items() if key.startswith(wanted.unused)}
    renamed = {wanted.rename(key): value for key, value in state.items() if key not in unused}
    ours = wanted.tensors
    # Files of older torch versions lack their batch norms' counters, which then start at zero.
    absent = {key: torch.zeros_like(value, device="cpu") for key, value in ours.items()
              if key.endswith(_BATCHES) and key not in renamed
              and key.replace(_BATCHES, "running_mean") in renamed}
    if absent:
        done = [*done, f"{len(absent)} counters {_BATCHES}, which it lacks, are 0"]
    matches = sum(key in ours and shape(value) == shape(ours[key])
                  for key, value in renamed.items())
    lost = len(state) - len(unused) - len(renamed)  # of two keys that became one
    misfits = len(renamed.keys() | ours.keys()) - matches - len(absent) + lost
    return Reading(where, renamed | absent, unused, done, matches, misfits)


def _renamings(keys: list[str]) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Each way to shorten keys, old → new, and what it removes, in words."""
    bare = [".".join(part for part in key.split(".") if part not in _WRAPPERS) for key in keys]
    ways = [(keys, [])]
    if bare != keys and len(set(bare)) == len(keys):
        parts = [part for part in _WRAPPERS if any(part in key.split(".") for key in keys)]
        ways.append((bare, [f"{' and '.join(parts)} removed from keys"]))
    for short, removed in ways:
        for prefix in _shared(short, len(short) // 2 + 1):
            renamed = {key: new.removeprefix(prefix) for key, new in zip(keys, short, strict=True)}
            count = sum(new.startswith(prefix) for new in short)
            some = f" from {count} of {len(keys)} keys" if count < len(keys) else ""
            if len(set(renamed.values())) == len(keys):  # or else one would take another's place
                yield (renamed, [*removed, *([f"prefix {prefix} removed{some}"] if prefix else [])])


def _shared(keys: list[str], least: int) -> list[str]:
    """The prefixes, up to a point, that at least ``least`` keys share, from the empty one to the
    longest. ``least`` is more than half of them, so that there is one of each length at most."""
    prefixes = [""]
    while len(prefixes) <= _LONGEST:
        start = len(prefixes[-1])
        longer = Counter(key[:key.index(".", start) + 1] for key in keys
                         if key.startswith(prefixes[-1]) and "." in key[start:])
        prefix, count = max(longer.items(), key=lambda item: item[1], default=("", 0))
        if count < least or not count:
            break
        prefixes.append(prefix)
    return prefixes


def _listed(names: Sequence | Mapping, most: int = 5) -> str:
    """Names in a row, the first few of many."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
