"""The published sets: their counts, the layouts that they have, what is known bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data import catalog, find_pairs, require_sound
from data.__main__ import main as data_main
from data.catalog import known_sets, locate, lookup
from data.edges import edge_source, find_masks
from data.listing import list_images
from data.pairing import Names
from data.stems import listed
from utils.errors import UserError

from .made import COLOUR, SQUARE, save


def test_counts_of_the_published_sets():
    expected = {"DUTS-TR": 10553, "DUTS-TE": 5019, "ECSSD": 1000, "PASCAL-S": 850, "HKU-IS": 4447,
                "DUT-OMRON": 5168, "THUR15K": 6232, "SOD": 300}
    assert {name: known_sets()[name].pairs for name in expected} == expected


@pytest.mark.parametrize("name, images, masks", [
    ("DUTS-TR", "DUTS-TR/DUTS-TR-Image/x.jpg", "DUTS-TR/DUTS-TR-Mask/x.png"),
    ("DUTS-TE", "DUTS/DUTS-TE/DUTS-TE-Image/x.jpg", "DUTS/DUTS-TE/DUTS-TE-Mask/x.png"),
    ("DUTS-TR", "DUTS/Train/images/x.jpg", "DUTS/Train/masks/x.png"),
    ("ECSSD", "ECSSD/images/x.jpg", "ECSSD/ground_truth_mask/x.png"),
    ("ECSSD", "ecssd/Image/x.jpg", "ecssd/GT/x.png"),
    ("ECSSD", "ECSSD/Test/images/x.jpg", "ECSSD/Test/masks/x.png"),
    ("PASCAL-S", "PASCAL/images/x.jpg", "PASCAL/gts/x.png"),
    ("PASCAL-S", "PASCAL-S/datasets/imgs/pascal/x.jpg", "PASCAL-S/datasets/masks/pascal/x.png"),
    ("HKU-IS", "HKUIS/imgs/x.png", "HKUIS/gt/x.png"),
    ("DUT-OMRON", "DUT-OMRON-image/x.jpg", "pixelwiseGT-new-PNG/x.png"),
    ("DUT-OMRON", "DUT-O/images/x.jpg", "DUT-O/masks/x.png"),
    ("SOD", "SOD/Imgs/x.jpg", "SOD/Imgs/x.png"),
    ("MSRA-B", "MSRA-B/Imgs/x.jpg", "MSRA-B/Imgs/x.png"),
    ("MSRA-B", "MSRA-B/image/x.jpg", "MSRA-B/annotation/x.png"),
    ("MSRA10K", "MSRA10K_Imgs_GT/Imgs/x.jpg", "MSRA10K_Imgs_GT/Imgs/x.png"),
    ("SOC-TR", "SOC/TrainSet/Imgs/x.jpg", "SOC/TrainSet/gt/x.png"),
    ("SOC-VAL", "SOC6K_Release/ValSet/Imgs/x.jpg", "SOC6K_Release/ValSet/gt/x.png"),
    ("HRSOD-TR", "HRSOD_release/HRSOD_train/x.jpg", "HRSOD_release/HRSOD_train_mask/x.png"),
    ("HRSOD-TE", "HRSOD/HRSOD_test/x.jpg", "HRSOD/HRSOD_test_mask/x.png"),
    ("UHRSD-TE", "UHRSD/UHRSD_TE_2K/image/x.jpg", "UHRSD/UHRSD_TE_2K/mask/x.png"),
    ("DAVIS-S", "DAVIS-S/images/x.jpg", "DAVIS-S/masks/x.png"),
    ("DIS-VD", "DIS5K/DIS-VD/im/x.jpg", "DIS5K/DIS-VD/gt/x.png"),
    ("DIS5K-TE4", "DIS-TE4/im/x.jpg", "DIS-TE4/gt/x.png"),
    ("MINE", "MINE/im/x.png", "MINE/gt/x.gif"),
    ("MINE", "MINE/JPEGImages/x.jpg", "MINE/SegmentationClass/x.png"),
    ("MINE", "MINE/images/x.jpg", "MINE/annotations/x.png"),
    ("MINE", "MINE/images/x.jpg", "MINE/labels/x.png")])
def test_layouts_are_recognised(tmp_path, name, images, masks):
    save(tmp_path / images, COLOUR)
    save(tmp_path / masks, SQUARE)
    (pair,) = find_pairs(name, tmp_path)
    assert (pair.image, pair.mask) == (tmp_path / images, tmp_path / masks)


def test_folders_of_labels_that_are_no_pictures_are_no_masks(tmp_path):
    """VOC has Annotations of XML beside its masks, YOLO labels of text instead of them."""
    save(tmp_path / "VOC/JPEGImages/x.jpg", COLOUR)
    save(tmp_path / "VOC/SegmentationClass/x.png", SQUARE)
    for name in ("VOC/Annotations/x.xml", "YOLO/labels/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x")
    save(tmp_path / "YOLO/images/x.jpg", COLOUR)
    assert len(find_pairs("VOC", tmp_path)) == 1
    with pytest.raises(UserError, match=r"no image folder .* beside a mask folder .*IMAGES:MASKS.*"
                                        r"--input"):
        find_pairs("YOLO", tmp_path)
    save(tmp_path / "VOC/labels/x.png", SQUARE)
    with pytest.raises(UserError, match="several folders could hold"):
        find_pairs("VOC", tmp_path)


def test_images_of_two_kinds_without_masks_are_no_set(tmp_path):
    for name in ("a.jpg", "b.png"):
        save(tmp_path / "PHOTOS" / name, COLOUR)
    with pytest.raises(UserError, match="--input"):
        find_pairs("PHOTOS", tmp_path)


def test_what_lies_beside_jpeg_and_png_of_one_folder_is_named(tmp_path):
    for name in ("a.jpg", "a.png", "b.gif", "night/c.jpg", "night/c.png"):
        save(tmp_path / "SET" / name, COLOUR)
    (tmp_path / "SET/film.mp4").write_bytes(b"x")
    located = locate("SET", tmp_path)
    assert [pair.name for pair in located.pairs] == ["a"]
    assert located.notes[0].startswith(
        f"{tmp_path}/SET: 2 files left out: film.mp4, b.gif; 1 subfolder (night), see --recursive")
    located = locate("SET", tmp_path, Names(recursive=True))
    assert [pair.name for pair in located.pairs] == ["a", "night/c"]


def test_a_note_is_on_the_items_of_its_stem_alone(tmp_path):
    for stem in ("n01532829_13482", "n01532829_134820"):
        save(tmp_path / f"DUTS-TR/DUTS-TR-Image/{stem}.jpg", COLOUR)
    save(tmp_path / "DUTS-TR/DUTS-TR-Mask/x.png", SQUARE)
    problems = locate("DUTS-TR", tmp_path).problems
    assert [("known" in problem) for problem in problems] == [True, False, False]


def test_one_folder_with_train_and_test_lists(tmp_path):
    for stem in ("one", "two", "three"):
        save(tmp_path / f"DUTS/image/{stem}.jpg", COLOUR)
        save(tmp_path / f"DUTS/mask/{stem}.png", SQUARE)
    (tmp_path / "DUTS/train.txt").write_text("one\ntwo\n")
    (tmp_path / "DUTS/test.txt").write_text("\ufeffimage\\three.jpg mask\\three.png\r\n",
                                            encoding="utf-8")
    assert [p.name for p in find_pairs("DUTS-TR", tmp_path)] == ["one", "two"]
    assert [p.name for p in find_pairs("DUTS-TE", tmp_path)] == ["three"]
    (tmp_path / "DUTS/train.txt").write_text("one\nfour\n")
    with pytest.raises(UserError, match="not found: four"):
        find_pairs("DUTS-TR", tmp_path)


def test_the_parts_of_msra_b_are_its_lists(tmp_path):
    """In both layouts in which it is seen; the lists name masks."""
    for stem in ("0_1_1", "0_1_2", "0_1_3"):
        save(tmp_path / f"MSRA-B/image/{stem}.jpg", COLOUR)
        save(tmp_path / f"MSRA-B/annotation/{stem}.png", SQUARE)
        save(tmp_path / f"flat/MSRA-B/{stem}.jpg", COLOUR)
        save(tmp_path / f"flat/MSRA-B/{stem}.png", SQUARE)
    with pytest.raises(UserError, match=r"MSRA-B-TR not found .* train_cvpr2013.txt in MSRA-B, "):
        find_pairs("MSRA-B-TR", tmp_path)
    for root in (tmp_path, tmp_path / "flat"):
        (root / "MSRA-B/train_cvpr2013.txt").write_text("0_1_1.png\n0_1_3.png\n")
        located = locate("MSRA-B-TR", root)
        assert [pair.name for pair in located.pairs] == ["0_1_1", "0_1_3"]
        assert located.count_note.endswith("2 pairs here, the published set has 2500")
        assert len(find_pairs("MSRA-B", root)) == 3


def test_thur_leaves_out_images_that_were_never_masked(tmp_path):
    for kind in ("Butterfly", "Giraffe"):
        save(tmp_path / f"THUR15000/{kind}/Src/{kind}1.jpg", COLOUR)
        save(tmp_path / f"THUR15000/{kind}/Src/{kind}1.png", SQUARE)
        save(tmp_path / f"THUR15000/{kind}/Src/{kind}2.jpg", COLOUR)
        save(tmp_path / f"THUR15000/{kind}/Sketch.jpg", COLOUR)
    assert [p.name for p in find_pairs("THUR15K", tmp_path)] == ["Butterfly1", "Giraffe1"]


def test_known_bad_items_are_explained(tmp_path):
    stem = "n01532829_13482"
    save(tmp_path / f"DUTS-TR/DUTS-TR-Image/{stem}.jpg", COLOUR)
    for suffix in ("png", "jpg"):
        save(tmp_path / f"DUTS-TR/DUTS-TR-Mask/{stem}.{suffix}", SQUARE)
    with pytest.raises(UserError, match="delete the"):
        find_pairs("DUTS-TR", tmp_path)


def test_custom_sets_and_unknown_names(sets, tmp_path):
    assert len(find_pairs("TINY-TE", sets)) == 4
    spec = f"{sets / 'TINY-TE/images'}:{sets / 'TINY-TE/masks'}"
    assert len(find_pairs(spec, tmp_path)) == 4
    assert locate(spec, tmp_path).name == "TINY-TE"
    with pytest.raises(UserError, match="did you mean 'ECSSD'"):
        find_pairs("ECSD", sets)
    with pytest.raises(UserError, match=r"in brackets: \[ECSSD,SOD\]"):
        find_pairs("ECSSD,SOD", sets)
    with pytest.raises(UserError, match=r"folder not found: .*TINY-TE/gts"):
        find_pairs(f"{sets / 'TINY-TE/images'}:{sets / 'TINY-TE/gts'}", sets)
    with pytest.raises(UserError, match="'' not found"):
        find_pairs("", sets)
    with pytest.raises(UserError, match="ECSSD not found under"):
        find_pairs("ECSSD", sets)
    (sets / "TINY-TE/gt").mkdir()
    with pytest.raises(UserError, match="several folders"):
        find_pairs("TINY-TE", sets)


def test_names_are_compared_without_case_and_punctuation():
    assert lookup("duts_te") is lookup("DUTS-TEST") is known_sets()["DUTS-TE"]
    assert lookup("something") is None


def test_real_sets_pair_up(shared):
    root = shared / "data/mini"
    for name, count in (("DUTS-TR", 24), ("ECSSD", 16)):
        pairs = find_pairs(name, root)
        assert len(pairs) == count
        require_sound(pairs, name)
    assert "10553" in locate("DUTS-TR", root).count_note


# --- camouflaged objects -------------------------------------------------------------------------

FISH, NOTHING_HIDDEN = "COD10K-CAM-1-Aquatic-1-BatFish-4", "COD10K-NonCAM-1-Aquatic-1-BatFish-11"


def put(root: Path, *names: str, pixels: np.ndarray = SQUARE) -> None:
    for name in names:
        save(root / name, pixels)


def stems_of(name: str, root: Path) -> list[str]:
    """Stems of a set's pairs, of which each is in order."""
    pairs = find_pairs(name, root)
    assert all(pair.image.stem == pair.mask.stem == pair.name for pair in pairs)
    return [pair.name for pair in pairs]


