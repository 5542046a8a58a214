"""The doctor, ``python -m data check``."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from data import decode_mask
from data.__main__ import main as data_main
from data.catalog import SetOnDisk, known_sets
from data.check import Diagnosis, Finding, examine, mask_values
from data.masks import MaskCoding
from data.pairing import Pair

from .made import COLOUR, SQUARE, save


def test_the_doctor_passes_a_sound_set(made_sets, capsys):
    assert data_main(["check", str(made_sets)]) == 0
    out = capsys.readouterr().out
    assert "TINY-TR" in out
    assert "10 binary" in out
    assert data_main(["check", str(made_sets / "TINY-TE")]) == 0


@pytest.mark.parametrize("damage, complaint", [
    (lambda s: (s / "TINY-TE/masks/00.png").unlink(), "no mask for"),
    (lambda s: (s / "TINY-TE/images/00.jpg").write_bytes(b"x"), "not an image"),
    (lambda s: save(s / "TINY-TE/masks/00.png", SQUARE), "sizes differ"),
    (lambda s: save(s / "TINY-TE/masks/00.png", mask_at(s) // 255), "holds 0, 1, unlike the masks"),
    (lambda s: save(s / "TINY-TE/masks/00.png", mask_at(s) | 255), "full mask"),
    (lambda s: save(s / "TINY-TE/masks/00.png", mask_at(s) // 5 + np.arange(
        mask_at(s).shape[1], dtype=np.uint8) // 4), "no foreground in")])
def test_the_doctor_finds_what_is_wrong(sets, capsys, damage, complaint):
    damage(sets)
    assert data_main(["check", str(sets)]) == 1
    assert complaint in capsys.readouterr().out


def mask_at(sets) -> np.ndarray:
    return decode_mask(sets / "TINY-TE/masks/00.png")


def test_a_black_mask_is_counted_and_no_problem(sets, capsys):
    save(sets / "TINY-TE/masks/00.png", np.zeros_like(mask_at(sets)))
    assert data_main(["check", str(sets)]) == 0
    out = capsys.readouterr().out
    assert "1/0" in out
    assert "TINY-TE: 1 empty mask: 00" in out


def test_the_doctor_names_the_coding_or_asks_for_it(tmp_path, capsys):
    for name in "ab":
        save(tmp_path / f"SET/images/{name}.jpg", COLOUR)
        save(tmp_path / f"SET/masks/{name}.png", np.where(SQUARE > 0, 1, 2).astype(np.uint8))
    assert data_main(["check", str(tmp_path)]) == 1
    assert "masks of SET hold 1, 2 and no 0" in capsys.readouterr().out
    keys = ["data.mask_coding=trimap", "data.mask_trimap=[1,2,3]"]
    assert data_main(["check", *keys, str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "masks: trimap, 1 = object, 2 = background, 3 = void (SET)" in out
    assert "2 binary" in out


def test_the_doctor_counts_against_the_catalog(tmp_path, capsys):
    save(tmp_path / "ECSSD/images/0001.jpg", COLOUR)
    save(tmp_path / "ECSSD/ground_truth_mask/0001.png", SQUARE)
    assert data_main(["check", str(tmp_path)]) == 1
    assert "the published set has 1000" in capsys.readouterr().out


def test_the_doctor_reports_a_set_that_it_does_not_understand(tmp_path, capsys):
    save(tmp_path / "ECSSD/images/0001.jpg", COLOUR)
    save(tmp_path / "ECSSD/maskz/0001.png", SQUARE)
    save(tmp_path / "GOOD/images/a.jpg", COLOUR)
    save(tmp_path / "GOOD/masks/a.png", SQUARE)
    assert data_main(["check", str(tmp_path)]) == 1
    assert "no image folder" in capsys.readouterr().out.replace("\n", " ")


def test_the_doctor_names_the_sets_and_not_the_folders_that_hold_them(tmp_path, capsys):
    for name in ("CAMO-V.1.0-CVIU2019/GT/a.png", "CAMO-V.1.0-CVIU2019/GT/b.png",
                 "CAMO-V.1.0-CVIU2019/Images/Test/a.jpg", "CAMO-V.1.0-CVIU2019/Images/Train/b.jpg",
                 "TestDataset/NC4K/Imgs/1.jpg", "TestDataset/NC4K/GT/1.png",
                 "COD10K-v3/Test/Image/COD10K-CAM-1.jpg",
                 "COD10K-v3/Test/GT_Object/COD10K-CAM-1.png"):
        save(tmp_path / name, SQUARE)
    assert data_main(["check", str(tmp_path)]) == 1
    report = capsys.readouterr().out
    for count in ("1 of 250", "1 of 1000", "1 of 4121", "1 of 2026"):
        assert count in report
    assert "CVIU2019" not in report
    assert "not examined" not in report


def test_the_doctor_takes_images_of_two_kinds_for_one_set(tmp_path, capsys):
    for name in ("a.jpg", "b.jpg", "c.png"):
        save(tmp_path / f"SET/images/{name}", COLOUR)
        save(tmp_path / f"SET/masks/{name[0]}.png", SQUARE)
    for spec in (tmp_path / "SET", tmp_path, f"{tmp_path}/SET/images:{tmp_path}/SET/masks"):
        assert data_main(["check", str(spec)]) == 0
        out, err = capsys.readouterr()
        assert re.findall(r"│ (\w+) +│ (\d) ", out) == [("SET", "3")]
        assert "not examined" not in out + err
    save(tmp_path / "SET/images/a.png", COLOUR)  # the folder now looks like a set of its own
    for stem in "abc":
        (tmp_path / f"SET/masks/{stem}.png").rename(tmp_path / f"SET/masks/{stem}{stem}.png")
    assert data_main(["check", str(tmp_path / "SET")]) == 1
    assert re.findall(r"│ (\w+) +│ (\d) ", capsys.readouterr().out) == [("SET", "0")]


def test_the_doctor_takes_what_training_takes(sets, capsys):
    (sets / "ECSSD").symlink_to(sets / "TINY-TE")
    root = f"data.root={sets}"
    assert data_main(["check", "TINY-TE", "TINY-TR", root]) == 0
    assert {"TINY-TE", "TINY-TR"} <= set(capsys.readouterr().out.split())
    assert data_main(["check", "ecssd", root]) == 1
    assert "4 of 1000" in capsys.readouterr().out
    assert data_main(["check", root]) == 1
    assert "4 of 1000" in capsys.readouterr().out
    assert data_main(["check", "NOWHERE", root]) == 2
    assert "'NOWHERE' not found" in capsys.readouterr().err
    assert data_main(["check", "optim.lr=1"]) == 2
    assert "check takes those of data" in capsys.readouterr().err
    for path in (sets / "TINY-TE/masks").iterdir():
        path.rename(path.with_name(f"{path.stem}_mask.png"))
        Image.new("L", (8, 8)).save(path)  # no mask: it lacks the suffix
    assert data_main(["centre-prior", "TINY-TE", str(sets / "out"), root]) == 2
    assert data_main(["centre-prior", "TINY-TE", str(sets / "out"), root,
                      "data.mask_suffix=_mask"]) == 0
    assert len(list((sets / "out").iterdir())) == 4


@pytest.mark.parametrize("words", [["--recursive"], ["data.recursive=true"]])
def test_the_doctor_names_subfolders_or_reads_them(tmp_path, capsys, words):
    for part, pixels in (("images", COLOUR), ("masks", SQUARE)):
        for name in ("a.png", "night/b.png"):
            save(tmp_path / "SET" / part / name, pixels)
    (tmp_path / "SET/images/film.mp4").write_bytes(b"x")
    assert data_main(["check", str(tmp_path / "SET")]) == 0
    out, err = capsys.readouterr()
    assert "│ SET │ 1 " in out
    assert err.splitlines() == [
        f"note: {tmp_path}/SET/images: 1 file left out: film.mp4; 1 subfolder (night), see "
        "--recursive (data.recursive=true)",
        f"note: {tmp_path}/SET/masks: 1 subfolder (night), see --recursive (data.recursive=true)"]
    assert data_main(["check", str(tmp_path / "SET"), *words]) == 0
    out, err = capsys.readouterr()
    assert "│ SET │ 2 " in out
    assert err == f"note: {tmp_path}/SET/images: 1 file left out: film.mp4\n"


def test_names_of_sets_are_no_markup(tmp_path, capsys):
    save(tmp_path / "[bold]x/images/a.jpg", COLOUR)
    save(tmp_path / "[bold]x/masks/a.png", SQUARE)
    assert data_main(["check", str(tmp_path / "[bold]x")]) == 0
    assert "│ [bold]x │ 1 " in capsys.readouterr().out


def test_the_doctor_examines_one_published_set(shared, capsys):
    assert data_main(["check", str(shared / "data/mini/ECSSD")]) == 1  # 16 of 1000
    assert "16 of 1000" in capsys.readouterr().out


def test_the_doctor_needs_something_to_examine(tmp_path, capsys):
    assert data_main(["check", str(tmp_path / "nowhere")]) == 2
    assert data_main(["check", str(tmp_path)]) == 2
    assert "no data set in" in capsys.readouterr().err
    assert data_main(["check", ""]) == 2
    listed = save(tmp_path / "photos/a.jpg", COLOUR)
    assert data_main(["check", str(listed)]) == data_main(["check", f"{tmp_path}:{listed}"]) == 2
    assert capsys.readouterr().err.count(f"{listed} is a file") == 2


def test_a_layout_that_is_not_known_is_reported_once(tmp_path, capsys):
    save(tmp_path / "photos/a.jpg", COLOUR)
    save(tmp_path / "truths/a.png", SQUARE)
    assert data_main(["check", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert (out + err).count("IMAGES:MASKS") == 1


def mask_of(*counts: tuple[int, int]) -> np.ndarray:
    """A mask of one row that holds each value so many times."""
    return np.repeat([value for value, _ in counts], [count for _, count in counts])[None].astype(
        np.uint8)


@pytest.mark.parametrize("mask, kind", [
    (mask_of((0, 500), (255, 500)), "binary"),
    (mask_of((0, 999), (1, 1)), "anti-aliased"),
    (mask_of((255, 999), (254, 1)), "anti-aliased"),
    (mask_of((0, 951), (100, 49)), "anti-aliased"),
    (mask_of((0, 950), (100, 50)), "grey"),  # 5 % and more
])
def test_a_mask_is_grey_from_five_percent_of_grey_pixels_on(mask, kind):
    assert mask_values(mask) == kind


@pytest.mark.parametrize("mask, area", [
    (mask_of((0, 46), (128, 2)), "empty"), (mask_of((0, 47), (129, 1)), ""),
    (mask_of((128, 48)), "empty"), (mask_of((129, 48)), "full"),
    (mask_of((255, 47), (128, 1)), ""), (mask_of((255, 47), (129, 1)), "full")])
def test_a_mask_is_foreground_above_128_as_in_scoring(tmp_path, mask, area):
    pair = Pair("a", save(tmp_path / "a.jpg", COLOUR),
                save(tmp_path / "a.png", mask.reshape(6, 8)),
                codings={"mask": MaskCoding(given=True)})
    finding = examine(pair)
    assert finding.area == area
    assert len(finding.problems) == (area != "")
    assert area != "full" or finding.problems == [f"full mask: {pair.mask}"]
    assert area != "empty" or f"no foreground in {pair.mask}" in finding.problems[0]
    assert finding.size == (8, 6)


@pytest.mark.parametrize("turn", [None, *range(1, 9)])
def test_turned_images_are_counted(tmp_path, turn):
    pair = Pair("a", save(tmp_path / "a.png", COLOUR, turn), save(tmp_path / "b.png", SQUARE))
    finding = examine(pair)
    assert finding.turned == (turn not in (None, 1))
    note = Diagnosis(SetOnDisk("SET", [pair], []), [finding]).note
    assert note == ("SET: 1 image is turned by its EXIF orientation" if finding.turned else "")


@pytest.mark.parametrize("count, fits", [(999, False), (1000, True), (1001, False)])
def test_a_published_set_has_its_count_and_no_other(count, fits):
    pairs = [Pair("a", COLOUR)] * count
    diagnosis = Diagnosis(SetOnDisk("ECSSD", pairs, [], known_sets()["ECSSD"]), [Finding()] * count)
    assert diagnosis.problems == ([] if fits else [
        f"ECSSD: {count} pairs here, the published set has 1000"])
    assert diagnosis.row()[1] == f"{count} of 1000"


def test_a_set_without_pairs_is_a_problem():
    assert Diagnosis(SetOnDisk("SET", [], []), []).problems == ["SET: no pairs"]
    assert Diagnosis(SetOnDisk("SET", [], ["no mask for x"]), []).problems == ["no mask for x"]


def test_the_table_sums_up(tmp_path):
    findings = [Finding(size=(8, 6), values="grey"), Finding(size=(5, 9), values="grey"),
                Finding(["empty mask: x"], (7, 7), "binary", "empty"), Finding(["x: no image"])]
    row = Diagnosis(SetOnDisk("SET", [Pair("a", None)] * 4, []), findings).row()
    assert row == ["SET", "4", "5–8 × 6–9", "1 binary, 2 grey", "1/0", "2"]


def test_names_of_folders_are_no_markup(made_sets, tmp_path, capsys):
    (tmp_path / "[b]set:x:").symlink_to(made_sets / "TINY-TE")
    assert data_main(["check", str(tmp_path)]) == 0
    assert "[b]set:x:" in capsys.readouterr().out
