"""Sets with scribbles: where they lie, how they are read, and a training run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import train as train_script
from data import find_pairs
from data.loader import training_loader
from data.weak import find_scribbles
from utils.errors import UserError

from .made import data_config


def strokes_of(mask: np.ndarray) -> np.ndarray:
    """S-DUTS codes: a few rows of the object and of the background."""
    codes = np.zeros_like(mask)
    rows = np.arange(len(mask))[:, None] % 8 == 0
    codes[(mask > 127) & rows] = 1
    codes[(mask <= 127) & rows] = 2
    return codes


@pytest.fixture(scope="module")
def weak_sets(made_sets, tmp_path_factory) -> Path:
    """TINY-TR in our layout with scribbles and edges, as SCWSSOD and as WSSA lay it out."""
    root = tmp_path_factory.mktemp("weak")
    pairs = find_pairs("TINY-TR", made_sets)
    folders = ("OURS/images", "OURS/scribbles", "OURS/edges", "WSSA/img", "WSSA/gt", "WSSA/mask",
               "DUTS/image", "DUTS/scribble")
    for folder in folders:
        (root / folder).mkdir(parents=True)
    for pair in pairs:
        codes = strokes_of(np.array(Image.open(pair.mask)))
        for folder in ("OURS/images", "WSSA/img", "DUTS/image"):
            shutil.copy(pair.image, root / folder)
        for folder, values in (("OURS/scribbles", codes), ("DUTS/scribble", codes),
                               ("OURS/edges", np.full_like(codes, 77)),
                               ("WSSA/gt", (codes == 1) * np.uint8(255)),
                               ("WSSA/mask", (codes > 0) * np.uint8(255))):
            Image.fromarray(values).save(root / folder / f"{pair.name}.png")
    (root / "DUTS/train.txt").write_text("".join(f"{pair.name}\n" for pair in pairs[:6]))
    return root


def samples(pairs, **changes) -> dict[str, dict]:
    loader = training_loader(pairs, data_config(target="scribble", **changes), batch=2, seed=0)
    loader.data.require_sound("pairs")
    return {batch["name"][i]: {key: value[i] for key, value in batch.items() if key != "share"}
            for batch in loader for i in range(len(batch["name"]))}


def test_all_layouts_give_the_same_scribbles(weak_sets, monkeypatch):
    monkeypatch.setenv("HOME", str(weak_sets))
    specs = ("OURS", "WSSA", "DUTS", str(weak_sets / "OURS"), "~/OURS",
             f"{weak_sets}/WSSA/img:{weak_sets}/OURS/scribbles")
    sets = {spec: samples(find_scribbles(spec, weak_sets)) for spec in specs}
    assert [len(sets[spec]) for spec in specs] == [10, 10, 6, 10, 10, 10]
    for name, sample in sets["DUTS"].items():
        assert set(sample) == {"image", "scribble", "gray", "name", "size", "index"}
        assert sample["scribble"].shape == sample["gray"].shape == (1, 32, 32)
        assert set(sample["scribble"].unique().tolist()) == {0, 1, 255}
        for spec in specs:
            assert torch.equal(sets[spec][name]["scribble"], sample["scribble"])


def test_edges_come_from_files_or_are_made(weak_sets):
    with_files = find_scribbles("OURS", weak_sets, edges="auto")
    from_files = samples(with_files, edges="auto").values()
    assert all(((sample["edge"] * 255).round() == 77).all() for sample in from_files)
    without = find_scribbles("WSSA", weak_sets, edges="auto")
    auto, canny, sobel = (samples(without, edges=kind) for kind in ("auto", "canny", "sobel"))
    for name, sample in auto.items():
        assert torch.equal(sample["edge"], canny[name]["edge"])
        assert not torch.equal(sobel[name]["edge"], sample["edge"])
    assert torch.stack([sample["edge"] for sample in auto.values()]).max() > 0.2
    with pytest.raises(UserError, match=r"no folder edges or edge.*data\.edges=canny"):
        find_scribbles("WSSA", weak_sets, edges="files")


@pytest.mark.parametrize("arguments, message", [
    (["--config", "configs/wssa.yaml", "data.target=mask"],
     "the losses learn from scribble, edge, but these data have no scribble: "),
    (["--config", "configs/wssa.yaml", "data.train=[WSSA]", "data.edges=none"], "have no edge: "),
    (["--config", "configs/cpd_vgg.yaml", "data.train=[WSSA]", "data.target=scribble"],
     "have no mask: "),
    (["--config", "configs/cpd_vgg.yaml", "data.edges=files"], "data.edges"),
    (["--config", "configs/scwssod_vgg.yaml", "data.train=[WSSA]", "train.batch=1"],
     "with 1 image in 1 part. Raise train.batch"),
])
def test_a_loss_says_what_it_misses(weak_sets, made_sets, runs, capsys, arguments, message):
    root = weak_sets if "WSSA" in str(arguments) else made_sets
    small = ["model.options.width=0.0625", "weights.backbone=none", "data.size=64"]
    assert train_script.main([*arguments[:2], "data.train=[TINY-TR]", *arguments[2:], *small,
                              "--gpu", "cpu", f"data.root={root}"]) == 2
    assert message in capsys.readouterr().err


def test_counts_that_surprise_and_edges_without_use_are_named(weak_sets, capsys):
    (weak_sets / "DUTS-TR").symlink_to(weak_sets / "OURS")
    pairs = find_scribbles("DUTS-TR", weak_sets)
    assert "DUTS-TR: 10 pairs here, the published set has 10553" in capsys.readouterr().out
    config = data_config(target="scribble", edges="canny")
    data = training_loader(pairs, config, batch=2, seed=0).data
    data.require_layers(["scribble", "edge"])
    assert "note" not in capsys.readouterr().out
    data.require_layers(["scribble"])
    assert "data.edges=none leaves it out" in capsys.readouterr().out


def test_what_is_wrong_with_a_set_is_named(weak_sets, tmp_path):
    root = Path(shutil.copytree(weak_sets, tmp_path / "weak"))
    (root / "OURS/scribbles/03.png").unlink()
    with pytest.raises(UserError, match=r"do not pair up[\s\S]*no scribble for .*03\.jpg"):
        find_scribbles("OURS", root)
    (root / "WSSA/mask/05.png").unlink()
    with pytest.raises(UserError, match=r"no file in .*mask for .*05\.jpg"):
        find_scribbles("WSSA", root)
    Image.new("L", (7, 7)).save(root / "DUTS/scribble/02.png")
    codes = np.array(Image.open(root / "DUTS/scribble/04.png"))
    Image.fromarray(codes + 100).save(root / "DUTS/scribble/04.png")
    pairs = find_scribbles("DUTS", root)
    loader = training_loader(pairs, data_config(target="scribble"), batch=2, seed=0)
    with pytest.raises(UserError, match=r"2 in all[\s\S]*sizes differ.*02[\s\S]*value 10\d"):
        loader.data.require_sound("scribbles")
    with pytest.raises(UserError, match=r"no scribbles for 'NONE'.*python -m data scribbles"):
        find_scribbles("NONE", root)


@pytest.mark.parametrize("recipe, options", [
    ("wssa", ["val.data=[{root}/TINY-TE]"]),
    # Batch norms that have seen four batches give no numbers yet in evaluation mode.
    ("scwssod_vgg", []),
])
def test_weak_recipes_train_from_scribbles_and_validate_on_masks(weak_sets, made_sets, runs, capsys,
                                                                 recipe, options):
    options = [option.format(root=made_sets) for option in options]
    arguments = ["--config", f"configs/{recipe}.yaml", "--gpu", "cpu", f"data.root={weak_sets}",
                 "data.train=[WSSA]", "data.size=96", "data.workers=0", "train.batch=5",
                 "train.epochs=1", "train.log_every=1", "weights.backbone=none",
                 "model.options.width=0.0625", "name=weak", *options]
    assert train_script.main(arguments) == 0
    log, notes = capsys.readouterr()
    assert ("NaN in evaluation mode" in notes) == (recipe == "scwssod_vgg")
    assert f"10 pairs to train on, {4 if recipe == 'wssa' else 0} to validate on" in log
    assert ("edges: canny" in log) == (recipe == "wssa")
    state = torch.load(runs / "weak/last.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in state["network"].values())
    assert train_script.main([*arguments, "loss.smoothing=0.1", "--overwrite"]) == 2
    assert "loss.smoothing is for masks" in capsys.readouterr().err
    assert train_script.main([*arguments, "val.fraction=0.2", "--overwrite"]) == 2
