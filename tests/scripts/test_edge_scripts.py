"""Training, validation and prediction of the edge-guided recipes on small made sets."""

from __future__ import annotations

import csv
import shutil

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

import model
import test as test_script
import train as train_script
from data import find_pairs
from data.edges import mask_edges
from data.layers import finish, squash
from utils.config import load_config
from utils.paths import CONFIGS
from utils.weights import load_weights

SMALL = ["--gpu", "cpu", "name=trial", "weights.backbone=none", "data.train=[TINY-TR]",
         "data.size=64", "data.workers=0", "train.batch=4", "train.log_every=1",
         "train.precision=fp32"]
#: TRACER on a thin trunk, where the network does not matter.
THIN = ("model.name=tracer_vgg", "model.options.width=0.0625")


def train(sets, *more: str, recipe: str = "tracer_te0", network: tuple = THIN) -> int:
    return train_script.main(["--config", f"configs/{recipe}.yaml", f"data.root={sets}", *SMALL,
                              *network, *more])


def rows(runs) -> list[dict]:
    with (runs / "trial/log.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("recipe, network", [
    ("tracer_te0", ()), ("bgnet", ("model.options.trunk=vgg16", "model.options.width=0.0625"))])
def test_recipes_train_and_predict(recipe, network, made_sets, runs, tmp_path, capsys):
    assert train(made_sets, "train.epochs=1", "data.edges=mask", "train.batch=8",
                 "val.fraction=0.1", recipe=recipe, network=network) == 0
    assert "edges: mask" in capsys.readouterr().out
    assert all(float(row["loss"]) > 0 for row in rows(runs) if row["loss"])
    assert test_script.main(["--gpu", "cpu", "--checkpoint", str(runs / "trial/last.pt"), "--data",
                             "TINY-TE", f"data.root={made_sets}", "--out", str(tmp_path)]) == 0
    for pair in find_pairs("TINY-TE", made_sets):
        saliency = iio.imread(tmp_path / f"trial/TINY-TE/{pair.name}.png")
        assert saliency.shape == np.asarray(Image.open(pair.mask)).shape


def test_the_validation_loss_is_the_objectives_on_held_out_pairs(made_sets, runs):
    """By hand, from the weights that were kept: no augmentation, evaluation mode."""
    assert train(made_sets, "train.epochs=3", "val.fraction=0.3") == 0
    losses = [float(row["val_loss"]) for row in rows(runs) if row["val_loss"]]
    assert len(losses) == 3
    best = torch.load(runs / "trial/best.pt", weights_only=True)
    assert best["at"]["best"] == pytest.approx(min(losses), rel=1e-5)
    config = load_config(CONFIGS / "tracer_te0.yaml", ["data.size=64", *THIN])
    order = np.random.default_rng(config.seed).permutation(10)[:3]
    pairs = [find_pairs("TINY-TR", made_sets)[number] for number in sorted(order)]
    layers = []
    for pair in pairs:
        mask = np.asarray(Image.open(pair.mask))
        decoded = {"image": Image.open(pair.image).convert("RGB"), "mask": mask,
                   "edge": mask_edges(mask, "mask")}
        layers.append(squash(decoded, 64, config.data))
    batch = finish({name: torch.stack([layer[name] for layer in layers]) for name in layers[0]},
                   config.data)
    network = model.from_recipe(config).eval()
    load_weights(network, best["network"])
    with torch.no_grad():
        _, terms = model.objective_of(config)(network, batch)
    assert float(sum(terms.values())) == pytest.approx(min(losses), rel=1e-4)


def test_the_plateau_follows_what_is_watched(made_sets, runs, monkeypatch):
    told = []
    monkeypatch.setattr(train_script.Run, "finished", lambda run: len(told) == 2)
    original = train_script.end_epoch

    def spied(run, validation, log):
        run.schedule.end_epoch = lambda training, validation, waits: told.append(validation)
        original(run, validation, log)

    monkeypatch.setattr(train_script, "end_epoch", spied)
    assert train(made_sets, "val.fraction=0.3") == 0
    logged = [row for row in rows(runs) if row["val_loss"]]
    assert told == pytest.approx([float(row["val_loss"]) for row in logged], rel=1e-5)
    assert float(logged[0]["val_MAE"]) < 1 < told[0]


