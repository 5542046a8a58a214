"""Sheets of tiles: pictures in rows, with words above them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from report import picture
from report.picture import SheetRow, save_samples
from report.sheet import TILE, Tile, save_sheet

RED = (200, 0, 0)


def test_a_sheet_has_a_tile_for_each_picture_in_its_rows_form(tmp_path):
    photo = Image.new("RGB", (40, 20), RED)
    path = tmp_path / "new/sheet.png"
    save_sheet(path, [[Tile(photo, "a" * 99), Tile(photo, "map", "\udcff\n" * 99)],
                      [Tile(photo), Tile(None, "none")]], [(20, 40), (40, 40)])
    sheet = np.asarray(Image.open(path))
    red = (sheet == RED).all(axis=-1)
    assert red.sum() == 2 * TILE * TILE // 2 + TILE * TILE
    ink = (sheet < 120).all(axis=-1)  # letters alone are as dark
    tops = np.flatnonzero(red.any(axis=1))
    assert ink[:tops[0]].any() and not ink[:, TILE + 8:][tops[-1] + 1:].any()
    assert np.flatnonzero(ink.any(axis=0)).max() < sheet.shape[1] - 8  # no words over the edge


@pytest.fixture
def rows(monkeypatch) -> list:
    """The rows of tiles of each sheet of samples."""
    kept = []
    monkeypatch.setattr(picture, "save_sheet", lambda path, tiles, shapes: kept.append(
        ([[(tile.title, tile.figures, tile.picture is not None) for tile in row]
          for row in tiles], shapes)))
    return kept


def test_samples_carry_their_names_and_columns_their_method(tmp_path, rows):
    photo, grey = Image.new("RGB", (40, 20)), Image.new("L", (40, 20))
    narrow = SheetRow("b/0002", photo.resize((10, 30)), grey, grey)
    path = save_samples(tmp_path / "a.png", [SheetRow("0001", photo, grey), narrow], "cpd_vgg")
    assert path == tmp_path / "a.png"
    assert rows == [([
        [("input", "0001", True), ("ground truth", "", False), ("cpd_vgg", "", True),
         ("cpd_vgg, overlay", "", True)],
        [("", "b/0002", True), ("", "", True), ("", "", True), ("", "", True)]],
        [(20, 40), (30, 10)])]
    save_samples(path, [SheetRow("0001", photo, grey)], "cpd_vgg")
    assert [title for title, *_ in rows[1][0][0]] == ["input", "cpd_vgg", "cpd_vgg, overlay"]
