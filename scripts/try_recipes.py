"""Train recipes for a few steps on few real images, and predict with what came of it.

    python -m scripts.try_recipes data.root=DIR                     all recipes but the demo
    python -m scripts.try_recipes dss_vgg paper/dss_vgg data.root=DIR weights.backbone=VGG16.pth

DIR holds a few pairs of DUTS-TR and ECSSD. A recipe keeps its losses and its optimizer; images are
small where the network allows it. Ten pairs in batches of two are an epoch of five steps, so that
the mean losses of the first and the last five steps are over the same images. The command prints a
Markdown row for each recipe: these losses, the time of training and of prediction, and the number
of maps. It fails where a recipe fails, or a loss does not fall.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
import tempfile
import time
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path

import test as test_script
import train as train_script
from data.catalog import find_set
from model import network_class
from utils.cli import parse_with_overrides
from utils.config import load_config
from utils.errors import UserError, reports_errors
from utils.paths import CONFIGS, ROOT
from utils.recipes import recipe_path

BATCH, EPOCH = 2, 5  # images, steps
SETS = ("DUTS-TR", "ECSSD")  # to train on, and to predict
HEAD = """\
| recipe | size | loss of the first 5 steps | of the last 5 | ratio | train, s | predict, s | maps |
| --- | --: | --: | --: | --: | --: | --: | --: |"""


def link_pairs(root: Path, folder: Path) -> None:
    """Make ``folder`` a set of the first pairs of DUTS-TR under ``root``, as many as an epoch has.

    Raises:
        UserError: the set has fewer pairs.
    """
    pairs = find_set(SETS[0], root).pairs[:BATCH * EPOCH]
    if len(pairs) < BATCH * EPOCH:
        raise UserError(f"{root}: {SETS[0]} has {len(pairs)} pairs, fewer than {BATCH * EPOCH}")
    for part in ("image", "mask"):
        (folder / f"{part}s").mkdir()
        for pair in pairs:
            path = getattr(pair, part)
            (folder / f"{part}s" / path.name).symlink_to(path.absolute())


def title_of(path: Path) -> str:
    """A recipe as the command line names it, such as paper/dss_vgg."""
    inside = path.is_relative_to(CONFIGS)
    return path.relative_to(CONFIGS).with_suffix("").as_posix() if inside else path.stem


def settings_of(path: Path, args: argparse.Namespace) -> list[str]:
    """The ``key=value`` words that make a recipe small, and those of the command line."""
    network = network_class(load_config(path, args.overrides).model.name)
    side = network.fixed_side or max(args.size, network.smallest_side)
    name = f"try_{path.stem}_{os.getpid()}"  # two trials at a time do not share a folder
    # Maps of a first round, which LDF's second round learns from, are not at hand.
    return [f"name={name}", "val.data=[]", "val.fraction=0", "data.body=", "data.detail=",
            f"data.size={side}", "data.scales=[1.0]", f"train.batch={BATCH}",
            f"train.epochs={args.steps}", f"train.steps={args.steps}", "train.log_every=1",
            *args.overrides]


@reports_errors
def try_recipe(path: Path, args: argparse.Namespace) -> int:
    """Train, predict, print the row. Returns 0 where all went well and the loss fell."""
    words = settings_of(path, args)
    config = load_config(path, words)
    run, times = train_script.CHECKPOINTS / config.name, [time.monotonic()]
    try:
        with redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as folder:
            training, maps = Path(folder, "few"), Path(folder, "maps")
            training.mkdir()
            link_pairs(ROOT / config.data.root, training)
            for script, arguments in (
                    (train_script, ["--config", path, "--overwrite", *words,
                                    f"data.train=[{training}]"]),
                    (test_script, ["--checkpoint", run, "--out", maps, "--data", SETS[1]])):
                if status := script.main([*map(str, arguments), "--gpu", args.gpu]):
                    return status
                times.append(time.monotonic())
            written = len(list(maps.rglob("*.png")))
        with (run / "log.csv").open(encoding="utf-8") as file:
            losses = [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]
    finally:
        shutil.rmtree(run, ignore_errors=True)
    first, last = sum(losses[:EPOCH]) / EPOCH, sum(losses[-EPOCH:]) / EPOCH
    trained, predicted = (after - before for before, after in pairwise(times))
    print(f"| {title_of(path)} | {config.data.size} | {first:.5g} | {last:.5g} "
          f"| {last / first:.3f} | {trained:.0f} | {predicted:.0f} | {written} |", flush=True)
    return int(not last < first)


@reports_errors
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=96,
                        help="of the images, where the network takes it (default: 96)")
    parser.add_argument("--steps", type=int, default=20, help="of training (default: 20)")
    parser.add_argument("--gpu", default="auto", help="index, auto or cpu (default: auto)")
    args = parse_with_overrides(parser, argv)
    paths = [recipe_path(word) for word in args.overrides if "=" not in word] or \
        sorted(path for path in CONFIGS.glob("*.yaml") if path.stem != "demo")
    args.overrides = [word for word in args.overrides if "=" in word]
    if args.steps < 2 * EPOCH:
        raise UserError(f"--steps {args.steps}: two epochs of {EPOCH} steps are the least")
    print(HEAD)
    failed = [title_of(path) for path in paths if try_recipe(path, args)]
    if failed:
        raise UserError(f"failed, or the loss did not fall: {', '.join(failed)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
