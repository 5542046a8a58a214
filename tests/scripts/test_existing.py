"""Maps that lie where test.py writes: which are kept, made anew or refused."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from PIL import Image

from tests.small_runs import predict
from utils.paths import hidden_beside


def test_whole_maps_of_the_same_weights_and_settings_are_kept_on_request(
        trained, made_sets, tmp_path, capsys):
    folder, other = tmp_path / "trial/TINY-TE", tmp_path / "other.pt"

    def again(checkpoint: Path, *more: str) -> str:
        arguments = [checkpoint, tmp_path, f"data.root={made_sets}", "--data", "TINY-TE", *more]
        assert predict(*arguments) == 0
        printed = capsys.readouterr()
        return printed.out + printed.err

    again(trained)
    right = {path.name: path.read_bytes() for path in folder.iterdir()}
    Image.new("L", (3, 3)).save(folder / "00.png")
    (folder / "01.png").unlink()
    (folder / "02.png").write_bytes(right["02.png"][:60])
    times = (folder / "03.png").stat().st_mtime_ns
    printed = again(trained, "--skip-existing")
    assert "1 map is there, 3 to do" in printed
    assert "2 maps that are damaged or have another size are made anew" in printed
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == right
    assert (folder / "03.png").stat().st_mtime_ns == times

    assert "4 maps of other settings are made anew" in again(trained, "--skip-existing",
                                                             "test.minmax=false")
    content = torch.load(trained, weights_only=True)
    content["network"]["context.score.weight"] *= 1.5
    torch.save(content, other)
    assert "4 maps of other weights" in again(other, "--skip-existing", "test.minmax=false")
    assert "4 maps are there, 0 to do" in again(other, "--skip-existing", "test.minmax=false")


def test_maps_that_test_py_did_not_make_are_not_replaced(trained, made_sets, tmp_path, capsys):
    theirs = tmp_path / "trial/TINY-TE/00.png"
    theirs.parent.mkdir(parents=True)
    Image.new("L", (3, 3)).save(theirs)
    before = theirs.read_bytes()
    for option in ([], ["--skip-existing"]):
        assert predict(trained, tmp_path, f"data.root={made_sets}", "--data", "TINY-TE",
                       *option) == 2
        assert "1 map in" in (error := capsys.readouterr().err) and "move them" in error
    assert theirs.read_bytes() == before


def test_a_map_is_kept_while_its_image_holds_the_same_wherever_it_lies(trained, tmp_path, capsys):
    photos, moved, out = tmp_path / "photos", tmp_path / "moved", tmp_path / "out"

    def again(folder: Path, *more: str) -> str:
        assert predict(trained, out, "--input", str(folder), *more) == 0
        printed = capsys.readouterr()
        return printed.out + printed.err

    photos.mkdir()
    for number in (1, 2):
        Image.new("L", (40, 30), 30).save(photos / f"{number}.png")
    again(photos)
    photos.rename(moved)
    assert "2 maps are there, 0 to do" in again(moved, "--skip-existing")
    status = (moved / "1.png").stat()
    Image.new("L", (40, 30), 31).save(moved / "1.png")  # of the same name, time and sizes
    os.utime(moved / "1.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert status.st_size == (moved / "1.png").stat().st_size
    printed = again(moved, "--skip-existing")
    assert "1 map of other images is made anew" in printed and "1 map is there, 1" in printed
    hidden_beside(out / "trial/input", "images.json").unlink()
    assert "2 maps of unknown images are made anew" in again(moved, "--skip-existing")
    Image.new("L", (40, 30), 32).save(moved / "2.png")
    assert "1 map of other images is made anew" in again(moved)  # a stop would leave the old one
    (out / "trial/input/1.png").unlink()
    (out / "trial/input/1.png").mkdir()
    assert predict(trained, out, "--input", str(moved)) == 2
    assert "1.png is where a map is written, and is no file" in capsys.readouterr().err
