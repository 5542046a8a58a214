"""Files that can be read as masks, and hardly are."""

from __future__ import annotations

import numpy as np
import pytest

from data.coding import decide, with_coding
from data.pairing import Pair
from data.soundness import file_problems

from .made import SQUARE, options_of, save_image
from .mask_codings import cut_out, grey, indexed, photo

OBJECT = SQUARE > 0
CLOSE = np.ones_like(OBJECT)  # an object that fills its image
RANDOM = np.random.default_rng(0)
INVERTED = "of the border is object: are they inverted"
PHOTOS = "is {} the folder of masks?"


def note_on(folder, *pictures) -> str:
    return decide([save_image(folder / f"{number}.png", picture)
                   for number, picture in enumerate(pictures)]).note


@pytest.mark.parametrize(("pictures", "expected"), [
    ([grey(~OBJECT * 255)] * 6, INVERTED), ([grey(~OBJECT * 65535, np.uint16)] * 6, INVERTED),
    ([grey(~OBJECT)] * 6, INVERTED), ([indexed(~OBJECT)] * 6, INVERTED),
    ([cut_out(photo(OBJECT, RANDOM), ~OBJECT)] * 6, INVERTED),
    ([grey(OBJECT * 255)] * 4 + [grey(~OBJECT * 255)] * 2, INVERTED),
    ([grey(CLOSE * 255)] * 6, INVERTED), ([grey(~OBJECT * 255)], INVERTED),
    ([grey(photo(OBJECT, RANDOM)[..., 0])] * 6, PHOTOS),
    ([grey(OBJECT * 255)] * 6, ""), ([grey(OBJECT)] * 6, ""), ([indexed(OBJECT)] * 6, ""),
    ([grey(OBJECT * 65535, np.uint16)] * 6, ""), ([cut_out(photo(OBJECT, RANDOM), OBJECT)] * 6, ""),
    ([grey(OBJECT * 255)] * 5 + [grey(CLOSE * 255)], ""),
    ([grey(OBJECT * 0), grey(OBJECT * 255)] * 3, "")])
def test_masks_that_are_hardly_meant_so_are_named(tmp_path, pictures, expected):
    note = note_on(tmp_path, *pictures)
    assert expected.format(tmp_path) in note
    assert bool(expected) == bool(note)


def test_what_is_doubted_is_printed_and_inverted_masks_can_be_read(tmp_path, capsys):
    image = save_image(tmp_path / "0.jpg", grey(SQUARE))
    mask = save_image(tmp_path / "0.png", grey(~OBJECT * 255))
    with_coding([Pair("0", image, mask)], None, "SET")
    assert INVERTED in capsys.readouterr().out
    options = options_of(mask_coding="trimap", mask_trimap=[0, 255, 128])
    pair, = with_coding([Pair("0", image, mask)], options, "SET")
    assert not file_problems(pair)
    assert INVERTED not in capsys.readouterr().out
