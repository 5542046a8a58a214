"""Sheets of report explain on the page: beside the maps that they are of, and no others."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from report import __main__ as report_script
from report.explain.about import read_about
from report.methods import SetScores, score_sets
from report.page import page as page_module
from report.page.page import gallery_data, write_page
from report.page.sheets import Sheets
from report.page.thumbnails import Pictures
from tests.made_methods import write_maps, write_set
from utils.errors import UserError

from .made_sheets import OF, TEXT, write_sheet

SET, OTHER = "SMALL-TE", "OTHER-TE"


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> list[SetScores]:
    """Two sets of images with names in common, and two methods, scored; not to be changed."""
    folder = tmp_path_factory.mktemp("sheets")
    for name, count in ((SET, 4), (OTHER, 3)):
        write_set(folder / "datasets", name, count)
        write_maps(folder / "datasets", folder / "maps", name)
    scored, refused = score_sets(folder / "maps", folder / "datasets", data=(SET, OTHER),
                                 methods=("inverse", "copy"))
    assert refused == 0
    return scored


@pytest.fixture
def root(sets) -> Path:
    """The folder that holds datasets/ and maps/; whence the maps of ``copy`` are is known."""
    root = sets[0].pairs[0].image.parents[3]
    write_origin(root)
    return root


def write_origin(root: Path, **more: object) -> None:
    entry = OF | {"checkpoint": "runs/best.pt"} | more
    (root / "maps/copy/origin.json").write_text(json.dumps({SET: entry, OTHER: entry}))


@pytest.fixture
def sheets(root, tmp_path) -> Path:
    """A folder of sheets of two images of the first set."""
    for name in ("01", "02"):
        write_sheet(tmp_path / f"copy/{name}.png", root / f"datasets/{SET}/images/{name}.jpg")
    return tmp_path / "copy"


def test_a_sheet_is_shown_with_the_image_and_the_method_that_it_is_of(sets, sheets, capsys):
    shown = Sheets([str(sheets)]).shown(sets)
    assert capsys.readouterr().err == ""
    assert {key: list(images) for key, images in shown.items()} == {
        (SET, "inverse"): [], (SET, "copy"): ["01", "02"], (OTHER, "inverse"): [],
        (OTHER, "copy"): []}
    data = gallery_data(sets[0], [Pictures() for _ in sets[0].pairs], shown)
    size = Image.open(sheets / "01.png").size
    assert data["sheets"][0] == {}
    assert data["sheets"][1][str(data["names"].index("01"))] == {
        "text": TEXT, "size": size, "doubt": "", "weights": OF["sha256"][:10]}
    picture = np.asarray(Image.open(io.BytesIO(shown[SET, "copy"]["01"].picture()))).astype(int)
    assert abs(picture - np.asarray(Image.open(sheets / "01.png"))).mean() < 4


def test_the_same_sheets_give_the_same_bytes_in_the_page_and_beside_it(
        sets, sheets, tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "draw_set", lambda *_: [])
    shown = Sheets([f"copy={shutil.copytree(sheets, tmp_path / 'a=b')}"]).shown(sets)
    number, image = 1, [pair.name for pair in sets[0].pairs].index("01")

    def write(name: str, limit: int) -> bytes:
        store = write_page(tmp_path / name, sets, "pysodmetrics", 32, limit, shown)
        assert store.embedded == (limit > 0)
        return (tmp_path / name).read_bytes()

    assert (first := write("one.html", 10**7)) == write("two.html", 10**7)
    expected = shown[SET, "copy"]["01"].picture()
    assert base64.b64encode(expected) in first
    for _ in range(2):  # a report's pictures may be replaced
        assert base64.b64encode(expected) not in write("one.html", 0)
    assert (tmp_path / f"_one/0/{image}-explain{number}.jpg").read_bytes() == expected


def test_the_command_takes_sheets(root, sheets, tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "draw_set", lambda *_: [])
    assert report_script.main([
        "page", "--pred", str(root / "maps"), "--root", str(root / "datasets"), "--size", "32",
        "--data", SET, "--out", str(tmp_path / "page.html"), "--explain", str(sheets)]) == 0
    assert "input, map, \\u003cb\\u003eside" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_sheets_of_other_weights_are_refused_and_doubts_are_told(sets, root, sheets, capsys):
    def doubt() -> str:
        shown = Sheets([str(sheets)]).shown(sets)
        (told,) = {sheet.doubt for sheet in shown[SET, "copy"].values()}
        assert f"copy on {SET}: {told}; the page says so" in capsys.readouterr().err
        return told

    write_origin(root, settings="others")
    assert "with other settings" in doubt()
    write_origin(root, kept=3)
    assert "some of the maps are of earlier weights" in doubt()
    (root / "maps/copy/origin.json").unlink()
    assert "which weights the maps are of is not recorded" in doubt()
    write_origin(root, sha256="ffff456789abcdef")
    with pytest.raises(UserError, match=r"01.png is of the weights 0123456789, and the maps in .* "
                       r"are of ffff456789 \(runs/best.pt\); make the sheets of copy anew"):
        Sheets([str(sheets)]).shown(sets)


def test_sheets_of_no_image_of_the_page_are_counted(sets, sheets, tmp_path, capsys):
    photo = tmp_path / "photo.png"
    Image.new("RGB", (40, 30)).save(photo)
    write_sheet(sheets / "deep/03.png", photo)
    Sheets([str(sheets)]).shown(sets)
    assert "2 of 3 sheets of copy are shown" in capsys.readouterr().err
    with pytest.raises(UserError, match="no sheet of inverse, of 1 in its folder, is of an image"):
        Sheets([f"inverse={sheets / 'deep'}"]).shown(sets)


def test_mistakes_are_named(sets, root, sheets):
    for words, message in (
            ([str(sheets / "nowhere")], "nowhere: no such folder"), (["copy="], "no such folder"),
            ([str(root / "datasets" / SET / "images")], r"no sheets \(.png\)"),
            ([f"cpy={sheets}"], "mean 'copy'"),
            ([str(sheets), f"copy={sheets}"], "copy has another folder already")):
        with pytest.raises(UserError, match=message):
            Sheets(words).shown(sets)
    for content in (b"", (root / f"datasets/{SET}/images/01.jpg").read_bytes(),
                    (root / f"datasets/{SET}/masks/01.png").read_bytes()):
        (sheets / "01.png").write_bytes(content)
        with pytest.raises(UserError, match=r"01\.png: no sheet that says what it is of"):
            read_about(sheets / "01.png")
