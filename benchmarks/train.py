"""Training and inference: plain float32 against this repository's loop, in one run.

    python -m benchmarks.train [--network cpd_vgg] [--size 352] [--batch 4] [--steps 4] [--gpu 0]
    python -m benchmarks.train --network tracer_te0 --loss tracer --size 320

Plain: float32, channels first, eager, PyTorch's default optimizer, the plain loader of
benchmarks/loader.py; for TRACER also the frequency mask and the loss's weights made as the released
code makes them (benchmarks/released_tracer.py). Ours: ``engine.step.Step`` and the loader as
train.py has them (mixed precision, channels-last, fused optimizer, freed memory kept on a CPU;
``--compile`` for torch.compile). Each side runs in a process of its own on the same random weights
and made images; it prints images a second, the peak memory, where the time of a step goes, the
losses of the steps, and the ratios.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="cpd_vgg")
    parser.add_argument("--loss", default="cpd")
    parser.add_argument("--size", type=int, default=352)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4, help="timed steps, after two that are not")
    parser.add_argument("--precision", default="auto", help="of our side (default: auto)")
    parser.add_argument("--gpu", default="auto")
    parser.add_argument("--compile", action="store_true", help="torch.compile our side")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=["plain", "ours"], help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def measure(args: argparse.Namespace) -> dict:
    """One side: seconds of training and inference, peak memory, parts of a step, losses."""
    import torch

    import model
    from engine.optimizer import build_optimizer
    from engine.precision import Precision
    from engine.step import Step
    from utils.config import default_config
    from utils.device import keep_freed_memory, select_device

    device = select_device(args.gpu)
    ours = args.side == "ours"
    if not ours and args.loss == "tracer":
        from benchmarks.released_tracer import install

        install()
    if ours and device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(0)
    config = default_config()
    config.optim.clip_value = 0.5
    precision = Precision(args.precision if ours else "fp32", device)
    if not ours:
        precision.layout = torch.contiguous_format
    network = precision.place(model.build(args.network)).train()
    optimizer = build_optimizer(config.optim, network) if ours else \
        torch.optim.Adam(network.parameters(), lr=config.optim.lr)
    step = Step(torch.compile(network) if ours and args.compile else network,
                objective_of(args), optimizer, precision, config)
    marks: dict[str, float] = {}
    for name, parts in (("forward", step.objective), ("optimizer", step.scaler.step)):
        timed = timer(parts, name, marks, device)
        if name == "forward":
            step.objective = timed
        else:
            step.scaler.step = timed
    rows, values, batches, kept = [], [], iter(batches_of(args, device)), []
    for number in range(args.steps + 2):
        start = now(device)
        marks.clear()
        sample = precision.batch(next(batches))
        marks["data"] = now(device) - start
        done = step(sample)
        seconds = now(device) - start
        values.append(done.loss.item())
        kept.append(sample["image"])
        if number >= 2:
            rows.append({"step": seconds, **marks,
                         "backward and clipping": seconds - sum(marks.values())})
    infer = infer_seconds(network, kept, precision)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else \
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    middle = sorted(rows, key=lambda row: row["step"])[len(rows) // 2]
    return {"device": str(device), "precision": precision.name, "train": middle,
            "infer": sorted(infer[2:])[args.steps // 2], "peak_mib": peak / 2**20,
            "losses": values}


def objective_of(args: argparse.Namespace):
    """The objective that ``--loss`` names."""
    import model
    from utils.config import merge_config

    return model.objective_of(merge_config({"model": {"name": args.network},
                                            "loss": {"name": args.loss}}))


def infer_seconds(network, batches: list, precision) -> list[float]:
    """Seconds of a forward pass on each batch of images."""
    import torch

    network.eval()
    seconds = []
    for images in batches:
        start = now(precision.device)
        with torch.inference_mode(), precision.autocast():
            network(images)
        seconds.append(now(precision.device) - start)
    return seconds


def batches_of(args: argparse.Namespace, device) -> Iterator[dict]:
    """Batches of the made pairs, in the same order on both sides."""
    from omegaconf import OmegaConf
    from torch.utils.data import DataLoader

    from benchmarks.loader import Plain
    from benchmarks.released_tracer import PlainWithEdges
    from data import pair_folders
    from data.loader import BatchDraws, training_loader
    from utils.config import default_config

    pairs = pair_folders(args.folder / "images", args.folder / "masks")
    config = OmegaConf.merge(default_config().data,
                             {"size": args.size, "soft_mask": True, "workers": 2})
    edges = "edge" in objective_of(args).targets
    if args.side == "ours":
        config.edges = "mask" if edges else "none"
        loader = training_loader(pairs, config, args.batch, 0, device)
        loader.data.require_sound("pairs")
        yield from loader
    else:
        draws = BatchDraws(len(pairs), args.batch, [args.size], 0, shuffle=True)
        order = [[draw.index for draw in batch] for batch in draws]
        data = (PlainWithEdges if edges else Plain)(pairs, config)
        for layers in DataLoader(data, batch_sampler=order, num_workers=2,
                                 pin_memory=device.type == "cuda"):
            yield {**dict(zip(("image", "mask", "edge"), layers, strict=False)),
                   "name": ["x"] * len(layers[0])}


def now(device) -> float:
    """Seconds, once the device has done all it was told."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)
    return time.perf_counter()


def timer(function, name: str, marks: dict[str, float], device):
    """The function, adding the seconds that it takes to ``marks[name]``."""
    def timed(*arguments):
        start = now(device)
        result = function(*arguments)
        marks[name] = marks.get(name, 0.0) + now(device) - start
        return result
    return timed


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    if args.side:
        print(json.dumps(measure(args)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        from benchmarks.loader import make_pairs

        make_pairs(Path(folder), args.batch * (args.steps + 2))
        return compare(args, folder)


def compare(args: argparse.Namespace, folder: str) -> int:
    """Run both sides and print what they found."""
    found = {}
    for side in ("plain", "ours"):
        command = [sys.executable, "-m", "benchmarks.train", "--side", side, "--folder", folder]
        for name in ("network", "loss", "size", "batch", "steps", "precision", "gpu"):
            command += [f"--{name}", str(getattr(args, name))]
        if args.compile:
            command.append("--compile")
        output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        found[side] = result = json.loads(output.stdout.splitlines()[-1])
        where = ", ".join(f"{name} {seconds:.3f}" for name, seconds in result["train"].items()
                          if name != "step")
        print(f"{side:5} ({result['device']}, {result['precision']}): training "
              f"{args.batch / result['train']['step']:.2f} images/s (seconds a step: {where}), "
              f"inference {args.batch / result['infer']:.2f} images/s, peak "
              f"{result['peak_mib']:.0f} MiB", flush=True)
        print("      losses " + " ".join(f"{value:.4f}" for value in result["losses"]))
    plain, ours = found["plain"], found["ours"]
    print(f"ratio: training {plain['train']['step'] / ours['train']['step']:.2f}, inference "
          f"{plain['infer'] / ours['infer']:.2f}, peak memory "
          f"{ours['peak_mib'] / plain['peak_mib']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
