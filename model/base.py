"""What a network is: the contract that training, testing and the tests rely on."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from utils.errors import UserError

from .trunks.trunk import Trunk


class Network(nn.Module, ABC):
    """A paper's network. A subclass defines ``forward`` and changes the attributes that differ.

    Networks are built from arguments alone; their constructors read no file. An argument that a
    network cannot take raises a TypeError, which ``model.build`` turns into a message.
    """

    #: How the official checkpoint's keys become ours: pattern → replacement, regular expressions
    #: that match at the beginning of a key. All of them are applied, one after the other: the
    #: first rows rename the parts, later rows rename what is inside.
    released_keys: Mapping[str, str] = {}
    #: Beginnings of official keys whose tensors the released network never uses. They have no
    #: place here.
    never_run: ClassVar[tuple[str, ...]] = ()
    #: Beginnings of our parameters' keys that exist for the official checkpoint only and are not
    #: trained.
    never_trained: ClassVar[tuple[str, ...]] = ()
    #: Names of modules beside the trunks that are trained at their rate, ``optim.trunk_factor``.
    with_trunk: ClassVar[tuple[str, ...]] = ()
    #: Name of the module with the deepest features, where no trunk has them.
    deepest_module: ClassVar[str] = ""
    #: Whether the constructor takes ``mean`` and ``std``, the statistics that images are
    #: normalised with, because the network looks at the image's pixels.
    wants_statistics: ClassVar[bool] = False
    #: Side of the smallest image, in pixels, that the network takes at all.
    least_side: ClassVar[int] = 32
    #: Side of the smallest image, in pixels, at which every part of the network has something to
    #: work on.
    smallest_side: ClassVar[int] = 64
    #: What the sides of an image have to be multiples of, in pixels.
    multiple: ClassVar[int] = 1
    #: The only side that images may have, 0 where any will do.
    fixed_side: ClassVar[int] = 0
    #: Whether the outputs beside ``saliency`` have sizes of their own, at which the paper
    #: supervises them.
    own_sizes: ClassVar[bool] = False
    #: Options with which torch computes all of it, so that it can be traced, exported and counted,
    #: where the released way leaves torch.
    in_torch: ClassVar[Mapping[str, object]] = {}
    #: Class of the objective, for papers whose losses are more than a table ``loss.terms``.
    objective: ClassVar[type | None] = None

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Image (N, 3, H, W), float, normalised RGB → logits (N, 1, H, W) by name.

        ``saliency`` comes first and is the prediction that the paper evaluates. The other outputs
        are those that the paper supervises; with ``own_sizes`` they may be smaller.
        """

    @classmethod
    def require_size(cls, height: int, width: int) -> None:
        """Raise a UserError unless the network takes images of this size."""
        if cls.fixed_side and (height, width) != (cls.fixed_side, cls.fixed_side):
            raise UserError(f"{cls.__name__} takes images of {cls.fixed_side}×{cls.fixed_side} "
                            f"pixels, not {height}×{width}: data.size={cls.fixed_side}")
        if min(height, width) < cls.least_side:
            raise UserError(f"{cls.__name__} takes images of at least {cls.least_side} pixels a "
                            f"side, not {height}×{width}")
        if height % cls.multiple or width % cls.multiple:
            raise UserError(f"{cls.__name__} takes images whose sides are multiples of "
                            f"{cls.multiple} pixels, not {height}×{width}: see data.size and "
                            "data.scales")

    @classmethod
    def require_any_size(cls) -> None:
        """Raise a UserError unless the network takes images at their own sizes."""
        if cls.fixed_side or cls.multiple > 1:
            takes = f"images of {cls.fixed_side}×{cls.fixed_side} pixels" if cls.fixed_side else \
                f"images whose sides are multiples of {cls.multiple} pixels"
            raise UserError(f"data.size=native: {cls.__name__} takes {takes} only, which images' "
                            f"own sizes are not; data.size={cls.fixed_side or 352} squashes them")

    def released_key(self, key: str) -> str:
        """Our key for a key of the official checkpoint."""
        for pattern, ours in self.released_keys.items():
            key = re.sub(f"^{pattern}", ours, key)
        return key

    def trunks(self) -> dict[str, Trunk]:
        """The trunks in this network, by the name of their module."""
        return {name: module for name, module in self.named_modules()
                if isinstance(module, Trunk)}

    def deepest_stage(self) -> str:
        """Name of the module with the deepest features: the last stage of the trunk that ends at
        the largest stride, and of several such trunks the last."""
        trunks = self.trunks()
        if not trunks:
            return self.deepest_module
        name = max(reversed(trunks), key=lambda name: list(trunks[name].strides.values())[-1])
        return f"{name}.{list(trunks[name].strides)[-1]}"


def is_released(variant: str) -> bool:
    """Whether a network or objective is that of the released code, and not that of the paper.

    Raises:
        TypeError: the variant is neither ``released`` nor ``paper``.
    """
    if variant not in ("released", "paper"):
        raise TypeError(f"variant is released or paper, not {variant!r}")
    return variant == "released"


def switch(name: str, wanted: bool | None, default: bool) -> bool:
    """The option ``name``, or the variant's value where it is not given.

    Raises:
        TypeError: it is neither true nor false.
    """
    if wanted not in (True, False, None):
        raise TypeError(f"{name} is true or false, not {wanted!r}")
    return default if wanted is None else wanted
