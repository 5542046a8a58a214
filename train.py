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
import math
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
from utils.checkpoint import load_checkpoint, require_same_recipe, save_checkpoint
from utils.cli import parse_with_overrides
from utils.config import help_text, load_config
from utils.device import keep_freed_memory, select_device
from utils.errors import UserError, reports_errors
from utils.images import to_bytes
from utils.inference import predict
from utils.log import RunLog, write_origin
from utils.optim import Schedule, build_optimizer, clip_gradients
from utils.paths import CHECKPOINTS, CONFIGS, ROOT
from utils.seed import random_state, restore_random_state, set_seed
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
    losses.build(config.loss.name, config.loss.variant)  # a wrong name is said at once
    folder = CHECKPOINTS / config.name
    resumed = checkpoint_to_resume(folder, config, args.resume, args.overwrite)
    set_seed(config.seed)
    network = model.build(config.model.name, **config.model.options)
    training, validation = find_data(config)
    set_weights(network, config, resumed)
    network.to(device)
    folder.mkdir(parents=True, exist_ok=True)
    if resumed is None:
        for old in ("last.pt", "best.pt", "log.csv", "events.*"):
            for path in folder.glob(old):
                path.unlink()
    write_origin(folder, device)
    OmegaConf.save(config, folder / "config.yaml")
    train(config, network, training, validation, folder, device, resumed)
    return 0


def checkpoint_to_resume(folder: Path, config: DictConfig, resume: bool,
                         overwrite: bool) -> dict | None:
    """Refuse to lose a run; returns the checkpoint to resume from, if any."""
    last = folder / "last.pt"
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other")
    if resume:
        if not last.is_file():
            raise UserError(f"--resume: there is no checkpoint {last}; start without --resume")
        state, before = load_checkpoint(last)
        require_same_recipe(before, config, last)
        return state
    if last.is_file() and not overwrite:
        raise UserError(f"{folder} holds a run already: go on with --resume, replace it with "
                        "--overwrite, or give this run its own name=…")
    return None


def find_data(config: DictConfig) -> tuple[list[Pair], list[Pair]]:
    """Training and validation pairs, every file checked; counts that surprise are said."""
    root = ROOT / config.data.root
    training = []
    for spec in config.data.train:
        found = find_set(spec, root)
        if found.count_note:
            print(f"note: {found.count_note}; training on these")
        training += found.pairs
    validation = [pair for spec in config.val.data for pair in find_pairs(spec, root)]
    require_sound(training + validation, "training data")
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


def train(config: DictConfig, network: nn.Module, training: list[Pair], validation: list[Pair],
          folder: Path, device: torch.device, resumed: dict | None) -> None:
    """The loop that every recipe shares."""
    objective = losses.build(config.loss.name, config.loss.variant)
    optimizer = build_optimizer(config.optim, network.parameters())
    schedule = Schedule(config.optim.schedule, config.optim.lr, optimizer)
    loader = training_loader(training, config.data, config.train.batch, config.seed,
                             pin_memory=device.type == "cuda")
    per_epoch = len(loader)
    last_step = min(config.train.epochs * per_epoch, config.train.steps or math.inf)

    # Where the run stands: what a resumed run needs besides weights, optimizer and generators.
    at = {"step": 0, "epoch": 1, "batch": 0, "loss_sum": 0.0, "best": None}
    if resumed is not None:
        optimizer.load_state_dict(resumed["optimizer"])
        schedule.load_state_dict(resumed["schedule"])
        at = resumed["at"]
        restore_random_state(resumed["random"], device)

    def checkpoint(name: str) -> None:
        save_checkpoint(folder / name, {
            "network": network.state_dict(), "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(), "random": random_state(device), "at": dict(at),
        }, config)

    log = RunLog(folder, last_step, config.train.log_every, at["step"])
    while at["step"] < last_step:
        loader.batch_sampler.set_epoch(at["epoch"], start=at["batch"])
        schedule.start_epoch(at["epoch"])
        network.train()
        for sample in loader:
            sample = to_device(sample, device)
            outputs, terms, loss = update(network, objective, optimizer, sample, config.optim)
            at["step"] += 1
            at["batch"] += 1
            value = finite(loss, at["step"], sample["name"])
            at["loss_sum"] += value
            log.step(at["step"], at["epoch"], optimizer.param_groups[0]["lr"], value, terms,
                     images=len(sample["name"]))
            if at["step"] % config.train.images_every == 0:
                log.images(at["step"], picture(sample, outputs, config.data))
            if at["step"] == last_step or at["batch"] == per_epoch:
                break
            if at["step"] % config.train.save_every == 0:
                checkpoint("last.pt")

        if validation and (at["step"] == last_step or at["epoch"] % config.val.every == 0):
            scores = validate(network, validation, config, device)
            log.validation(at["step"], at["epoch"], scores)
            if at["best"] is None or scores["MAE"] < at["best"]:
                at["best"] = scores["MAE"]
                checkpoint("best.pt")
        if at["batch"] == per_epoch:
            schedule.end_epoch(at["loss_sum"] / per_epoch)
            at |= {"epoch": at["epoch"] + 1, "batch": 0, "loss_sum": 0.0}
        checkpoint("last.pt")
        log.restart_clock()
    log.close()
    print(f"done: {at['step']} steps; weights in {folder}")


def update(network: nn.Module, objective: losses.Objective, optimizer: torch.optim.Optimizer,
           sample: dict, config: DictConfig) -> tuple[dict, dict, torch.Tensor]:
    """One optimisation step; returns the network's outputs, the loss terms and their sum."""
    outputs, terms = objective(network, sample)
    loss = sum(terms.values())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    clip_gradients(network.parameters(), config.clip_value, config.clip_norm)
    optimizer.step()
    return outputs, terms, loss


def to_device(sample: dict, device: torch.device) -> dict:
    return {key: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
            for key, value in sample.items()}


def finite(loss: torch.Tensor, step: int, names: list[str]) -> float:
    """The loss as a float, which must be finite: what follows a NaN is lost anyway."""
    value = loss.item()
    if not math.isfinite(value):
        raise UserError(f"the loss is {value} at step {step}, on the images {', '.join(names)}. "
                        "A lower optim.lr often helps, or going on from the last checkpoint.")
    return value


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
    for batch in evaluation_loader(images, config.data, config.test.batch):
        for saliency in predict(network, batch, device):
            evaluator.update(str(number), to_bytes(saliency, config.test.minmax),
                             read_truth(pairs[number]))
            number += 1
    return evaluator.compute()


if __name__ == "__main__":
    sys.exit(main())
