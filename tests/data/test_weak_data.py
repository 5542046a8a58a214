"""Sets with scribbles: where they lie, how they are read, edges made of images, a training run."""

from __future__ import annotations

import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

import test as test_script
import train as train_script
from data import find_pairs
from data.decode import decode_strokes
from data.edges import image_edges
from data.loader import training_loader
from data.statistics import with_statistics_of
from data.transforms import invent_labels, squash
from data.weak import find_scribbles
from utils.config import default_config
from utils.errors import UserError


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


def data_config(**changes):
    return OmegaConf.merge(default_config().data, {"size": 32, "workers": 0, "target": "scribble",
                                                   **changes})


def samples(pairs, **changes) -> dict[str, dict]:
    loader = training_loader(pairs, data_config(**changes), batch=2, seed=0)
    loader.data.require_sound("pairs")
    return {batch["name"][i]: {key: value[i] for key, value in batch.items() if key != "share"}
            for batch in loader for i in range(len(batch["name"]))}


def test_all_layouts_give_the_same_scribbles(weak_sets):
    specs = ("OURS", "WSSA", "DUTS", str(weak_sets / "OURS"),
             f"{weak_sets}/WSSA/img:{weak_sets}/OURS/scribbles")
    found = {spec: samples(find_scribbles(spec, weak_sets)) for spec in specs}
    assert {spec: len(read) for spec, read in found.items()} == dict(zip(specs, (10, 10, 6, 10, 10),
                                                                         strict=True))
    for name, sample in found["DUTS"].items():
        assert set(sample) == {"image", "scribble", "gray", "name", "size"}
        assert sample["scribble"].shape == sample["gray"].shape == (1, 32, 32)
        assert set(sample["scribble"].unique().tolist()) == {0, 1, 255}
        for spec in specs:
            assert torch.equal(found[spec][name]["scribble"], sample["scribble"])


def test_edges_come_from_files_or_are_made(weak_sets):
    with_files = find_scribbles("OURS", weak_sets, edges="auto")
    read = samples(with_files, edges="auto").values()
    assert all(((sample["edge"] * 255).round() == 77).all() for sample in read)
    without = find_scribbles("WSSA", weak_sets, edges="auto")
    made, canny, sobel = (samples(without, edges=kind) for kind in ("auto", "canny", "sobel"))
    for name, sample in made.items():
        assert torch.equal(sample["edge"], canny[name]["edge"])
        assert not torch.equal(sobel[name]["edge"], sample["edge"])
    assert torch.stack([sample["edge"] for sample in made.values()]).max() > 0.2
    with pytest.raises(UserError, match=r"no folder edges or edge.*data\.edges=canny"):
        find_scribbles("WSSA", weak_sets, edges="files")


@pytest.mark.parametrize("arguments, said", [
    (["--config", "configs/wssa.yaml", "data.target=mask"],
     "'wssa' learns from scribble, edge, but these data have no scribble: "),
    (["--config", "configs/wssa.yaml", "data.train=[WSSA]", "data.edges=none"], "have no edge: "),
    (["--config", "configs/cpd_vgg.yaml", "data.train=[WSSA]", "data.target=scribble"],
     "have no mask: "),
    (["--config", "configs/cpd_vgg.yaml", "data.edges=files"], "data.edges"),
    (["--config", "configs/scwssod_vgg.yaml", "data.train=[WSSA]", "train.batch=1"],
     "too few to train it. Raise train.batch"),
])
def test_a_loss_says_what_it_misses(weak_sets, made_sets, runs, capsys, arguments, said):
    root = weak_sets if "WSSA" in str(arguments) else made_sets
    small = ["model.options.width=0.0625", "weights.backbone=none", "data.size=64"]
    assert train_script.main([*arguments[:2], "data.train=[TINY-TR]", *arguments[2:], *small,
                              "--gpu", "cpu", f"data.root={root}"]) == 2
    assert said in capsys.readouterr().err


def test_counts_that_surprise_and_edges_without_use_are_said(weak_sets, capsys):
    (weak_sets / "DUTS-TR").symlink_to(weak_sets / "OURS")
    pairs = find_scribbles("DUTS-TR", weak_sets)
    assert "DUTS-TR: 10 pairs here, the published set has 10553" in capsys.readouterr().out
    data = training_loader(pairs, data_config(edges="canny"), batch=2, seed=0).data
    data.require_layers(["scribble", "edge"], "wssa")
    assert "note" not in capsys.readouterr().out
    data.require_layers(["scribble"], "scwssod")
    assert "data.edges=none spares them" in capsys.readouterr().out


