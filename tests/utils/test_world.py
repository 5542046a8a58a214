"""Several processes: torchrun's, on the CPU over gloo, against one process."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch
from filelock import FileLock

import eval as eval_script
import test as test_script
from data.loader import BatchDraws
from tests.apart import HANGS, Apart, run_processes, run_script, run_script_until, wait_for
from tests.small_runs import RECIPE
from utils.errors import UserError
from utils.paths import ROOT
from utils.world import World

SMALL = ["--config", str(RECIPE), "--gpu", "cpu", "data.train=[TINY-TR,TINY-TE]",
         "val.fraction=0.2", "train.epochs=3", "optim.name=sgd", "optim.lr=0.005"]

PROGRAM = """
import pathlib, sys, train
train.CHECKPOINTS = pathlib.Path(sys.argv[1])
if __name__ == "__main__":
    sys.exit(train.main(sys.argv[2:]))
"""


def torchrun(tmp_path: Path, *more: str) -> str:
    """What two processes say, started with torchrun as a user starts it."""
    (tmp_path / "runs2").mkdir()
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         str(tmp_path / "program.py"), str(tmp_path / "runs2"), *more], text=True,
        capture_output=True, timeout=HANGS,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(tmp_path: Path, script: str, processes: int, *more: str) -> Apart:
    """A script in so many processes, with its runs in ``tmp_path/runs<processes>``."""
    runs = tmp_path / f"runs{processes}"
    runs.mkdir(exist_ok=True)
    arguments = (script, runs, more)
    return Apart(run_script, *arguments) if processes == 1 else \
        Apart(run_processes, processes, run_script, *arguments)


def run(*arguments) -> str:
    """What it says until it ends."""
    process = start(*arguments)
    output = process.stdout.read()
    assert process.wait() == 0, output
    return output


def rows(tmp_path: Path, processes: int) -> list[dict]:
    with (tmp_path / f"runs{processes}/trial/log.csv").open() as file:
        return list(csv.DictReader(file))


def weights(tmp_path: Path, processes: int, part: str = "network") -> dict:
    return torch.load(tmp_path / f"runs{processes}/trial/last.pt", weights_only=True)[part]


@pytest.fixture(scope="session")
def trained(made_sets, tmp_path_factory) -> Path:
    """A folder with one run of two processes and one run of one process with twice the batch.
    Of several processes of pytest the first one that needs it makes it for all."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "world"
    with FileLock(f"{folder}.lock"):
        if not (folder / "stdout").is_file():
            shutil.rmtree(folder, ignore_errors=True)  # what is left of one that failed
            folder.mkdir()
            more = [f"data.root={made_sets}", *SMALL, "train.sync_norm=true", "threads=1"]
            run(folder, "train", 1, *more, "train.batch=6")
            (folder / "stdout").write_text(torchrun(folder, *more, "train.batch=3"))
    return folder


def test_two_processes_train_like_one_with_twice_the_batch(trained):
    """The last batch has 5 images, 2 and 3 for the processes."""
    two, single = rows(trained, 2), rows(trained, 1)
    assert [row["step"] for row in two] == [row["step"] for row in single]
    assert len([row for row in two if row["loss"]]) == 6
    # Maps are rounded to bytes before they are scored, where nearly constant ones may part. Their
    # F is not compared: on some processors one level of grey moves it by .01.
    tolerances = {"loss": 1e-4, "side3_bce": 1e-4, "gradient_norm": 1e-3, "val_MAE": 2e-3}
    for name, tolerance in tolerances.items():
        for a, b in zip(two, single, strict=True):
            assert bool(a[name]) == bool(b[name])
            if a[name]:
                assert float(a[name]) == pytest.approx(float(b[name]), abs=tolerance), name
    of_two = weights(trained, 2)
    for name, value in weights(trained, 1).items():
        assert torch.allclose(of_two[name].float(), value.float(), atol=1e-5), name


def test_one_process_speaks_and_writes_for_all(trained):
    output = (trained / "stdout").read_text()
    assert output.count("device: cpu") == output.count("done: 6 steps") == 1
    assert "processes: 2" in output
    assert len(weights(trained, 2, "random")) == 2
    command, *kept = (trained / "runs2/trial/train.log").read_text().splitlines()
    assert "command: " in command
    printed = [line.rstrip() for line in output.splitlines()]
    # Beside these it has what stderr had, such as a warning of torch.
    assert [line[26:] for line in kept if line[26:] in printed] == printed