def test_counts_of_the_camouflaged_sets():
    expected = {"COD10K": 2026, "COD10K-TR": 3040, "CAMO": 250, "CAMO-TR": 1000, "CHAMELEON": 76,
                "NC4K": 4121, "COD-TR": 4040}
    assert {name: known_sets()[name].pairs for name in expected} == expected
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
def test_layouts_of_camouflaged_sets_are_recognised(tmp_path, name, images, masks):
    put(tmp_path, images, masks)
    (pair,) = find_pairs(name, tmp_path)
    assert (pair.image, pair.mask) == (tmp_path / images, tmp_path / masks)


@pytest.mark.parametrize("folder", ["COD10K-v3/", "COD10K/", "COD10K/COD10K-v3/", ""])
def test_cod10ks_own_layout_has_both_splits_and_images_that_hide_nothing(tmp_path, folder):
    for split, number in (("Train", 1), ("Test", 2)):
        here = tmp_path / f"{folder}{split}"
        put(here, f"Image/{FISH}{number}.jpg", f"GT_Object/{FISH}{number}.png",
            f"Image/{NOTHING_HIDDEN}{number}.jpg", f"Image/{NOTHING_HIDDEN}9.jpg",
            f"GT_Edge/{FISH}{number}.png")
        put(here, f"GT_Object/{NOTHING_HIDDEN}{number}.png", pixels=SQUARE * 0)
    assert stems_of("COD10K-TR", tmp_path) == [f"{FISH}1"]
    assert stems_of("COD10K", tmp_path) == [f"{FISH}2"]


