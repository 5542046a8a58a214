"""Training steps on the CPU with and without ``keep_freed_memory``: prints the ratio.

    python -m benchmarks.cpu_memory [--size 224] [--batch 8] [--steps 3]

Each side runs in a process of its own, CPD-VGG in float32, one warm-up step not counted.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--side", choices=["kept", "returned"], help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def measure(args: argparse.Namespace) -> None:
    """One side: prints seconds a step and the peak memory in MiB."""
    import torch

    import model
    from engine.optimizer import clip_gradients
    from utils.config import load_config
    from utils.device import keep_freed_memory
    from utils.paths import CONFIGS

    if args.side == "kept":
        keep_freed_memory()
    torch.manual_seed(0)
    network = model.build("cpd_vgg")
    objective = model.objective_of(load_config(CONFIGS / "cpd_vgg.yaml"))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    sample = {"image": torch.randn(args.batch, 3, args.size, args.size),
              "mask": torch.rand(args.batch, 1, args.size, args.size)}
    for step in range(args.steps + 1):
        if step == 1:
            start = time.perf_counter()
        loss = sum(objective(network, sample)[1].values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_gradients(network.parameters(), value=0.5)
        optimizer.step()
    seconds = (time.perf_counter() - start) / args.steps
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.side:
        measure(args)
        return 0
    seconds = {}
    for side in ("returned", "kept"):
        command = [sys.executable, "-m", "benchmarks.cpu_memory", "--side", side, "--size",
                   str(args.size), "--batch", str(args.batch), "--steps", str(args.steps)]
        output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        seconds[side], peak = map(float, output.stdout.split())
        print(f"memory {side:8}: {seconds[side]:.2f} s a step, "
              f"{args.batch / seconds[side]:.2f} images/s, peak {peak:.0f} MiB")
    print(f"ratio: {seconds['returned'] / seconds['kept']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
