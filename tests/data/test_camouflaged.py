"""The catalog's camouflaged sets, in the layouts that their publishers and users give them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from data import find_pairs
from data.__main__ import main as data_main
from data.catalog import CATALOG, locate, lookup
from data.edges import edge_source, find_masks
from utils.errors import UserError

MASK = np.zeros((6, 8), np.uint8)
MASK[1:4, 2:7] = 255
FISH, OTHER = "COD10K-CAM-1-Aquatic-1-BatFish-4", "COD10K-NonCAM-1-Aquatic-1-BatFish-11"


def put(root, *names, pixels=MASK):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def found(name, root) -> list[str]:
    """Stems of a set's pairs, of which each is in order."""
    pairs = find_pairs(name, root)
    assert all(pair.image.stem == pair.mask.stem == pair.name for pair in pairs)
    return [pair.name for pair in pairs]


def test_counts_of_the_published_sets():
    expected = {"COD10K": 2026, "COD10K-TR": 3040, "CAMO": 250, "CAMO-TR": 1000, "CHAMELEON": 76,
                "NC4K": 4121, "COD-TR": 4040}
    assert {name: CATALOG[name].pairs for name in expected} == expected
    assert expected["COD-TR"] == expected["COD10K-TR"] + expected["CAMO-TR"]


@pytest.mark.parametrize("name, images, masks", [
    *((name, f"TestDataset/{name}/Imgs/x.jpg", f"TestDataset/{name}/GT/x.png")
      for name in ("COD10K", "CAMO", "CHAMELEON", "NC4K")),
    *((name, f"{name}/images/x.jpg", f"{name}/masks/x.png")
      for name in ("COD10K", "COD10K-TR", "CAMO", "CAMO-TR", "CHAMELEON", "NC4K", "COD-TR")),
    ("CHAMELEON", "CHAMELEON_TestingDataset/Image/x.jpg", "CHAMELEON_TestingDataset/GT/x.png"),
    ("NC4K", "NC4K/Test/images/x.jpg", "NC4K/Test/masks/x.png"),
    ("COD-TR", "TrainDataset/Imgs/x.jpg", "TrainDataset/GT/x.png"),
    ("COD-TR", "TrainValDataset/Imgs/x.jpg", "TrainValDataset/GT/x.png")])
def test_layouts_are_recognised(tmp_path, name, images, masks):
    put(tmp_path, images, masks)
    (pair,) = find_pairs(name, tmp_path)
    assert (pair.image, pair.mask) == (tmp_path / images, tmp_path / masks)


@pytest.mark.parametrize("folder", ["COD10K-v3/", "COD10K/", "COD10K/COD10K-v3/", ""])
def test_cod10ks_own_layout_has_both_splits_and_images_that_hide_nothing(tmp_path, folder):
    for split, number in (("Train", 1), ("Test", 2)):
        here = tmp_path / f"{folder}{split}"
        put(here, f"Image/{FISH}{number}.jpg", f"GT_Object/{FISH}{number}.png",
            f"Image/{OTHER}{number}.jpg", f"Image/{OTHER}9.jpg", f"GT_Edge/{FISH}{number}.png")
        put(here, f"GT_Object/{OTHER}{number}.png", pixels=MASK * 0)
    assert found("COD10K-TR", tmp_path) == [f"{FISH}1"]
    assert found("COD10K", tmp_path) == [f"{FISH}2"]


@pytest.mark.parametrize("folder", ["CAMO-V.1.0-CVIU2019/", "CAMO/", "CAMO/CAMO-V.1.0-CVIU2019/",
                                    "CAMO-COCO-V.1.0-CVIU2019/Camouflage/", ""])
def test_camos_own_layout_has_one_folder_of_masks_for_both_splits(tmp_path, folder):
    put(tmp_path / folder, *(f"GT/camourflage_{number:05d}.png" for number in (1, 2, 3)),
        "Images/Train/camourflage_00001.jpg", "Images/Train/camourflage_00003.jpg",
        "Images/Test/camourflage_00002.jpg")
    assert found("CAMO-TR", tmp_path) == ["camourflage_00001", "camourflage_00003"]
    assert found("CAMO", tmp_path) == ["camourflage_00002"]
    (tmp_path / folder / "GT/camourflage_00002.png").unlink()
    assert "no mask for" in locate("CAMO", tmp_path).problems[0]


def test_splits_are_not_taken_for_each_other(tmp_path):
    put(tmp_path, "COD10K/images/a.jpg", "COD10K/masks/a.png", "CAMO/Imgs/b.jpg", "CAMO/GT/b.png")
    for name in ("COD10K-TR", "CAMO-TR", "COD-TR"):
        with pytest.raises(UserError, match=f"{name} not found"):
            find_pairs(name, tmp_path)
    assert lookup("COD10K_TestingDataset") is CATALOG["COD10K"]
    assert lookup("cod10k_tr") is CATALOG["COD10K-TR"]
    assert lookup("COD10K-v3") is lookup("TestDataset") is None  # they hold more than one set


def test_the_edges_of_the_joint_training_set_are_found(tmp_path):
    put(tmp_path, *(f"TrainDataset/{part}" for part in ("Imgs/a.jpg", "GT/a.png", "Edge/a.png")))
    pairs = find_masks("COD-TR", tmp_path, "auto")
    assert edge_source("auto", pairs) == "files"
    assert pairs[0].edge == tmp_path / "TrainDataset/Edge/a.png"


def test_the_doctor_names_the_sets_and_not_the_folders_that_hold_them(tmp_path, capsys):
    put(tmp_path, "CAMO-V.1.0-CVIU2019/GT/a.png", "CAMO-V.1.0-CVIU2019/GT/b.png",
        "CAMO-V.1.0-CVIU2019/Images/Test/a.jpg", "CAMO-V.1.0-CVIU2019/Images/Train/b.jpg",
        "TestDataset/NC4K/Imgs/1.jpg", "TestDataset/NC4K/GT/1.png",
        f"COD10K-v3/Test/Image/{FISH}.jpg", f"COD10K-v3/Test/GT_Object/{FISH}.png")
    assert data_main(["check", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    for count in ("1 of 250", "1 of 1000", "1 of 4121", "1 of 2026"):
        assert count in said
    assert "CVIU2019" not in said
    assert "not examined" not in said