@pytest.mark.parametrize("folder", ["CAMO-V.1.0-CVIU2019/", "CAMO/", "CAMO/CAMO-V.1.0-CVIU2019/",
                                    "CAMO-COCO-V.1.0-CVIU2019/Camouflage/", ""])
def test_camos_own_layout_has_one_folder_of_masks_for_both_splits(tmp_path, folder):
    put(tmp_path / folder, *(f"GT/camourflage_{number:05d}.png" for number in (1, 2, 3)),
        "Images/Train/camourflage_00001.jpg", "Images/Train/camourflage_00003.jpg",
        "Images/Test/camourflage_00002.jpg")
    assert stems_of("CAMO-TR", tmp_path) == ["camourflage_00001", "camourflage_00003"]
    assert stems_of("CAMO", tmp_path) == ["camourflage_00002"]
    (tmp_path / folder / "GT/camourflage_00002.png").unlink()
    assert "no mask for" in locate("CAMO", tmp_path).problems[0]


def test_splits_are_not_taken_for_each_other(tmp_path):
    put(tmp_path, "COD10K/images/a.jpg", "COD10K/masks/a.png", "CAMO/Imgs/b.jpg", "CAMO/GT/b.png")
    for name in ("COD10K-TR", "CAMO-TR", "COD-TR"):
        with pytest.raises(UserError, match=f"{name} not found"):
            find_pairs(name, tmp_path)
    assert lookup("COD10K_TestingDataset") is known_sets()["COD10K"]
    assert lookup("cod10k_tr") is known_sets()["COD10K-TR"]
    assert lookup("COD10K-v3") is lookup("TestDataset") is None  # they hold more than one set


