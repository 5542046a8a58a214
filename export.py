"""Export a trained network to another runtime, and hold the file against the network.

    python export.py --config u2netp --official --out u2netp.onnx
    python export.py --checkpoint checkpoints/trial --format torchscript
    python export.py --config u2netp --official --with-normalisation --check photos/

The file takes images and gives logits and probabilities (N, 1, H, W); docs/export.md tells the
details. It is run on images of the built-in sample, and of --check. Where a probability differs by
more than 0.001 from the network's, the file is removed and the command fails.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor

import model
from data import decode_image
from data.inputs import collect_inputs
from data.layers import finish, squash
from data.sample import draw_pair
from engine.__main__ import NATIVE_SIZE
from engine.export import (
    FORMATS,
    OPSET,
    TOLERANCE,
    Deployed,
    largest_difference,
    metadata,
    takes,
    write_and_open,
)
from engine.prediction import evaluating
from engine.trained import TrainedElsewhere, choose
from utils.cli import parse_with_overrides
from utils.device import set_threads
from utils.errors import UserError, reports_errors
from utils.option import NATIVE
from utils.schema import sides
from utils.stop import terminable
from utils.world import World

DRAWN = 6  # images of the sample that a file is run on


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", metavar="RECIPE", help="see test.py")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="see test.py")
    parser.add_argument("--official", action="store_true", help="see test.py")
    parser.add_argument("--format", choices=FORMATS, default="onnx", help="(default: onnx)")
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="the file to write (default: the recipe's name with the format's "
                             "ending)")
    parser.add_argument("--with-normalisation", action="store_true",
                        help="the file takes uint8 RGB (N, H, W, 3), not normalised images")
    parser.add_argument("--precision", choices=("fp32", "fp16"), default="fp32",
                        help="of the weights and of what is computed (default: fp32)")
    parser.add_argument("--check", nargs="+", action="extend", metavar="PATH",
                        help="images, folders or patterns that the file is run on as well")
    return parse_with_overrides(parser, argv, lists=("check",))


@reports_errors
def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    trained = choose(args.config, args.checkpoint, args.official, args.overrides)
    if isinstance(trained, TrainedElsewhere):
        raise UserError(f"{trained.path} is exported already; name the checkpoint that it is of")
    config = trained.config
    set_threads(config.threads)
    out = args.out or Path(f"{config.name}{FORMATS[args.format]}")
    if out.suffix != FORMATS[args.format]:
        raise UserError(f"--out {out}: a file of {args.format} ends in {FORMATS[args.format]}")
    if out.exists():
        raise UserError(f"{out} is there already; remove it, or give another --out")
    pairs = collect_inputs(args.check, World(), option="--check") if args.check else []
    network = trained.build()
    data = OmegaConf.to_object(config.data) if args.with_normalisation else None
    half = args.precision == "fp16"
    with evaluating(network), terminable():  # so that half a file does not stay behind
        reference = Deployed(copy.deepcopy(network) if half else network, data)
        size = NATIVE_SIZE if config.data.size == NATIVE else sides(config.data.size)
        pictures = [*drawn(), *(pair.image for pair in pairs)]
        batches = partial(batches_of, pictures, size, config, args.with_normalisation)
        own = next(batches())
        other = batches_of_another_size(pictures, size, config, args.with_normalisation)
        temporary = out.with_name(f".{os.getpid()}{FORMATS[args.format]}")
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            about = metadata(trained, args.with_normalisation, half)
            run = write_and_open(Deployed(network, data, half), own, other, temporary, args.format,
                                 about)
            difference = largest_difference(reference, run, batches())
            if not difference <= TOLERANCE:
                raise UserError(f"on {len(pictures)} images a probability of the exported file "
                                f"differs by {difference:.2g} from the network's, which is more "
                                f"than {TOLERANCE:g}; no file is kept")
            free = bool(other) and takes(run, other) and \
                largest_difference(reference, run, other) <= TOLERANCE
            temporary.replace(out)
        finally:
            temporary.unlink(missing_ok=True)
    opset = f", opset {OPSET}" if args.format == "onnx" else ""
    shape = "uint8 (N, H, W, 3) RGB" if data else "float32 (N, 3, H, W), normalised"
    print(f"{out}: {args.format}{opset}, {args.precision}, {out.stat().st_size / 1e6:.1f} MB\n"
          f"  image: {shape}; {'height and width are free' if free else '{}×{} only'.format(*size)}"
          f"\n  logits, saliency: float32 (N, 1, H, W)\n"
          f"  on {len(pictures)} images the largest difference of a probability is "
          f"{difference:.1e}")
    return 0


def drawn() -> list[Image.Image]:
    """Images of the sample."""
    random = np.random.default_rng(0)
    return [Image.fromarray(draw_pair(random)[0]) for _ in range(DRAWN)]


def batches_of(pictures: list[Image.Image | Path], size: tuple[int, int], config: DictConfig,
               as_bytes: bool) -> Iterator[Tensor]:
    """Two pictures, one, three, then two at a time, of ``size``, as the file takes them; those that
    are named by files are decoded when it is their turn."""
    options, start = OmegaConf.to_object(config.data), 0
    counts = [2, 1, 3]
    while start < len(pictures):
        chunk = pictures[start:start + (counts.pop(0) if counts else 2)]
        start += len(chunk)
        decoded = [decode_image(each) if isinstance(each, Path) else each for each in chunk]
        squashed = torch.stack([squash({"image": picture}, size, options)["image"]
                                for picture in decoded])
        if as_bytes:
            yield squashed.float().round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        else:
            yield finish({"image": squashed}, options)["image"]


def batches_of_another_size(pictures: list[Image.Image | Path], size: tuple[int, int],
                            config: DictConfig, as_bytes: bool) -> list[Tensor]:
    """Two pictures that are higher than ``size``, and still wider; none where the network does not
    take them."""
    other = size[0] + 32, size[1] + 64
    try:
        model.network_class(config.model.name).require_size(*other)
    except UserError:
        return []
    return list(batches_of(pictures[:2], other, config, as_bytes))


if __name__ == "__main__":
    sys.exit(main())
