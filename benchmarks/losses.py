"""Local saliency coherence: unfolding the windows against this repository's shifts, in one run.

    python -m benchmarks.losses [--batch 16] [--size 80] [--radius 5] [--repeats 5] [--gpu 0]

Forward and backward on a (16, 1, 80, 80) map with a window of 11×11, as SCWSSOD trains on. Each
side runs in a process of its own; seconds, the memory that it needs beside its inputs, and the
largest difference of the gradients are printed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def unfolded(saliency, image, radius: int, sigma_xy: float = 6.0, sigma_rgb: float = 0.1):
    """The formula as it stands: features and saliency of all windows unfolded."""
    import torch
    import torch.nn.functional as F

    count, _, height, width = saliency.shape
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = torch.stack([rows, columns])[None].to(image).expand(count, -1, -1, -1)
    features = torch.cat([place / sigma_xy, image / sigma_rgb], dim=1)

    def windows(x):
        return F.unfold(x, 2 * radius + 1, padding=radius).unflatten(
            1, (x.shape[1], -1)).unflatten(-1, (height, width))

    distance = (windows(features) - features[:, :, None]).square().sum(dim=1)
    difference = (windows(saliency)[:, 0] - saliency).abs()
    return (torch.exp(-distance / 2) * difference).sum(dim=1).mean()


def measure(args: argparse.Namespace) -> dict:
    """One side: seconds of forward and backward, memory in MiB; its gradient goes to a file."""
    import torch

    from losses import saliency_coherence
    from utils.device import select_device

    device = select_device(args.gpu)
    random = torch.Generator().manual_seed(0)
    saliency = torch.rand(args.batch, 1, args.size, args.size, generator=random)
    image = torch.rand(args.batch, 3, args.size // 8, args.size // 8, generator=random)
    image = torch.nn.functional.interpolate(image, size=(args.size, args.size), mode="bilinear")
    saliency, image = saliency.to(device).requires_grad_(), image.to(device)
    function = {"unfolded": unfolded, "ours": saliency_coherence}[args.side]
    function(saliency[:1, :, :16, :16], image[:1, :, :16, :16], args.radius).backward()  # warm up

    def peak() -> float:
        if device.type == "cuda":
            return torch.cuda.max_memory_allocated(device) / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before, seconds = peak(), []
    for _ in range(args.repeats):
        saliency.grad = None
        start = time.perf_counter()
        value = function(saliency, image, args.radius)
        value.backward()
        value = value.item()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    torch.save(saliency.grad.cpu(), args.gradient)
    return {"seconds": sorted(seconds)[len(seconds) // 2], "mib": peak() - before, "value": value}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = {"batch": 16, "size": 80, "radius": 5, "repeats": 5}
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--gpu", default="auto")
    parser.add_argument("--side", choices=["unfolded", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--gradient", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.side:
        print(json.dumps(measure(args)))
        return 0
    found, gradients = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for side in ("unfolded", "ours"):
            gradients[side] = Path(folder, side)
            command = [sys.executable, "-m", "benchmarks.losses", "--side", side, "--gradient",
                       str(gradients[side]), "--gpu", args.gpu]
            for name in numbers:
                command += [f"--{name}", str(getattr(args, name))]
            output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE,
                                    text=True).stdout
            found[side] = result = json.loads(output.splitlines()[-1])
            print(f"{side:9} {result['seconds']:.4f} s, {result['mib']:.0f} MiB, "
                  f"loss {result['value']:.6f}", flush=True)
        import torch

        one, other = (torch.load(path, weights_only=True) for path in gradients.values())
    theirs, ours = found["unfolded"], found["ours"]
    print(f"ratio: {theirs['seconds'] / ours['seconds']:.1f} times as fast, "
          f"{theirs['mib'] / max(ours['mib'], 0.1):.0f} times less memory; losses differ by "
          f"{abs(theirs['value'] / ours['value'] - 1):.1e} of themselves, gradients by "
          f"{(one - other).abs().max() / one.abs().max():.1e} of the largest")
    return 0


if __name__ == "__main__":
    sys.exit(main())