def test_the_edges_of_the_joint_training_set_are_found(tmp_path):
    put(tmp_path, *(f"TrainDataset/{part}" for part in ("Imgs/a.jpg", "GT/a.png", "Edge/a.png")))
    pairs = find_masks("COD-TR", tmp_path, "auto")
    assert edge_source("auto", pairs) == "files"
    assert pairs[0].edge == tmp_path / "TrainDataset/Edge/a.png"


@pytest.mark.parametrize("suffix", ["", ".jpg", ".bmp", ".TIF", ".webp"])
def test_a_list_may_name_files_of_any_kind_that_folders_hold(tmp_path, suffix):
    images = list_images(save(tmp_path / "images/a.v2.jpg", COLOUR).parent)
    (tmp_path / "list.txt").write_text(f"a.v2{suffix}\n")
    images, _, problems = listed(images, images, tmp_path / "list.txt")
    assert (len(images), problems) == (1, [])


@pytest.mark.parametrize("spec", ["~nobody-here/x", "~nobody-here/x:~nobody-here/y"])
def test_a_home_folder_of_nobody_is_not_found_like_any_other(tmp_path, spec, capsys):
    with pytest.raises(UserError, match=r"'~nobody-here/x.*not found"):
        locate(spec, tmp_path)
    assert data_main(["check", spec]) == 2
    assert "not found" in capsys.readouterr().err


