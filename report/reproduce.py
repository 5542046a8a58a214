"""A recipe's whole way: train, test, eval, the table and a record, going on where it stopped.

The parts are the scripts' own ``main`` functions, called in this process one after the other, so
that a signal and its exit status are theirs: a stop while training saves the run.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from omegaconf import DictConfig

import eval as eval_script
import test as test_script
import train as train_script
from data.catalog import Located, find_set
from data.edges import find_masks
from data.weak import find_scribbles
from engine.checkpoint import load_latest, require_same_recipe
from engine.run import has_ended
from scoring.scores import Row, read_scores
from utils.config import load_config, merge_config
from utils.device import select_device
from utils.errors import UserError, list_problems, reports_errors
from utils.origin import origin_of, sha256_of
from utils.paths import CHECKPOINTS, DOCS, RESULTS, ROOT, absolute_spec
from utils.stop import terminable

from .recipes import Recipes
from .records import Sources, record_of, write_record
from .worklog import WorkLog, together


@dataclass
class Plan:
    """One recipe to reproduce.

    Attributes:
        config: as resolved with the command line's overrides.
        data: specs of the sets to test on.
    """

    path: Path
    overrides: list[str]
    config: DictConfig
    data: list[str]

    @property
    def folder(self) -> Path:
        return CHECKPOINTS / self.config.name

    @property
    def maps(self) -> Path:
        return RESULTS / self.config.name

    @property
    def root(self) -> Path:
        return ROOT / self.config.data.root

    @property
    def started(self) -> bool:
        return any((self.folder / name).is_file() for name in ("last.pt", "previous.pt"))

    def last(self) -> str | None:
        """SHA-256 of the run's last checkpoint."""
        path = self.folder / "last.pt"
        return sha256_of(path) if path.is_file() else None