def test_named_sets_may_be_validated_with_their_edges(made_sets, runs, capsys):
    assert train(made_sets, "train.epochs=1", "val.fraction=0", "val.data=[TINY-TE]") == 0
    assert [row for row in rows(runs) if row["val_loss"]]
    assert "validation at step 3: MAE" in capsys.readouterr().out
    # Masks have no edges where the recipe wants none: the loss says what it misses.
    assert train(made_sets, "--overwrite", "data.edges=none", "val.fraction=0.3") == 2
    assert "have no edge" in capsys.readouterr().err


def test_edges_are_learned_from_a_set_of_their_own(sets, runs, capsys):
    """The longer set gives the epoch; other edges are other data."""
    listed = sets / "pairs.lst"
    listed.write_text("".join(f"TINY-TE/images/{n:02d}.jpg TINY-TE/masks/{n:02d}.png\n"
                              for n in range(4)))
    more = ["data.edges=none", "data.edge_train=[pairs.lst]", "val.fraction=0"]
    assert train(sets, *more, "train.epochs=1") == 0
    assert "edges: 4 pairs of their own" in capsys.readouterr().out
    assert rows(runs)[-1]["step"] == "3"
    assert train(sets, *more, "train.epochs=2", "--resume") == 0
    assert rows(runs)[-1]["step"] == "6"
    listed.write_text("".join(listed.read_text().splitlines(keepends=True)[:3]))
    assert train(sets, *more, "train.epochs=3", "--resume") == 2
    assert "trained with other data" in capsys.readouterr().err
    listed.unlink()
    assert train(sets, *more, "--overwrite") == 2
    assert "data.edge_train=[] data.edges=mask" in capsys.readouterr().err


def test_an_endless_validation_loss_stops_the_run_and_keeps_the_epoch(sets, runs, capsys):
    """No weights would ever be better than the first."""
    path = sets / "TINY-TE/masks/02.png"
    Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)
    more = ["val.fraction=0", "val.data=[TINY-TE]", "train.epochs=2"]
    assert train(sets, *more) == 2
    error = capsys.readouterr().err
    assert "validation's loss is not finite on the images" in error
    assert "loss.variant=paper" in error
    assert torch.load(runs / "trial/last.pt", weights_only=True)["at"]["step"] == 3
    assert train(sets, "--overwrite", *more, "loss.variant=paper") == 0


def test_files_to_validate_on_are_read_before_the_run_starts(sets, runs, capsys):
    shutil.copytree(sets / "TINY-TE/masks", sets / "TINY-TE/edges")
    edge = sets / "TINY-TE/edges/01.png"
    Image.open(edge).resize((20, 20)).save(edge)
    assert train(sets, "val.fraction=0", "val.data=[TINY-TE]", "data.edges=auto") == 2
    assert "edges/01.png is 20×20" in capsys.readouterr().err
    path = sets / "TINY-TR/images/03.jpg"
    for held_out in ("val.fraction=0.5", "val.fraction=0"):
        path.write_bytes(path.read_bytes()[:-400])
        assert train(sets, held_out) == 2
        assert "03.jpg" in capsys.readouterr().err
    assert not (runs / "trial/last.pt").exists()


@pytest.mark.parametrize("wrong, message", [
    (["val.watch=loss", "data.target=scribble", "val.fraction=0"], "val.watch"),
    (["train.compile=true", "train.checkpoint_trunk=true"], "train.compile"),
    (["model.options.floored_edges=none"], "true or false"),
    (["loss.options.reduced_first=none"], "true or false"),
])
def test_wrong_options_are_named(made_sets, runs, capsys, wrong, message):
    assert train(made_sets, *wrong) == 2
    assert message in capsys.readouterr().err
