"""Which configuration keys decide how the masks of a set are found and decoded: all commands that
read masks take these, and what hands a recipe's masks on to another command hands on these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

from .config import merge_config
from .schema import DataConfig

_CODING = tuple(f"data.mask_{name}" for name in ("coding", "threshold", "void", "void_value",
                                                 "trimap"))
MASK_KEYS = ("data.recursive", "data.mask_prefix", "data.mask_suffix", *_CODING)


def key_of(word: str) -> str:
    """The key of a ``key=value`` word."""
    return word.partition("=")[0]


def decided_words(data: Any) -> list[str]:
    """What the ``data`` group of a configuration decides on masks otherwise than by default, as
    ``key=value`` words."""
    words, default = [], DataConfig()
    for key in MASK_KEYS:
        value, usual = (getattr(group, key.removeprefix("data.")) for group in (data, default))
        if value != usual:
            words.append(f"{key}={list(value) if isinstance(usual, list) else value}")
    return words


def completed(given: Sequence[str], recorded: Sequence[str]) -> list[str]:
    """``given`` words, and before them the ``recorded`` ones on keys that they leave open. A coding
    that is given leaves nothing open of the coding: thresholds and numbers are those of one."""
    closed = set(map(key_of, given))
    if "data.mask_coding" in closed:
        closed |= set(_CODING)
    return [word for word in recorded if key_of(word) not in closed] + list(given)


def read_words(words: Sequence[str], origin: str = "command line") -> DataConfig:
    """The ``data`` group that ``key=value`` words give.

    Raises:
        UserError: a value that the schema does not allow; ``origin`` names where it is from.
    """
    return OmegaConf.to_object(merge_config({}, words, origin).data)