def reproduce(paths: Sequence[Path], overrides: Sequence[str], data: Sequence[str], gpu: str,
              records: Path, command: Sequence[str]) -> int:
    """Reproduce recipes one after the other. Returns the exit status.

    A recipe that fails does not keep the others from their turn; a signal does.

    Raises:
        UserError: what can be known before anything is computed: a configuration, a data set that
            is not there.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("reproduce runs in one process; start it without torchrun. To train on "
                        "several GPUs, run train.py with torchrun first: a finished training is "
                        "taken as it is")
    plans = [_plan(path, list(overrides), data) for path in paths]
    read_scores(eval_script.RESULTS / eval_script.SCORES)  # a damaged file is said here
    device = select_device(gpu)
    _require_runnable(plans)
    failed = []
    with terminable():  # so that times are kept; train.py saves first
        for plan in plans:
            print(f"== {plan.config.name}: {plan.path}", flush=True)
            status = _reproduce(plan, gpu, device, records, command)
            if status > 128:
                print(f"stopped in {plan.config.name}; the same command goes on from there",
                      file=sys.stderr)
                return status
            failed += [plan.config.name] if status else []
    if failed:
        raise UserError(f"{len(failed)} of {len(plans)} recipes are not reproduced: "
                        f"{', '.join(failed)}; what is wrong stands above, and the same command "
                        "goes on from there")
    return 0


def _plan(path: Path, overrides: list[str], data: Sequence[str]) -> Plan:
    config = load_config(path, overrides)
    specs = [absolute_spec(spec) for spec in data] or list(config.test.data)
    if not specs:
        raise UserError(f"{path}: no data sets to test on: test.data is empty; give --data")
    Recipes([f"{config.name}={path}"])  # a path that eval.py could not be told
    return Plan(path, overrides, config, specs)


def _require_runnable(plans: Sequence[Plan]) -> None:
    """All that can go wrong before the first hour of training."""
    names = [plan.config.name for plan in plans]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"two recipes would share the run {twice}; name each configuration once, "
                        "and give name=… with one configuration alone")
    problems = dict.fromkeys(problem for plan in plans
                             for problem in _missing(plan, _is_trained(plan)))
    if len(problems) == 1:
        raise UserError(*problems)
    if problems:
        raise UserError(list_problems("nothing is started: data sets or maps cannot be used",
                                      list(problems)))


def _is_trained(plan: Plan) -> bool:
    """Whether the run is finished; one of another recipe is refused."""
    if not plan.started:
        return False
    content, before, path = load_latest(plan.folder)
    require_same_recipe(before, plan.config, path)
    return has_ended(content["at"], plan.config.train)


def _missing(plan: Plan, trained: bool) -> list[str]:
    """What is wrong with the data sets, one sentence each."""
    data, problems = plan.config.data, []

    def attempt(find, *arguments) -> object:
        try:
            with contextlib.redirect_stdout(None):  # counts that surprise are said when it is run
                return find(*arguments)
        except UserError as error:
            problems.append(f"{plan.config.name}: {error}")

    if not trained:
        find = find_scribbles if data.target == "scribble" else find_masks
        for spec in data.train:
            attempt(find, spec, plan.root, data.edges)
        for spec in plan.config.val.data:
            attempt(find_masks, spec, plan.root)
    found = [one for spec in plan.data if (one := attempt(find_set, spec, plan.root))]
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        problems.append(f"{plan.config.name}: two sets would be written to one folder: "
                        f"{', '.join(names)}; test on them in two calls")
    problems += [f"{plan.config.name}: the maps in {folder} are not test.py's; move them "
                 "elsewhere, or they would be replaced" for one in found
                 if _maps(folder := plan.maps / one.name, one) and origin_of(folder) is None]
    return problems


@reports_errors
def _reproduce(plan: Plan, *arguments) -> int:
    with _alone(plan):
        return _run_parts(plan, *arguments)


def _run_parts(plan: Plan, gpu: str, device: torch.device, records: Path,
               command: Sequence[str]) -> int:
    """The parts of one recipe, each only if there is something to do. Returns the exit status."""
    words, log = ["--config", str(plan.path), "--gpu", gpu], WorkLog(plan.folder, device)
    if _is_trained(plan):
        print(f"trained already: {plan.folder}")
    else:
        with log.session("train", plan.last(), plan.last, anew=not plan.started), _own_threads():
            status = train_script.main([*words, "--resume-if-any", *plan.overrides])
        if status:
            return status
    weights = test_script.find_run(str(plan.path), plan.overrides)
    made = f"{sha256_of(weights)} {_settings(plan)}"
    tested = False
    for spec in plan.data:
        status, written = _test(plan, spec, words, made, log)
        if status:
            return status
        tested |= written
    names = _names(plan)
    scored = f"{made} {' '.join(names)}"
    with contextlib.ExitStack() as stack:
        if tested or log.entry("eval", scored) is None:
            stack.enter_context(log.session("eval", scored, lambda: scored, anew=True))
        rows = eval_script.run([
            "--pred", str(plan.maps), "--root", str(plan.root), "--gpu", gpu, "--table",
            "--reported", f"{plan.config.name}={plan.path}", "--data", *plan.data])
    parts = {"train": log.entry("train", plan.last()),
             "test": together([log.entry(f"test {name}", made) for name in names]),
             "eval": log.entry("eval", scored)}
    path = write_record(records, record_of(_sources(plan, weights, names, rows, parts), command))
    print(f"record: {path}; python -m report records " + (
        "puts it into docs/reproduction.md" if records == DOCS / "records"
        else f"--records {records} --out FILE makes a document of it"))
    return 0


def _test(plan: Plan, spec: str, words: Sequence[str], made: str,
          log: WorkLog) -> tuple[int, bool]:
    """The maps of one set, by the weights and settings that ``made`` names.

    Returns:
        The exit status, and whether there was a map to make.
    """
    found = find_set(spec, plan.root)
    folder, part = plan.maps / found.name, f"test {found.name}"
    _discard_stale(folder, found, made, log)
    left = len(found.pairs) - len(_maps(folder, found))
    with contextlib.ExitStack() as stack:
        if left:
            anew = left == len(found.pairs)
            stack.enter_context(log.session(part, made, lambda: made, anew))
        stack.enter_context(_own_threads())
        status = test_script.main([*words, "--skip-existing", "--out", str(RESULTS), "--data",
                                   spec, *plan.overrides])
    return status, left > 0


def _names(plan: Plan) -> list[str]:
    return [find_set(spec, plan.root).name for spec in plan.data]


def _maps(folder: Path, found: Located) -> list[Path]:
    """The maps of a set that are there."""
    return [path for pair in found.pairs if (path := folder / f"{pair.name}.png").is_file()]


def _settings(plan: Plan) -> str:
    """Tells apart the command lines that make different maps of the same weights.

    test.py takes everything else from the checkpoint.
    """
    ours = sorted(word for word in plan.overrides if word.startswith(("test.", "data.", "model."))
                  and not word.startswith(("test.data=", "data.root=", "data.workers=")))
    return hashlib.sha256(json.dumps(ours).encode()).hexdigest()[:10]


def _discard_stale(folder: Path, found: Located, made: str, log: WorkLog) -> None:
    """Delete maps of other weights or settings, which test.py is about to make anew.

    Before it begins, as a stop would leave them among the new ones.
    """
    origin, known = origin_of(folder) or {}, log.maps_of(found.name)
    other = origin.get("sha256") != made.split()[0] or origin.get("kept") \
        or known not in (None, made)
    if other and (old := _maps(folder, found)):
        for path in old:
            path.unlink()
        print(f"{folder}: {len(old)} maps of other weights or settings are made anew")
    if known != made:
        log.note_maps(found.name, made)


def _sources(plan: Plan, weights: Path, names: list[str], rows: list[Row],
             parts: dict) -> Sources:
    """What the record is made of."""
    content, _, _ = load_latest(plan.folder)
    recipe = load_config(plan.path)
    config = merge_config(content["config"], plan.overrides, origin=str(weights))
    config.test.data = recipe.test.data if plan.data == recipe.test.data else names
    return Sources(plan.path, recipe, config, weights, sha256_of(weights), content["at"]["step"],
                   rows, parts)


@contextlib.contextmanager
def _own_threads() -> Iterator[None]:
    """Give back what a part has set and taken, or the next recipe would have it."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        gc.collect()
        torch.cuda.empty_cache()


@contextlib.contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """Keep a second call from writing the same run."""
    lock = FileLock(CHECKPOINTS / f".{plan.config.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{plan.config.name} is being reproduced by another call; wait for it, or "
                        "give this one name=…") from None
    except OSError:  # where nothing can be written, a finished run can be recorded all the same
        pass
    try:
        yield
    finally:
        lock.release()