def test_a_field_that_the_catalog_does_not_know_is_named(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    text = "ECSSD: {folders: [ECSSD], pears: 1}\nSOD: [300]\nHKU-IS: {folders: [A], pairs: a}\n" \
           "THUR15K: {folders: A}"
    monkeypatch.setattr(catalog, "ROOT", tmp_path)
    for part, message in zip(text.splitlines(), (
            "catalog.yaml: ECSSD: unknown field 'pears'; did you mean 'pairs'",
            "catalog.yaml: SOD: expected fields",
            "catalog.yaml: HKU-IS: pairs is 'a', which is not a whole",
            "catalog.yaml: THUR15K: folders is 'A', which is not a list"), strict=True):
        (tmp_path / "data/catalog.yaml").write_text(part)
        known_sets.cache_clear()
        with pytest.raises(UserError, match=message):
            known_sets()
    known_sets.cache_clear()


# --- colour and depth ----------------------------------------------------------------------------

def test_counts_of_the_sets_with_depth():
    expected = {"NJU2K": 1985, "NJU2K-TR": 1485, "NJU2K-TE": 500, "NLPR": 1000, "NLPR-TR": 700,
                "NLPR-TE": 300, "RGBD-TR": 2185, "STERE": 1000, "SIP": 929, "DES": 135,
                "LFSD": 100, "SSD": 80}
    assert {name: known_sets()[name].pairs for name in expected} == expected
    assert expected["RGBD-TR"] == expected["NJU2K-TR"] + expected["NLPR-TR"]
    for name in ("NJU2K", "NLPR"):
        assert expected[name] == expected[f"{name}-TR"] + expected[f"{name}-TE"]


@pytest.mark.parametrize("name, folder", [
    *((name, name) for name in ("NJU2K", "NLPR", "STERE", "SIP", "DES", "LFSD", "SSD")),
    *((name, f"RGBD_for_test/{name}") for name in ("STERE", "SIP", "DES", "LFSD", "SSD")),
    ("NJU2K", "NJUD_FULL"), ("NLPR", "NLPR_FULL"), ("RGBD-TR", "RGBD_for_train"),
    ("NJU2K-TR", "NJU2K_TRAIN"), ("NJU2K-TE", "NJU2K_TEST"), ("NJU2K-TE", "NJU2K_Test"),
    ("NJU2K-TR", "NJU2K/trainset"), ("NJU2K-TE", "NJU2K/testset"), ("NLPR-TR", "NLPR/trainset"),
    ("NLPR-TE", "NLPR/testset"), ("NJU2K-TE", "RGBD_for_test/NJU2K"),
    ("RGBD_for_test/NLPR", "RGBD_for_test/NLPR"), ("STEREO", "STEREO"), ("DES", "RGBD135"),
    ("SSD", "SSD100"), ("MINE", "MINE")])
@pytest.mark.parametrize("images, masks, depth", [("RGB", "GT", "depth"),
                                                  ("Image", "Mask", "Depth")])
def test_depth_is_taken_neither_for_images_nor_for_masks(tmp_path, name, folder, images, masks,
                                                         depth):
    """Depth has the images' names, in any format, and may be more or fewer files."""
    here = tmp_path / folder
    put(here, f"{masks}/a.png", f"{depth}/a.png", f"{depth}/a.bmp", f"{depth}/b.jpg")
    put(here, f"{images}/a.jpg", pixels=COLOUR)
    located = locate(name, tmp_path)
    assert located.problems == []
    (pair,) = located.pairs
    assert (pair.image, pair.mask) == (here / f"{images}/a.jpg", here / f"{masks}/a.png")


def test_the_folder_of_a_split_is_not_taken_for_the_whole_set(tmp_path):
    put(tmp_path, "NLPR/testset/RGB/a.jpg", "NLPR/testset/GT/a.png")
    with pytest.raises(UserError, match="no image folder"):
        find_pairs("NLPR", tmp_path)
    assert stems_of("NLPR-TE", tmp_path) == ["a"]
    assert lookup("RGBD_for_test/NJU2K") is lookup("nju2k-test") is known_sets()["NJU2K-TE"]
    assert lookup("NJU2K") is known_sets()["NJU2K"]