def test_maps_of_two_processes_are_those_of_one(trained, made_sets, tmp_path):
    checkpoint = trained / "runs1/trial/last.pt"
    arguments = ["--gpu", "cpu", "--checkpoint", str(checkpoint), "--data", "TINY-TE", "TINY-TR",
                 f"data.root={made_sets}", "data.workers=0", "--out", str(tmp_path / "1")]
    assert test_script.main(arguments) == 0
    shutil.copytree(tmp_path / "1/trial", tmp_path / "2/trial")
    shutil.rmtree(tmp_path / "2/trial/TINY-TR")
    (tmp_path / "2/trial/TINY-TE/01.png").unlink()
    output = run(tmp_path, "test", 2, *arguments[:-1], str(tmp_path / "2"), "--skip-existing")
    assert "3 maps are there, 1 to do" in output
    assert "1 map written" in output and "10 maps written" in output
    maps = {path.relative_to(tmp_path / "1"): path for path in tmp_path.glob("1/**/*.png")}
    assert len(maps) == 14
    for name, path in maps.items():
        mine, theirs = (iio.imread(file).astype(int) for file in (path, tmp_path / "2" / name))
        assert abs(mine - theirs).max() <= 1  # batches of other sizes round otherwise


def test_a_run_survives_the_loss_of_a_process(trained, made_sets, tmp_path):
    """torchrun starts all processes anew; they go on from the last checkpoint by themselves."""
    more = [f"data.root={made_sets}", *SMALL, "train.batch=3", "train.sync_norm=true", "threads=1",
            "train.save_every=1"]
    (tmp_path / "runs2").mkdir()
    process = Apart(run_processes, 2, run_script_until, "train.add_l1", 4, "train",
                    tmp_path / "runs2", more)
    printed = process.stdout.read()
    assert process.wait() == 0, printed
    assert printed.count("device: cpu") == 2  # started anew
    kept = (tmp_path / "runs2/trial/train.log").read_text()
    assert kept.count("command: ") == 2 and kept.count("step 6/6") == 1
    before = weights(trained, 2)
    assert all(torch.equal(before[name], value) for name, value in weights(tmp_path, 2).items())


def test_a_stopped_run_goes_on_with_fewer_processes(made_sets, tmp_path):
    more = [f"data.root={made_sets}", *SMALL, "train.batch=3", "threads=1"]
    process = start(tmp_path, "train", 2, *more, "train.epochs=1000000")
    wait_for(process, "step 5/")
    process.send_signal(signal.SIGTERM)
    output = process.stdout.read()
    assert process.wait() != 0
    assert "go on with --resume" in output
    at = weights(tmp_path, 2, "at")
    (tmp_path / "runs2").rename(tmp_path / "runs1")
    epochs = at["epoch"] + 1
    output = run(tmp_path, "train", 1, *more, f"train.epochs={epochs}", "--resume")
    assert "saved by 2 process(es), resumed by 1" in output
    assert f"done: {epochs * 4} steps" in output


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("count", [6, 11, 12, 13, 40])
def test_processes_share_out_the_batches_of_one(count, processes):
    """Together they see each image once, in batches of one process's order."""
    undivided = BatchDraws(count, 2 * processes, [32], seed=3, shuffle=True)
    parts = [BatchDraws(count, 2, [32], 3, True, rank, processes) for rank in range(processes)]
    batches = [list(part) for part in parts]
    assert len({len(steps) for steps in batches}) == 1
    together = [[draw for part in step for draw in part] for step in zip(*batches, strict=True)]
    flat = [draw for batch in together for draw in batch]
    assert flat == [draw for batch in undivided for draw in batch]
    assert min(len(part) for steps in batches for part in steps) >= 2
    for part, shares in zip(batches, [list(part.shares()) for part in parts], strict=True):
        assert [len(own) * processes / len(whole) for own, whole in
                zip(part, together, strict=True)] == shares


def test_too_few_images_for_the_processes_are_an_error():
    with pytest.raises(UserError, match="3 images are too few for 2 processes"):
        BatchDraws(3, 2, [32], 0, True, 0, 2)


def test_a_world_of_one_needs_no_network():
    world = World()
    assert world.gather("x") == ["x"] and world.main
    with world.main_first():
        pass
    values = torch.tensor([1.0, 2.0])
    assert world.mean(values) is values
    network = torch.nn.Linear(1, 1)
    assert world.parallel(network) is network


def test_scoring_refuses_torchrun(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert eval_script.main([]) == 2
    assert "without torchrun" in capsys.readouterr().err
