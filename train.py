"""Train a network from a recipe.

    python train.py                                     CPD-VGG on DUTS-TR, as released
    python train.py --config configs/cpd_resnet.yaml --gpu 0
    python train.py data.train=[ECSSD] train.batch=4 name=trial
    python train.py --resume                            go on where the last checkpoint is

The run's folder checkpoints/<name>/ holds last.pt, best.pt (with a validation set), config.yaml,
origin.json (command, commit, versions), log.csv and TensorBoard events.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torchvision.utils import make_grid

import losses
import model
from data import Pair, require_sound
from data.catalog import find_pairs, find_set
from data.loader import evaluation_loader, training_loader
from data.transforms import denormalise
from metrics import Evaluator, read_truth
from model.trunk import Trunk
from utils.checkpoint import load_latest, require_same_recipe
from utils.cli import parse_with_overrides
from utils.config import help_text, load_config
from utils.device import keep_freed_memory, select_device
from utils.errors import UserError, reports_errors
from utils.images import to_bytes
from utils.inference import predict
from utils.log import RunLog, write_origin
from utils.paths import CHECKPOINTS, CONFIGS, ROOT
from utils.precision import Precision
from utils.run import Run
from utils.seed import set_seed
from utils.stop import StopRequest
from utils.weights import load_backbone, load_weights


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=help_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(CONFIGS / "cpd_vgg.yaml"), metavar="FILE",
                        help="recipe (default: configs/cpd_vgg.yaml)")
    parser.add_argument("--gpu", default="auto", help="index, auto or cpu (default: auto)")
    parser.add_argument("--resume", action="store_true", help="go on from the run's last.pt")
    parser.add_argument("--overwrite", action="store_true", help="replace a run of this name")
    return parse_with_overrides(parser, argv)


@reports_errors
def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    config = load_config(args.config, args.overrides)
    device = select_device(args.gpu)
    if device.type == "cpu":
        keep_freed_memory()
    precision = Precision(config.train.precision, device)
    print(f"device: {device}, precision: {precision.name}")
    losses.build(config.loss.name, config.loss.variant)  # a wrong name is said at once
    folder = CHECKPOINTS / config.name
    resumed = checkpoint_to_resume(folder, config, args.resume, args.overwrite)
    set_seed(config.seed)
    network = model.build(config.model.name, **config.model.options)
    training, validation = find_data(config)
    set_weights(network, config, resumed)
    network = precision.place(network)
    for module in network.modules():
        if isinstance(module, Trunk):
            module.recompute = config.train.checkpoint_trunk
    folder.mkdir(parents=True, exist_ok=True)
    if resumed is None:
        for old in ("last.pt", "previous.pt", "best.pt", "log.csv", "events.*"):
            for path in folder.glob(old):
                path.unlink()
    write_origin(folder, device)
    OmegaConf.save(config, folder / "config.yaml")
    loader = training_loader(training, config.data, config.train.batch, config.seed, device)
    loader.data.require_sound("training data")
    run = Run(config, network, losses.build(config.loss.name, config.loss.variant), loader, folder,
              precision)
    if resumed is not None:
        run.restore(resumed)
    return train(run, validation)


def checkpoint_to_resume(folder: Path, config: DictConfig, resume: bool,
                         overwrite: bool) -> dict | None:
    """Refuse to lose a run; returns the checkpoint to resume from, if any."""
    last = folder / "last.pt"
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other")
    if resume:
        state, before, path = load_latest(folder)
        require_same_recipe(before, config, path)
        return state
    if last.is_file() and not overwrite:
        raise UserError(f"{folder} holds a run already: go on with --resume, replace it with "
                        "--overwrite, or give this run its own name=…")
    return None


def find_data(config: DictConfig) -> tuple[list[Pair], list[Pair]]:
    """Training and validation pairs; counts that surprise are said."""
    root = ROOT / config.data.root
    training = []
    for spec in config.data.train:
        found = find_set(spec, root)
        if found.count_note:
            print(f"note: {found.count_note}; training on these")
        training += found.pairs
    validation = [pair for spec in config.val.data for pair in find_pairs(spec, root)]
    require_sound(validation, "validation data")
    held_out = round(len(training) * config.val.fraction)
    if held_out:
        order = np.random.default_rng(config.seed).permutation(len(training))
        validation = [training[i] for i in sorted(order[:held_out])]
        training = [training[i] for i in sorted(order[held_out:])]
    if not training:
        raise UserError("no training pairs are left; check data.train and val.fraction")
    print(f"data: {len(training)} pairs to train on, {len(validation)} to validate on")
    return training, validation


def set_weights(network: nn.Module, config: DictConfig, resumed: dict | None) -> None:
    """Those of the run that goes on, else of ``weights.network``, else of the trunk alone."""
    if resumed is not None:
        load_weights(network, resumed["network"])
    elif config.weights.network:
        load_weights(network, ROOT / config.weights.network)
        print(f"weights: {config.weights.network}")
    else:
        source = config.weights.backbone
        if source not in ("imagenet", "none"):
            source = str(ROOT / source)
        print(load_backbone(network, source))


def train(run: Run, validation: list[Pair]) -> int:
    """The loop that every recipe shares. Returns the exit status."""
    at, every = run.at, run.config.train
    log = RunLog(run.folder, run.last_step, every.log_every, at["step"])
    with StopRequest() as stop:
        while not stop.signal and not run.finished():
            run.loader.set_epoch(at["epoch"], start=at["batch"])
            run.network.train()
            for sample in run.loader:
                sample = run.precision.batch(sample)
                run.schedule.start_step(at["step"] + 1, at["epoch"])
                done = run.step(sample)
                if run.average is not None:
                    run.average.update_parameters(run.network)
                at["step"] += 1
                at["batch"] += 1
                run.guard.add(at["step"], sample["name"], done.loss, done.norm)
                if at["step"] % every.log_every == 0 or at["step"] == run.last_step:
                    run.settle()
                    run.guard.look_at(at["step"], done.outputs["saliency"])
                log.step(at["step"], at["epoch"], run.optimizer.param_groups[-1]["lr"], done,
                         images=len(sample["name"]))
                if at["step"] % every.images_every == 0:
                    log.images(at["step"], picture(sample, done.outputs, run.config.data))
                if at["step"] == run.last_step or at["batch"] == run.per_epoch or stop.signal:
                    break
                if at["step"] % every.save_every == 0:
                    run.save("last.pt")
            if not stop.signal:
                end_epoch(run, validation, log)
        if stop.signal:
            run.save("last.pt")
    log.close()
    if stop.signal:
        print(f"stopped after {at['step']} of {run.last_step} steps, saved in {run.folder}; "
              "go on with --resume")
        return 128 + stop.signal
    print(f"done: {at['step']} steps; weights in {run.folder}")
    return 0


def end_epoch(run: Run, validation: list[Pair], log: RunLog) -> None:
    """Validate and save; also at the run's last step, in the middle of an epoch."""
    at, config = run.at, run.config
    run.settle()
    scores = None
    if validation and (at["step"] == run.last_step or at["epoch"] % config.val.every == 0):
        tested = run.network if run.average is None else run.average.module
        scores = validate(tested, validation, config, run.precision.device)
        log.validation(at["step"], at["epoch"], scores)
        at["stale"] += 1
        if at["best"] is None or scores["MAE"] < at["best"]:
            at |= {"best": scores["MAE"], "stale": 0}
            run.save("best.pt")
    if at["batch"] == run.per_epoch:
        run.schedule.end_epoch(at["loss_sum"] / run.per_epoch, scores and scores["MAE"])
        at |= {"epoch": at["epoch"] + 1, "batch": 0, "loss_sum": 0.0}
    run.save("last.pt")
    log.restart_clock()