def test_made_edges_follow_the_outline():
    pixels = np.full((40, 60, 3), 90, np.uint8)
    pixels[10:30, 20:40] = 160
    for kind in ("canny", "sobel"):
        edges = image_edges(Image.fromarray(pixels), kind)
        assert edges.shape == (40, 60) and edges.dtype == np.uint8
        assert edges[20, 18:22].max() > 200 and edges[9:12, 30].max() > 200
        assert edges[20, 25:35].max() == 0 and edges[:5].max() == 0


def test_the_released_resize_invents_labels(weak_sets):
    """Between a stroke and the unknown lie codes that are cut to another class."""
    scribble = np.full((64, 64), 255, np.uint8)
    scribble[20:23, 10:50] = 0
    nearest = squash(Image.new("RGB", (64, 64)), 40, scribble=scribble)["scribble"]
    released = squash(Image.new("RGB", (64, 64)), 40, scribble=scribble,
                      scribble_resize="released")["scribble"]
    assert set(nearest.unique().tolist()) == {0, 255}
    assert (released == 1).any()  # foreground, of background strokes
    assert torch.equal(released, invent_labels(scribble, 40))
    same = invent_labels(scribble, 64)
    assert np.array_equal(same[0].numpy(), scribble)  # nothing lies between at the same size


def test_what_is_wrong_with_a_set_is_said(weak_sets, tmp_path):
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
    loader = training_loader(find_scribbles("DUTS", root), data_config(), batch=2, seed=0)
    with pytest.raises(UserError, match=r"2 in all[\s\S]*sizes differ.*02[\s\S]*value 10\d"):
        loader.data.require_sound("scribbles")
    with pytest.raises(UserError, match=r"no scribbles for 'NONE'.*python -m data scribbles"):
        find_scribbles("NONE", root)
    inside, known = root / "WSSA/gt/00.png", root / "WSSA/mask/00.png"
    with pytest.raises(UserError, match="does not label"):
        decode_strokes(known, inside)


def test_statistics_of_each_set_are_a_choice(made_sets, runs, tmp_path):
    config = with_statistics_of("ECSSD", default_config().data)
    assert config.mean == pytest.approx([117.15 / 255, 112.48 / 255, 92.86 / 255])
    assert config.std == pytest.approx([56.36 / 255, 53.82 / 255, 54.23 / 255])
    assert with_statistics_of("ecssd", default_config().data) == config
    assert with_statistics_of("photos", default_config().data) == default_config().data
    (tmp_path / "sets").mkdir()
    shutil.copytree(made_sets / "TINY-TE", tmp_path / "sets/ECSSD")
    small = ["model.options.width=0.0625", "weights.backbone=none", "data.size=32",
             "data.workers=0"]
    assert train_script.main(["--gpu", "cpu", f"data.root={made_sets}", "data.train=[TINY-TR]",
                              "train.epochs=1", "name=weak", *small]) == 0
    maps = {}
    for choice in ("recipe", "per_set"):
        out = tmp_path / choice
        assert test_script.main(["--checkpoint", str(runs / "weak/last.pt"), "--gpu", "cpu",
                                 "--data", str(tmp_path / "sets/ECSSD"), "--out", str(out),
                                 f"test.statistics={choice}", "test.minmax=true"]) == 0
        maps[choice] = np.stack([iio.imread(path) for path in sorted(out.rglob("00.png"))])
    assert not np.array_equal(maps["recipe"], maps["per_set"])


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
    said = capsys.readouterr().out
    assert f"10 pairs to train on, {4 if recipe == 'wssa' else 0} to validate on" in said
    assert ("edges: canny" in said) == (recipe == "wssa")
    state = torch.load(runs / "weak/last.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in state["network"].values())
    assert train_script.main([*arguments, "loss.smoothing=0.1", "--overwrite"]) == 2
    assert "loss.smoothing is for masks" in capsys.readouterr().err
    assert train_script.main([*arguments, "val.fraction=0.2", "--overwrite"]) == 2
