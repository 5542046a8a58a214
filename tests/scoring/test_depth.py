"""python -m metrics depth-quality: folders of images and depth maps."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.depth import noisy, shapes
from metrics.__main__ import main
from metrics.depth_quality import depth_quality
from scoring.depth import read_depth, read_pair

HEIGHT, WIDTH = 36, 48


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Three small scenes, of which the last has a noisy depth: colours, and depth in 16 bits."""
    scenes = {f"{seed}": shapes(seed, HEIGHT, WIDTH) for seed in range(3)}
    scenes["2"] = scenes["2"][0], noisy(scenes["2"][1], .1)
    return {name: (color, np.clip(depth * 60000, 1, 65535).astype(np.uint16))
            for name, (color, depth) in scenes.items()}


@pytest.fixture
def folders(made, tmp_path) -> tuple[Path, Path]:
    color, depth = tmp_path / "RGB", tmp_path / "depth"
    color.mkdir(), depth.mkdir()
    for name, (pixels, values) in made.items():
        Image.fromarray(pixels).save(color / f"{name}.png")
        Image.fromarray(values).save(depth / f"{name}.png")
    return color, depth


def run(folders: tuple[Path, Path], *more: str) -> int:
    return main(["depth-quality", "--color", str(folders[0]), "--depth", str(folders[1]), *more])


def test_rows_are_those_of_the_arrays_and_the_worst_is_first(folders, made, tmp_path, capsys):
    assert run(folders, "--csv", str(tmp_path / "out/depth.csv")) == 0
    with (tmp_path / "out/depth.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["name"] for row in rows} == set(made)
    assert [float(row["score"]) for row in rows] == sorted(
        (depth_quality(*pair).score for pair in made.values()), reverse=True)
    assert rows[0]["name"] == "2"
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[:2]] == ["name", "2"]
    assert lines[-1].endswith("mean of 3") and len(lines) == 5


def test_other_names_formats_and_subfolders(folders, made, capsys):
    """Names with an affix are recognised, and files of one colour are grey."""
    color, depth = folders
    for folder in folders:
        (folder / "day").mkdir()
    for name, (_, values) in made.items():
        (color / f"{name}.png").rename(color / f"day/{name}.png")
        (depth / f"{name}.png").unlink()
        grey = (values >> 8).astype(np.uint8)
        Image.fromarray(np.dstack([grey] * 3)).save(depth / f"day/{name}_depth.bmp")
    assert run(folders, "--recursive") == 0
    assert "day/2" in capsys.readouterr().out
    assert run((color / "day", depth / "day"), "--suffix", "_depth") == 0
    assert run(folders) == 2
    assert "no pairs" in capsys.readouterr().err


def remove(folder: Path) -> None:
    (folder / "1.png").unlink()


def add(folder: Path) -> None:
    Image.new("L", (WIDTH, HEIGHT), 1).save(folder / "surplus.png")


def shrink(folder: Path) -> None:
    Image.new("L", (WIDTH, HEIGHT - 1), 1).save(folder / "1.png")


def truncate(folder: Path) -> None:
    data = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(data[:len(data) // 2])


def empty(folder: Path) -> None:
    Image.new("L", (WIDTH, HEIGHT)).save(folder / "1.png")


def constant(folder: Path) -> None:
    Image.new("L", (WIDTH, HEIGHT), 9).save(folder / "1.png")


def colour(folder: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT), (9, 8, 7)).save(folder / "1.png")


@pytest.mark.parametrize("damage, message", [
    (remove, "no depth map for"), (add, "no image for"), (truncate, "cannot be decoded"),
    (shrink, f"sizes differ: .*1.png is {WIDTH}×{HEIGHT}, .*1.png is {WIDTH}×{HEIGHT - 1}"),
    (empty, "1.png: no valid depth"), (constant, "1.png: the depth is 9 everywhere"),
    (colour, "1.png: has colours")])
def test_what_is_wrong_is_listed_and_nothing_is_written(folders, tmp_path, capsys, damage,
                                                        message):
    damage(folders[1])
    assert run(folders, "--csv", str(tmp_path / "depth.csv")) == 2
    printed = capsys.readouterr()
    assert len(re.findall(message, printed.err)) == 1
    assert not printed.out and not (tmp_path / "depth.csv").exists()


def test_the_table_takes_no_pictures_place_and_is_not_all_there_is(folders, tmp_path, capsys):
    before = (folders[1] / "1.png").read_bytes()
    assert run(folders, "--csv", str(folders[1] / "1.png")) == 2
    assert "a picture lies there" in capsys.readouterr().err
    assert (folders[1] / "1.png").read_bytes() == before
    assert run(folders, "--csv", str(tmp_path)) == 2
    printed = capsys.readouterr()
    assert "mean of 3" in printed.out and "cannot write" in printed.err


def test_folders_that_are_missing_or_empty(folders, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    for pair, message in (((folders[0], tmp_path / "nowhere"), "folder not found"),
                          ((folders[0], folders[1] / "1.png"), "this is a file"),
                          ((tmp_path / "none", tmp_path / "none"), "no pairs")):
        assert run(pair) == 2
        assert message in capsys.readouterr().err


def test_zero_may_be_a_depth(folders, capsys):
    values = np.array(Image.open(folders[1] / "0.png"))
    values[:10] = 0
    Image.fromarray(values).save(folders[1] / "0.png")
    for words, share in (((), "0.7"), (("--zero-is-depth",), "0.9")):
        assert run(folders, *words) == 0
        (line,) = (text for text in capsys.readouterr().out.splitlines() if text.endswith("  0"))
        assert line.split()[3].startswith(share)


def test_a_depth_map_follows_the_turn_of_its_image(tmp_path, made):
    color, depth = made["1"]
    turned = Image.Exif()
    turned[0x0112] = 6  # stored lying, shown standing
    Image.fromarray(color).save(tmp_path / "a.jpg", exif=turned)
    Image.fromarray(depth).save(tmp_path / "a.png")
    pixels, values = read_pair(tmp_path / "a.jpg", tmp_path / "a.png")
    assert pixels.shape[:2] == values.shape == (WIDTH, HEIGHT)
    assert (values == np.rot90(depth, -1)).all() and values.dtype == np.uint16


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32])
def test_depth_keeps_the_numbers_of_its_file(tmp_path, kind):
    values = (np.arange(12).reshape(3, 4) * (20 if kind == np.uint8 else 900)).astype(kind)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert (read_depth(tmp_path / "a.tif") == values).all()
