"""Train a network from a recipe.

    python train.py                                     CPD-VGG on DUTS-TR, as released
    python train.py --config configs/cpd_resnet.yaml --gpu 0
    python train.py data.train=[ECSSD] train.batch=4 name=trial
    python train.py --resume                            go on where the last checkpoint is
    python train.py --dry-run                           what it takes, without doing it
    torchrun --nproc-per-node 2 train.py --gpu 0,1      on two GPUs (docs/scaling.md)

The run's folder checkpoints/<name>/ holds last.pt, best.pt (with a validation set), config.yaml,
origin.json (command, commit, versions), log.csv, train.log (what is printed, with times),
TensorBoard events, and final/ (train.board).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from data import Pair
from data.checked import Checked
from data.split import codings_of
from engine.forecast import cut_short, forecast, time_of_validation
from engine.log import NoLog, RunLog
from engine.optimizer import add_l1, clip_gradients
from engine.prepare import Start, prepare
from engine.run import Run, is_trained
from engine.step import StepResult
from engine.validation import validate
from report.board import Board, remove_board, require_board
from report.picture import batch_grid
from utils.cli import parse_with_overrides
from utils.config import help_text, load_config
from utils.device import keep_freed_memory, select_device, set_threads
from utils.errors import UserError, counted, reports_errors
from utils.files import write_text
from utils.lock import locked
from utils.origin import write_origin
from utils.paths import CHECKPOINTS
from utils.stop import stop_signals, terminable
from utils.transcript import keep_in, transcribed
from utils.world import World, joined


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, epilog=help_text())
    parser.add_argument("--config", default="cpd_vgg", metavar="RECIPE",
                        help="a file, or a name in configs/ (default: cpd_vgg)")
    parser.add_argument("--gpu", default="auto", help="index, auto or cpu (default: auto); with "
                        "torchrun auto or several, such as 0,1")
    parser.add_argument("--resume", action="store_true", help="go on from the run's last.pt")
    parser.add_argument("--resume-if-any", action="store_true",
                        help="go on if there is a last.pt, else start; a run that has ended is "
                        "left as it is (for jobs that are requeued)")
    parser.add_argument("--overwrite", action="store_true", help="replace a run of this name")
    parser.add_argument("--dry-run", action="store_true",
                        help="check all files, take a few steps, validate on some images, and "
                        "print how long the recipe takes and how much memory; nothing is kept")
    args = parse_with_overrides(parser, argv)
    if args.dry_run and (args.resume or args.resume_if_any or args.overwrite):
        raise UserError("--dry-run begins a run that is not kept: leave --resume, --resume-if-any "
                        "and --overwrite out")
    return args


@reports_errors
def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    command = ["train.py", *(sys.argv[1:] if argv is None else argv)]
    with nullcontext() if args.dry_run else transcribed(command):
        return start(args)


def start(args: argparse.Namespace) -> int:
    """Begin a run, or go on with it, as the arguments ask for. Returns the exit status."""
    config = load_config(args.config, args.overrides)
    device = select_device(args.gpu)
    set_threads(config.threads)
    if device.type == "cpu":
        keep_freed_memory()
    advice = "Wait for it or stop it, or give this run a name of its own (name=…)."
    folder = CHECKPOINTS / config.name
    if args.dry_run:
        with terminable(), joined(device) as world, tempfile.TemporaryDirectory() as name:
            return try_out(config, device, world, args, Path(name))
    with joined(device) as world, locked(folder, world, advice):
        with world.main_first():
            trained = world.main and args.resume_if_any and is_trained(folder, config)
        if world.gather(trained)[0]:
            print(f"trained already: {folder}")
            return 0
        run, validation = begin(config, device, world, args, folder)
        if status := train(run, validation):
            print(f"stopped after {run.progress.step} of {run.last_step} steps, saved in {folder}; "
                  "go on with --resume")
            return status
        show(run, validation)
        print(f"done: {counted(run.progress.step, 'step')}; weights in {folder}")
        return 0


def try_out(config: DictConfig, device: torch.device, world: World, args: argparse.Namespace,
            folder: Path) -> int:
    """The first steps of a run in a folder that nobody needs, and what all of it would take.
    Returns the exit status."""
    config.train.log_every = 1
    run, validation = begin(config, device, world, args, folder)
    steps = cut_short(run)
    if status := train(run, []):
        return status
    seconds = time_of_validation(run, validation)
    if world.main:
        print(forecast(folder / "log.csv", steps, run, len(validation), seconds))
    return 0


def begin(config: DictConfig, device: torch.device, world: World, args: argparse.Namespace,
          folder: Path) -> tuple[Run, list[Pair]]:
    """The run of a folder, new or as its checkpoint left it, and the pairs that it is validated on.
    """
    require_board(config)
    run, training, validation, anew = prepare(
        config, device, world, folder, Checked(CHECKPOINTS / ".checked"),
        Start(args.resume, args.resume_if_any, args.overwrite))
    if world.main:
        start_folder(folder, config, device, world, anew, codings_of([*training, *validation]))
    return run, validation


def start_folder(folder: Path, config: DictConfig, device: torch.device, world: World,
                 anew: bool, masks: dict[str, str]) -> None:
    """Write the run's configuration and origin, with how each folder of ``masks`` is coded;
    ``anew`` removes what an earlier run left."""
    folder.mkdir(parents=True, exist_ok=True)
    if anew:
        for pattern in ("last.pt", "previous.pt", "best.pt", "log.csv", "train.log", "events.*"):
            for path in folder.glob(pattern):
                path.unlink()
        remove_board(folder)
    keep_in(folder / "train.log")
    write_origin(folder, device, world.size, masks)
    write_text(folder / "config.yaml", OmegaConf.to_yaml(config))


def train(run: Run, validation: list[Pair]) -> int:
    """The loop that every recipe shares. Returns the exit status."""
    config, optimizer, scaler, progress = run.config, run.optimizer, run.scaler, run.progress
    log = RunLog(run.folder, run.last_step, config.train.log_every, progress.step,
                 OmegaConf.to_yaml(config)) if run.world.main else NoLog()
    stopped = 0  # by which signal
    with stop_signals() as signals:
        while not stopped and not run.finished():
            for sample in run.batches():
                run.schedule.set_rates(progress.step + 1, progress.epoch)
                for part in run.parts(sample):  # one, or several where memory is short
                    outputs = terms = loss = None  # frees an attempt that memory ran out in
                    if part.first:
                        optimizer.zero_grad(set_to_none=True)
                    with part.attempt():
                        with run.precision.autocast():
                            outputs, terms = run.objective(run.parallel, part.sample)
                        terms = part.weigh(terms)
                        loss = sum(terms.values())
                        scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                add_l1(run.network, config.optim)
                norm = clip_gradients(run.network.parameters(), config.optim.clip_value,
                                      config.optim.clip_norm)
                scaler.step(optimizer)  # leaves out a step that is not finite
                scaler.update()
                if run.average is not None:
                    run.average.update_parameters(run.network)
                progress.count_step()
                watch(run, log, sample, run.parts.result(outputs, norm))
                stopped = run.world.highest(signals[0] if signals else 0)
                if stopped or run.epoch_is_over():
                    break
                if progress.step % config.train.save_every == 0:
                    run.save("last.pt")
            if not stopped:
                end_epoch(run, validation, log)
        if stopped:
            run.save("last.pt")
    log.close()
    return 128 + stopped if stopped else 0


def watch(run: Run, log: RunLog | NoLog, sample: dict, result: StepResult) -> None:
    """Guard and log a step. Only at every ``log_every``-th does the host wait for the device."""
    step, epoch, every = run.progress.step, run.progress.epoch, run.config.train
    run.guard.add(step, sample["name"], result.loss, result.norm)
    if step % every.log_every == 0 or step == run.last_step:
        run.settle()
        run.guard.look_at(step, result.outputs["saliency"])
    log.step(step, epoch, run.optimizer, result)
    if step == run.last_step:
        run.require_numbers(result.sample["image"])
    if step % every.images_every == 0 and run.world.main:
        log.images(step, batch_grid(result.sample, result.outputs, run.config.data))
        log.histograms(step, run.network)


def end_epoch(run: Run, validation: list[Pair], log: RunLog | NoLog) -> None:
    """Validate and save; also at the run's last step, in the middle of an epoch."""
    progress, config, watched = run.progress, run.config, None
    run.settle()
    if validation and (progress.step == run.last_step or progress.epoch % config.val.every == 0):
        try:
            validated = run.validated = validate(run.tested, validation, run)
        except UserError:
            if run.world.size == 1:  # a save needs all processes, and the others wait elsewhere
                run.save("last.pt")
            raise
        log.validation(progress.step, progress.epoch, validated.scores,
                       validated.evaluator.curves())
        watched = validated.scores[config.val.watch]
        if progress.count_validation(watched):
            run.save("best.pt")
    if progress.batch == run.per_epoch:
        run.schedule.end_epoch(progress.loss_sum / run.per_epoch, watched, waits=bool(validation))
        progress.count_epoch()
        run.schedule.restart(progress.epoch)
    progress.closed = progress.step
    run.save("last.pt")
    log.restart_clock()


def show(run: Run, validation: list[Pair]) -> None:
    """What ``train.board`` names, for TensorBoard; the run has ended, and its weights are saved."""
    board = run.config.train.board
    if board and validation and run.validated is None:  # resumed after its last step
        run.validated = validate(run.tested, validation, run)
    if board and run.world.main:
        Board(run.folder, run.config, run.progress.step, run.tested, run.loader.data.usual_size,
              run.validated).write()


if __name__ == "__main__":
    sys.exit(main())
