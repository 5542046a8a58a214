"""Training and inference of every recipe: plain float32 against this repository's way.

    python -m benchmarks.train                                   every recipe, at its size and batch
    python -m benchmarks.train --config wssa scwssod --size 160 --batch 4 --steps 3
    python -m benchmarks.train --config cpd_vgg --without memory     what one part is worth
    python -m benchmarks.train --config cpd_vgg train.compile=true
    python -m benchmarks.train --save docs/benchmarks.json       for the documents' tables

Plain: float32, channels first, PyTorch's default optimizer, memory returned to the system at once,
and the parts of ``benchmarks/released.py`` as the released code writes them. Ours is what train.py
does. Both sides take the same steps of the recipe, from the same random weights, on the same made
images, masks, scribbles and edges, each in a process of its own. The command prints a Markdown row
for each recipe: images a second in training and inference with their ratios, our peak memory over
the plain side's, and the parts of our step in seconds; and to stderr the losses of both sides.
``--save`` keeps the rows in a file, of which ``python -m report zoo`` makes these tables.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path

import torch

import model
import train
from data.joint import find_edge_pairs
from data.loader import training_loader
from data.scribbles import Pen, write_scribbles
from data.split import find_data
from engine.precision import Precision
from engine.run import Run
from report import speeds
from utils.cli import parse_with_overrides
from utils.config import load_config
from utils.device import keep_freed_memory, select_device, set_threads
from utils.errors import UserError, reports_errors
from utils.machine import cores, processor
from utils.origin import commit
from utils.paths import CONFIGS
from utils.recipes import recipe_path
from utils.world import World

from .loader import make_pairs
from .process import in_a_process, peak_mib
from .released import install

PARTS = ("precision", "layout", "optimizer", "memory", "released")  # in which the sides differ
WARM_UP = 2  # steps that are not timed
MOVED = {"loss": "the recipe says it (--config, loss.… as key=value)",
         "precision": "now train.precision=…", "compile": "now train.compile=true"}


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", "--network", nargs="+", metavar="RECIPE",
                        help="files, or names in configs/ (default: all but the demo)")
    parser.add_argument("--size", type=int, help="of the images, in place of the recipe's; a "
                        "network that does not take it gets the nearest below that it takes")
    parser.add_argument("--batch", type=int, help="in place of the recipe's")
    parser.add_argument("--steps", type=int, default=4,
                        help=f"timed steps (default: 4), after {WARM_UP} that are not")
    parser.add_argument("--without", nargs="+", choices=PARTS, default=list(PARTS),
                        help="what the plain side lacks (default: all)")
    parser.add_argument("--gpu", default="auto")
    parser.add_argument("--save", type=Path, metavar="FILE",
                        help="put the rows into this JSON file; those of other recipes stay")
    for name in MOVED:
        parser.add_argument(f"--{name}", nargs="?", const="", help=argparse.SUPPRESS)
    args = parse_with_overrides(parser, argv, ["config"])
    for name, place in MOVED.items():
        if getattr(args, name) is not None:
            raise UserError(f"--{name}: {place}")
    if args.save and (args.overrides or args.without != list(PARTS)):
        raise UserError("--save keeps what the recipes give; leave out "
                        f"{' '.join(args.overrides) or '--without'}, or --save")
    if args.save:
        if not args.save.parent.is_dir():
            raise UserError(f"--save {args.save}: there is no folder {args.save.parent}; make it, "
                            "or name another file")
        speeds.read_speeds(args.save)  # what it cannot be added to is an error now, not after hours
    names = args.config or sorted(path.stem for path in CONFIGS.glob("*.yaml")
                                  if path.stem != "demo")
    args.config = [recipe_path(name) for name in names]
    return args


def measure(path: Path, overrides: list[str], steps: int, gpu: str, without: list[str]) -> dict:
    """One side: median seconds of a step's parts and of inference, peak memory, losses.

    Args:
        overrides: key=value words, which name the made data.
        without: the parts that this side lacks, of ``PARTS``.
    """
    config, device = load_config(path, overrides), select_device(gpu)
    if config.data.edge_train:
        config.data.edge_train = config.data.train  # masks are as costly as edges
    set_threads(config.threads)
    if "released" in without:
        install()
    if "memory" not in without and device.type == "cpu":
        keep_freed_memory()
    precision = Precision("fp32" if "precision" in without else config.train.precision, device)
    if "layout" in without:
        precision.layout = torch.contiguous_format
    torch.manual_seed(0)
    network, objective = precision.place(model.from_recipe(config)), model.objective_of(config)
    pairs, _ = find_data(config, World())
    loader = training_loader(pairs, config.data, config.train.batch, config.seed, device,
                             targets=objective.targets, edges=find_edge_pairs(config))
    loader.data.require_sound("made data")
    run = Run(config, network, objective, loader, Path(config.data.root), precision)
    if "optimizer" in without:
        for group in run.optimizer.param_groups:
            group["fused"] = None
        run.optimizer._step_supports_amp_scaling = False  # only what is fused leaves out steps
    clock = Clock(run, device)
    train.train(run, [])
    infer = clock.inference(network, precision)
    parts = [statistics.median(column) for column in zip(*clock.rows[WARM_UP:], strict=True)]
    return {"device": f"{device}, {precision.name}", "batch": config.train.batch,
            "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
            "size": str(config.data.size), "parts": dict(zip(speeds.STEP, parts, strict=True)),
            "step": statistics.median(map(sum, clock.rows[WARM_UP:])),
            "infer": statistics.median(infer[-steps:]), "mib": peak_mib(device),
            "losses": clock.losses}


class Clock:
    """Takes the times of a run's steps, in place of the loop's bookkeeping and saving.

    Attributes:
        rows: the seconds of each step's parts, as ``speeds.STEP`` names them.
        losses, images: of each step.
    """

    def __init__(self, run: Run, device: torch.device):
        self.device, self.objective = device, run.objective
        self.marks, self.rows, self.losses, self.images = [], [], [], []
        run.objective, run.save, train.watch = self.timed, lambda name: None, self.watch
        run.optimizer.register_step_pre_hook(self.mark)
        self.mark()

    def mark(self, *_) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.marks.append(time.perf_counter())

    def timed(self, *arguments):
        """The objective, between two marks."""
        self.mark()
        result = self.objective(*arguments)
        self.mark()
        return result

    def watch(self, run, log, sample, result) -> None:
        """The end of a step: note what it took."""
        self.mark()
        data, *parts, update = self.intervals()
        # A batch that is split passes forward and backward once for each part.
        self.rows.append([data, sum(parts[::2]), sum(parts[1::2]), update])
        self.losses.append(result.loss.item())
        images = sample["image"]
        self.images.append(images if isinstance(images, list) else [images])
        self.mark()

    def intervals(self) -> list[float]:
        """The seconds between the marks, which are forgotten."""
        times = [after - before for before, after in pairwise(self.marks)]
        self.marks.clear()
        return times

    def inference(self, network: torch.nn.Module, precision: Precision) -> list[float]:
        """Seconds of the network alone on the images of each step."""
        network.eval()
        for parts in self.images:
            with torch.inference_mode(), precision.autocast():
                for images in parts:
                    network(images)
            self.mark()
        return self.intervals()


def make_data(folder: Path, count: int) -> list[str]:
    """Write a set with images, masks and scribbles; the key=value words that train on it."""
    (folder / "MADE").mkdir()
    pairs = make_pairs(folder / "MADE", count)
    write_scribbles(pairs, folder / "MADE/scribbles", Pen(), seed=0)
    return [f"data.root={folder}", "data.train=[MADE]", "data.body=", "data.detail=",
            "val.fraction=0", "weights.backbone=none", "train.epochs=1"]


def overrides_of(path: Path, args: argparse.Namespace) -> list[str]:
    """The key=value words of the command line for a recipe, with a size that its network takes."""
    words = list(args.overrides)
    if args.size:
        network = model.network_class(load_config(path, words).model.name)
        size = network.fixed_side or max(args.size - args.size % network.multiple,
                                         network.multiple)
        words.append(f"data.size={size}")
    if args.batch:
        words.append(f"train.batch={args.batch}")
    return words


def row_of(plain: dict, ours: dict) -> dict:
    """What was measured of a recipe, as ``report.speeds`` keeps it, without date and commit."""
    def images_a_second(part: str) -> dict[str, float]:
        slow, fast = (side["batch"] / side[part] for side in (plain, ours))
        return {"plain": round(slow, 3), "here": round(fast, 3), "ratio": round(fast / slow, 3)}

    return {"size": ours["size"], "batch": ours["batch"], "training": images_a_second("step"),
            "inference": images_a_second("infer"), "memory": round(ours["mib"] / plain["mib"], 3),
            "seconds": {part: round(ours["parts"][part], 4) for part in speeds.STEP},
            "device": ours["device"], "machine": ours["machine"], "cores": cores(),
            "torch": torch.__version__}


def name_of(path: Path) -> str:
    """A recipe's name in configs/, such as ``paper/cpd_vgg``; of any other the file's name."""
    path = path.resolve()
    if not path.is_relative_to(CONFIGS):
        return path.name
    return path.relative_to(CONFIGS).with_suffix("").as_posix()


@reports_errors
def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    words = {path: overrides_of(path, args) for path in args.config}
    batch = max(load_config(path, words[path]).train.batch for path in args.config)
    session = {"date": f"{datetime.now(timezone.utc):%Y-%m-%d}", "commit": commit()}
    print(speeds.head(), end="")
    with tempfile.TemporaryDirectory() as folder:
        made = in_a_process(make_data, Path(folder), batch * (args.steps + WARM_UP))
        made.append(f"train.steps={args.steps + WARM_UP}")
        for path in args.config:
            plain, ours = (in_a_process(measure, path, words[path] + made, args.steps, args.gpu,
                                        without) for without in (args.without, []))
            name, row = name_of(path), row_of(plain, ours) | session
            print(speeds.line(name, row), end="", flush=True)
            if args.save:
                speeds.add_speed(args.save, name, row)
            for which, side in (("plain", plain), ("here", ours)):
                print(f"losses, {which}:", *(f"{loss:.4g}" for loss in side["losses"]),
                      file=sys.stderr)
    print(f"\n{plain['device']} against {ours['device']}; plain is without "
          f"{', '.join(args.without)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