def picture(sample: dict, outputs: dict, config: DictConfig) -> torch.Tensor:
    """Rows of input, mask and prediction for the first four images of a batch."""
    count = min(4, len(sample["name"]))
    inputs = denormalise(sample["image"][:count], config.mean, config.std)
    grey = [sample["mask"][:count], outputs["saliency"][:count].detach().float().sigmoid()]
    rows = [inputs, *(tensor.expand_as(inputs) for tensor in grey)]
    return make_grid(torch.stack(rows, dim=1).flatten(0, 1), nrow=len(rows))


def validate(network: nn.Module, pairs: list[Pair], config: DictConfig,
             device: torch.device) -> dict[str, float]:
    """MAE and F of the maps that test.py would write for ``pairs``, as eval.py would score them."""
    evaluator = Evaluator(measures=("MAE", "F"))
    images = [Pair(pair.name, pair.image) for pair in pairs]
    number = 0  # names the maps, as two sets may share a stem
    precision = Precision(config.test.precision, device)
    for batch in evaluation_loader(images, config.data, config.test.batch, device):
        for saliency in predict(network, batch, precision):
            evaluator.update(str(number), to_bytes(saliency, config.test.minmax),
                             read_truth(pairs[number]))
            number += 1
    return evaluator.compute()


if __name__ == "__main__":
    sys.exit(main())
