"""``data.size=native``: images at their own sizes, as some papers train and test them.

In training each image of a batch goes through the network alone. In evaluation, images of one size
share a batch. Sizes are read from the headers of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from omegaconf import DictConfig

from utils.errors import UserError, list_problems
from utils.images import UnreadableError
from utils.option import NATIVE

from .decode import upright_size
from .pairing import Pair
from .sizes import Size


def own_sizes(pairs: Sequence[Pair]) -> list[Size]:
    """Height and width of each pair's image, upright.

    A file without a header that can be read counts as one pixel: ``soundness.require_sound`` names
    all of these together, before anything is made of them.
    """
    return [_own_size(pair) for pair in pairs]


def _own_size(pair: Pair) -> Size:
    try:
        return upright_size(pair.image)[::-1]
    except UnreadableError:
        return 1, 1


def of_one_size(sizes: Sequence[Size], batch: int) -> list[list[int]]:
    """Batches of at most ``batch`` images, all of one size, as positions in ``sizes``; in the order
    in which their first images stand there."""
    groups: dict[Size, list[int]] = {}
    for index, size in enumerate(sizes):
        groups.setdefault(size, []).append(index)
    batches = [group[start:start + batch] for group in groups.values()
               for start in range(0, len(group), batch)]
    return sorted(batches)


def require_sizes(pairs: Sequence[Pair], size: object, check: Callable[[int, int], None]) -> None:
    """See whether a network takes all images, where each keeps its own size.

    Args:
        size: a recipe's ``data.size``.
        check: raises a UserError unless the network takes images of this height and width.

    Raises:
        UserError: it lists the images that the network does not take.
    """
    if size == NATIVE:
        require_sizes_of({str(pair.image): _own_size(pair) for pair in pairs}, check)


def require_sizes_of(images: Mapping[str, Size], check: Callable[[int, int], None]) -> None:
    """As ``require_sizes``, for names of images with their heights and widths."""
    problems = []
    for name, own in images.items():
        try:
            check(*own)
        except UserError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise UserError(list_problems("images that the network does not take at their own sizes",
                                      problems, "Leave them out, or squash all images: data.size "
                                      "as a number of pixels or [height,width]."))


def require_one_by_one(config: DictConfig) -> None:
    """Raise a UserError unless a recipe can train on images of their own sizes, where it asks for
    that."""
    data, train = config.data, config.train
    rules = (("data.scales", list(data.scales) == [1], "[1]: images keep their own sizes"),
             ("train.accumulate", train.accumulate >= train.batch, f"{train.batch}, as train.batch:"
              " images of different sizes go through the network one by one"),
             ("train.sync_norm", not train.sync_norm, "false: processes have different numbers of "
              "images"))
    problems = [f"{key} must be {rule}" for key, holds, rule in rules if not holds]
    if data.size == NATIVE and problems:
        raise UserError(f"data.size={NATIVE}: {'; '.join(problems)}")
