"""Local saliency coherence: unfolding the windows against this repository's shifts.

    python -m benchmarks.losses [--batch 16] [--size 80] [--radius 5] [--repeats 5] [--gpu 0]

Forward and backward on a (16, 1, 80, 80) map with a window of 11×11, as SCWSSOD trains on. Each
side runs in a process of its own. It prints seconds, the memory needed beside the inputs, and the
largest difference of the gradients.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import torch
import torch.nn.functional as F

from losses import saliency_coherence
from utils.device import select_device

from .process import in_a_process, peak_mib
from .released import unfolded_coherence

SIDES = {"unfolded": unfolded_coherence, "here": saliency_coherence}


def measure(side: str, args: argparse.Namespace) -> dict:
    """One side: seconds of forward and backward, memory in MiB, the loss and its gradient."""
    device, function = select_device(args.gpu), SIDES[side]
    random = torch.Generator().manual_seed(0)
    saliency = torch.rand(args.batch, 1, args.size, args.size, generator=random)
    image = torch.rand(args.batch, 3, args.size // 8, args.size // 8, generator=random)
    image = F.interpolate(image, size=(args.size, args.size), mode="bilinear")
    saliency, image = saliency.to(device).requires_grad_(), image.to(device)
    function(saliency[:1, :, :16, :16], image[:1, :, :16, :16], args.radius).backward()  # warm up
    before, seconds = peak_mib(device), []
    for _ in range(args.repeats):
        saliency.grad = None
        start = time.perf_counter()
        loss = function(saliency, image, args.radius)
        loss.backward()
        value = loss.item()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds), "mib": peak_mib(device) - before,
            "loss": value, "gradient": saliency.grad.cpu().numpy()}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"batch": 16, "size": 80, "radius": 5, "repeats": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--gpu", default="auto")
    args = parser.parse_args(argv)
    unfolded, here = (in_a_process(measure, side, args) for side in SIDES)
    for name, side in zip(SIDES, (unfolded, here), strict=True):
        print(f"{name:9} {side['seconds']:.4f} s, {side['mib']:.0f} MiB, loss {side['loss']:.6f}")
    largest = abs(unfolded["gradient"]).max()
    print(f"ratio: {unfolded['seconds'] / here['seconds']:.1f} times as fast, "
          f"{unfolded['mib'] / max(here['mib'], 0.1):.0f} times less memory; losses differ by "
          f"{abs(unfolded['loss'] / here['loss'] - 1):.1e} of themselves, gradients by "
          f"{abs(unfolded['gradient'] - here['gradient']).max() / largest:.1e} of the largest")
    return 0


if __name__ == "__main__":
    sys.exit(main())
