"""Pairs of files by stem, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data import find_pairs, require_sound
from data.layers import decode_pair
from data.listing import list_images
from data.pairing import Pair, by_stem
from data.soundness import file_problems
from utils.errors import UserError
from utils.schema import DataConfig

from .made import COLOUR, SQUARE, save


def test_pairs_are_matched_by_stem_not_by_order(tmp_path):
    for stem in ("b", "a", "c"):
        save(tmp_path / f"images/{stem}.jpg", COLOUR)
        save(tmp_path / f"masks/{stem}.png", SQUARE)
    (tmp_path / "images/.hidden.jpg").write_bytes(b"x")
    (tmp_path / "images/Thumbs.db").write_bytes(b"x")
    pairs = find_pairs(f"{tmp_path}/images:{tmp_path}/masks", tmp_path)
    assert [p.name for p in pairs] == ["a", "b", "c"]
    assert all(p.image.stem == p.mask.stem for p in pairs)


def test_missing_partners_and_equal_stems_are_listed(tmp_path):
    save(tmp_path / "images/a.jpg", COLOUR)
    save(tmp_path / "images/a.png", COLOUR)
    save(tmp_path / "images/lonely.jpg", COLOUR)
    save(tmp_path / "masks/a.png", SQUARE)
    save(tmp_path / "masks/stray.png", SQUARE)
    with pytest.raises(UserError) as error:
        find_pairs(f"{tmp_path}/images:{tmp_path}/masks", tmp_path)
    for part in ("same stem", "lonely.jpg", "stray.png", "3 in all"):
        assert part in str(error.value)


def test_long_lists_show_twenty_and_the_total(tmp_path):
    for number in range(33):
        save(tmp_path / f"images/{number:02d}.jpg", COLOUR)
    (tmp_path / "masks").mkdir()
    with pytest.raises(UserError) as error:
        find_pairs(f"{tmp_path}/images:{tmp_path}/masks", tmp_path)
    assert str(error.value).count("no mask for") == 20
    assert "33 in all" in str(error.value)
    assert "13 more" in str(error.value)


def test_all_bad_files_are_found_before_training(sets):
    folder = sets / "TINY-TR"
    (folder / "masks/00.png").write_bytes(b"")
    for path in (folder / "images/01.jpg", folder / "masks/02.png"):
        path.write_bytes(path.read_bytes()[:-200])
    save(folder / "masks/03.png", SQUARE)
    with pytest.raises(UserError) as error:
        require_sound(find_pairs("TINY-TR", sets), "TINY-TR")
    message = str(error.value)
    assert "4 in all" in message
    for part in ("00.png: empty", "01.jpg: cannot be decoded", "02.png: cannot be decoded",
                 "03.png is 8×6"):
        assert part in message, message


#: Image's turns, mask's own turns → how the files of masks may lie that fit an image stored 8×6.
WIDE, TALL = (6, 8), (8, 6)
FITTING = [
    ((1, 2, 3, 4), (None, 1), {WIDE}), ((1, 2, 3, 4), (2, 3, 4), {WIDE}),
    ((1, 2, 3, 4), (5, 6, 7, 8), {TALL}),
    ((5, 6, 7, 8), (None, 1), {WIDE, TALL}),  # lies as its image does, or was drawn upright
    ((5, 6, 7, 8), (2, 3, 4), {TALL}), ((5, 6, 7, 8), (5, 6, 7, 8), {WIDE})]


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("part", ["mask", "edge", "scribble"])
def test_sizes_are_those_of_the_upright_files(tmp_path, turn, part):
    image = save(tmp_path / "a.png", np.zeros((*WIDE, 3), np.uint8), turn)
    fitting = {own: shapes for turns, owns, shapes in FITTING if turn in turns for own in owns}
    assert len(fitting) == 9
    for own, shapes in fitting.items():
        for shape in (WIDE, TALL, (7, 8), (6, 7)):
            pair = Pair("a", image, **{part: save(tmp_path / "b.png", np.zeros(shape, np.uint8),
                                                  own)})
            assert (file_problems(pair) == []) == (shape in shapes), (own, shape)
            options = DataConfig(edges="files")
            try:  # the loader, which decodes the files, judges them alike
                layers = decode_pair(pair, ["image", part], options)
            except UserError as error:
                assert shape not in shapes and "sizes differ" in str(error)
            else:
                assert shape in shapes
                assert layers[part].shape == (TALL if turn > 4 else WIDE)


def test_every_file_of_a_pair_is_checked(tmp_path):
    files = {part: save(tmp_path / f"{part}.png", SQUARE)
             for part in ("image", "mask", "scribble", "labelled", "edge")}
    assert Pair("a", **files).files == list(files.values())
    assert file_problems(Pair("a", **files)) == []
    for part, path in files.items():
        save(path, SQUARE[1:])
        problems = file_problems(Pair("a", **files))
        assert len(problems) == (4 if part == "image" else 1), part
        assert all(str(path) in problem and "8×5" in problem for problem in problems)
        path.write_bytes(b"no image")
        assert [str(path) in problem for problem in file_problems(Pair("a", **files))] == [True]
        save(path, SQUARE)


def test_images_are_listed_in_order_without_what_is_hidden(tmp_path):
    for name in ("b.PNG", "a.jpg", ".c.png", "__MACOSX/d.png", "f.txt.png"):
        save(tmp_path / name, SQUARE, format="png")
    (tmp_path / "g.txt").write_text("x")
    assert [path.name for path in list_images(tmp_path)] == ["a.jpg", "b.PNG", "f.txt.png"]
    assert not list_images(tmp_path / "__MACOSX")


def test_two_files_of_one_stem_in_two_folders_are_named_with_both():
    files = [Path("day/0.jpg"), Path("night/0.jpg"), Path("day/0.png")]
    assert by_stem(files, "images")[1] == ["images with the same stem: day/0.jpg and night/0.jpg",
                                           "images with the same stem: day/0.jpg and 0.png"]
