"""``python -m report figure``: which images are chosen, and where their pictures lie."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from report import __main__ as report_script
from report.attributes.kept import SetAttributes
from report.chosen import ORDERS, ByAttribute, Candidates, attribute_order
from report.curves import to_bytes
from report.figure import inches
from report.mosaic import Sample, draw_mosaic, fitted
from utils.errors import UserError

SET = "SMALL-TE"
#: Image → height and width, and by how much each method's map is too bright beside the object.
IMAGES = {"00": ((24, 32), {"exact": 0, "pale": 10}), "01": ((32, 24), {"exact": 40, "pale": 20}),
          "02": ((24, 32), {"exact": 20, "pale": 90})}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with datasets/ and maps/: bright boxes on dark ground. The maps of the method pale
    reach from some grey to 200."""
    folder = tmp_path_factory.mktemp("figure")
    for name, ((height, width), greys) in IMAGES.items():
        inside = np.zeros((height, width), bool)
        inside[4:16, 4:16] = True
        files = {f"datasets/{SET}/masks": 255 * inside,
                 f"datasets/{SET}/images": np.where(inside[..., None], (200, 50, 0), (0, 80, 160))}
        for method, grey in greys.items():
            values = np.where(inside, 200 if method == "pale" else 255, grey)
            values[0, 0] = 0 if method == "exact" else grey  # what stretching would move
            files[f"maps/{method}/{SET}"] = values
        for where, values in files.items():
            (folder / where).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(folder / where / f"{name}.png")
    return folder


@pytest.fixture
def figure(made, tmp_path):
    """The command on those maps; the figure is two inches wide at 50 dpi."""
    fixed = ["figure", "--pred", str(made / "maps"), "--root", str(made / "datasets"), "--width",
             "2", "--dpi", "50", "--out", str(tmp_path / "f.png")]
    return lambda *words: report_script.main([*fixed, *words])


def picture(shape: tuple[int, int], value: int, mode: str = "L") -> Image.Image:
    return Image.new(mode, shape[::-1], (value,) * 3 if mode == "RGB" else value)


def boxes_of(drawing) -> list[tuple[float, ...]]:
    """Left, bottom, width and height of each picture, in pixels."""
    size = drawing.get_size_inches() * drawing.dpi
    return [tuple(np.round(np.tile(size, 2) * axes.get_position().bounds, 6))
            for axes in drawing.axes]


def samples() -> list[Sample]:
    """A wide image, a high one and a very high one, with three pictures each."""
    return [Sample([picture(shape, 200, "RGB"), picture(shape, 120), picture(shape, 40)], shape)
            for shape in ((30, 60), (80, 60), (400, 40))]


def test_columns_are_aligned_and_no_picture_is_distorted():
    drawing = draw_mosaic(["Image", "GT", "ours"], samples(), 3.0, 100).drawing
    assert drawing.get_figwidth() == 3
    boxes = np.array(boxes_of(drawing)).reshape(3, 3, 4)
    assert (boxes == boxes.round()).all()  # on whole pixels, so that nothing is blurred
    assert (boxes[:, :, 1] == boxes[:, :1, 1]).all() and (boxes[:, :, 3] == boxes[:, :1, 3]).all()
    centres = boxes[:, :, 0] + boxes[:, :, 2] / 2
    assert (abs(centres - centres[0]) <= 0.5).all()
    ratios = boxes[:, 0, 3] / boxes[:, 0, 2]
    assert ratios == pytest.approx([.5, 80 / 60, 10], rel=.03)
    assert boxes[2, 0, 3] == pytest.approx(1.5 * boxes[0, 0, 2], abs=1)  # at most so high
    assert boxes[0, 0, 0] == 0 and boxes[0, 2, 0] + boxes[0, 2, 2] == pytest.approx(300, abs=1)
    (left, *_), (_, bottom, *_) = boxes[0, 0], boxes[2, 0]
    names = {text.get_text(): np.array(text.get_position()) * drawing.get_size_inches() * 100
             for text in drawing.texts}
    assert list(names) == ["Image", "GT", "ours"] and left == 0
    assert [x for x, _ in names.values()] == pytest.approx(centres[0], abs=1)
    assert all(0 < y < bottom for _, y in names.values())


def test_transposed_pictures_have_one_height_and_names_stand_beside_the_rows():
    drawing = draw_mosaic(["Image", "GT", "ours"], samples(), 3.0, 100, transpose=True).drawing
    boxes = np.array(boxes_of(drawing)).reshape(3, 3, 4)
    assert len(set(boxes[..., 3].ravel())) == 1
    assert (boxes[:, :, 0] == boxes[:, :1, 0]).all() and (boxes[:, :, 1] == boxes[:1, :, 1]).all()
    assert boxes[:, 0, 2] / boxes[:, 0, 3] == pytest.approx([2, .75, .1], rel=.15)
    assert drawing.get_size_inches()[0] <= 3.0
    for text, middle in zip(drawing.texts, boxes[0, :, 1] + boxes[0, :, 3] / 2, strict=True):
        x, y = np.array(text.get_position()) * drawing.get_size_inches() * 100
        assert x < boxes[0, 0, 0] and y == pytest.approx(middle) and text.get_rotation() == 90


def test_pixels_of_the_file_are_those_of_the_pictures():
    random = np.random.default_rng(0)
    noise = [Image.fromarray(random.integers(0, 256, shape, np.uint8))
             for shape in ((20, 50, 3), (20, 50), (40, 100))]
    drawn = draw_mosaic(["Image", "GT", "ours"], [Sample(noise, (20, 50))], 1.58, 100)
    boxes = [tuple(map(int, box)) for box in boxes_of(drawn.drawing)]
    assert {box[2:] for box in boxes} == {(50, 20)}
    read = np.asarray(Image.open(io.BytesIO(to_bytes(drawn, "png", 100))).convert("RGB"))
    for (left, *_), picture in zip(boxes, noise, strict=True):
        wanted = picture.resize((50, 20), Image.Resampling.BILINEAR) \
            if picture.width == 100 else picture
        np.testing.assert_array_equal(read[:20, left:left + 50], np.asarray(wanted.convert("RGB")))


def test_files_are_the_same_every_time_and_have_their_fonts_in_them():
    files = [{kind: to_bytes(draw_mosaic(["Image", "GT", "U²-Net"], samples(), 3.0, 100), kind, 100)
              for kind in ("pdf", "png")} for _ in range(2)]
    assert files[0] == files[1]
    assert b"/FontFile2" in files[0]["pdf"] and b"/CreationDate" not in files[0]["pdf"]


def test_long_names_are_set_smaller_and_then_cut():
    assert fitted("GT", 1.0) == ("GT", 8)
    text, size = fitted("a_long_name", 0.6)
    assert text == "a_long_name" and 5 <= size < 8
    text, size = fitted("a_name_that_is_longer_than_its_column", 0.6)
    assert size == 5 and "…" in text and text.startswith("a_n") and text.endswith("mn")


def test_names_that_are_cut_are_said(capsys):
    draw_mosaic(["Image", "GT", "a_name_of_a_method_without_room"], samples(), 1.5, 100)
    assert "a_name_of_a_method_without_room has no room in the figure and is cut to a_" in \
        capsys.readouterr().err


@pytest.mark.parametrize("names, number, options, message", [
    (["a"] * 25, 1, {}, "25 columns are too many for the figure's width: .*fewer methods"),
    (["a"] * 99, 1, {}, "99 columns are too many .* would have 0 inches"),
    (["a"], 60, {"transpose": True}, "60 images side by side are too many .*fewer images"),
    (["a"], 50, {"dpi": 1200}, "of at most 65535 a side; show fewer images"),
    (["日本"], 1, {}, "DejaVu Sans, has no 日本; --methods NAME=LABEL")])
def test_what_cannot_be_drawn(names, number, options, message):
    sample = Sample([picture((60, 60), 40)] * len(names), (60, 60))
    with pytest.raises(UserError, match=message):
        draw_mosaic(names, [sample] * number, **{"width": 2.0, "dpi": 100} | options)


def candidates(lower: bool, of: str | None = None) -> Candidates:
    scores = {"w": (.9, .7), "x": (.1, .3), "y": (.5, .45), "z": (.2, .8)}
    return Candidates({(SET, name): {"a": a, "b": b} for name, (a, b) in scores.items()},
                      lower, of)


@pytest.mark.parametrize("by, lower, of, names", [
    ("worst", True, None, "wz"), ("worst", False, None, "xy"), ("best", True, None, "xy"),
    ("best", False, None, "wz"), ("worst", True, "b", "zw"), ("best", True, "a", "xz"),
    ("median", True, None, "yz"), ("median", False, "b", "wy"), ("furthest", True, None, "zw")])
def test_orders_choose_by_scores(by, lower, of, names):
    chosen = ORDERS[by](candidates(lower, of), 2)
    assert "".join(name for _, name in chosen) == names


def test_an_order_of_distances_needs_two_methods():
    with pytest.raises(UserError, match="show two or more, and leave --of out"):
        ORDERS["furthest"](candidates(True, "a"), 2)


@pytest.mark.parametrize("by, names", [
    ("size", "xwz"), ("size:high", "xwz"), ("size:low", "zwx"), ("border", "wzx")])
def test_orders_by_attributes(by, names):
    """Equal values go by name, and images without a value are left out."""
    values = {"w": (.2, 1), "x": (.3, 0), "y": (np.nan, np.nan), "z": (.1, 1)}
    attributes = {SET: SetAttributes({name: dict(zip(("size", "border"), own, strict=True))
                                      for name, own in values.items()}, 4)}
    images = [(SET, name) for name in "ywxz!"]  # the last has no values at all
    chosen = attribute_order(by).first(5, attributes, images)
    assert "".join(name for _, name in chosen) == names
    assert [*attribute_order(by).first(2, attributes, images), (SET, names[2])] == list(chosen)
    with pytest.raises(UserError, match="no image of 1 has this attribute"):
        ByAttribute("size").first(1, attributes, images[:1])


def test_images_are_chosen_by_an_attribute_without_scoring(made, figure, drawn, monkeypatch,
                                                           capsys):
    monkeypatch.setattr("report.figure.scored_as_asked", None)
    path = made / f"datasets/{SET}/masks/02.png"
    before = path.read_bytes()
    try:
        Image.fromarray(np.pad(np.full((6, 6), 255, np.uint8), ((9, 9), (13, 13)))).save(path)
        assert figure("--by", "size:low", "--count", "2", "--methods", "exact") == 0
    finally:
        path.write_bytes(before)
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"{SET}/02: object size 0.04688 (share of the image)",
        f"{SET}/00: object size 0.1875 (share of the image)"]
    assert len(drawn[0][1]) == 2


def test_of_the_first_images_alone(figure, capsys):
    for by in ("size:low", "worst"):
        assert figure("--by", by, "--limit", "1", "--methods", "exact") == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in lines[1:]] == [f"{SET}/00"]


def test_an_attribute_chooses_among_the_images_that_all_methods_have(made, figure, capsys):
    path = made / f"maps/exact/{SET}/00.png"
    before = path.read_bytes()
    path.unlink()
    try:
        assert figure("--by", "size", "--methods", "exact", "pale") == 2
        assert f"exact has no map of {SET}/00" in capsys.readouterr().err
        assert figure("--by", "size", "--methods", "exact", "pale", "--allow-missing") == 0
        assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
            f"{SET}/01", f"{SET}/02"]
    finally:
        path.write_bytes(before)


def test_scores_choose_among_the_sets_that_all_methods_have(made, tmp_path, capsys):
    shutil.copytree(made, tmp_path / "made")
    for folder in ("datasets", "maps/exact"):
        shutil.copytree(made / folder / SET, tmp_path / "made" / folder / "MORE-TE")
    words = ["figure", "--pred", str(tmp_path / "made/maps"), "--root",
             str(tmp_path / "made/datasets"), "--methods", "exact", "pale", "--by", "worst",
             "--out", str(tmp_path / "f.png"), "--dpi", "50"]
    assert report_script.main(words) == 2
    assert "pale has no maps of MORE-TE" in capsys.readouterr().err
    assert report_script.main([*words, "--allow-missing"]) == 0
    assert "MORE-TE" not in capsys.readouterr().out


def test_named_images_are_shown_without_scoring(figure, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("report.figure.scored_as_asked", None)
    files = [str(tmp_path / f"g.{kind}") for kind in ("pdf", "png")]
    assert figure("--images", "01", "00", "--methods", "pale", r"exact=E$^2$~\cite{e}", "--out",
                  *files) == 0
    assert capsys.readouterr().out.splitlines() == [*files, f"{SET}/01", f"{SET}/00"]
    assert Image.open(files[1]).width == 100
    assert Path(files[0]).read_bytes().startswith(b"%PDF")


def test_a_figure_is_replaced_and_a_picture_is_not(figure, tmp_path, capsys):
    path = tmp_path / "f.png"
    words = ["--images", "00", "--methods", "exact", "--out", str(path)]
    assert figure(*words) == 0 and figure(*words) == 0
    assert figure(*words, str(path)) == 2  # twice
    photo = Image.new("RGB", (9, 9))
    photo.save(path)
    assert figure(*words) == 2
    assert "a picture lies there" in capsys.readouterr().err
    assert Image.open(path).size == photo.size


@pytest.fixture
def drawn(monkeypatch) -> list:
    """What is given to be drawn: names and samples."""
    kept = []
    draw = draw_mosaic
    monkeypatch.setattr("report.mosaic.draw_mosaic",
                        lambda *words: kept.append(words) or draw(*words))
    return kept


def test_maps_are_shown_as_they_are_scored_or_as_they_are_saved(figure, drawn):
    words = ["--images", "02", "--methods", "exact", r"pale=P~\cite{p}"]
    for more in ([], ["--raw"], ["--profile", "tracer"]):
        assert figure(*words, *more) == 0
    assert drawn[0][0] == ["Image", "GT", "exact", "P"]
    ranges = [[picture.getextrema() for picture in samples[0].pictures[2:]]
              for _, samples, *_ in drawn]
    assert ranges == [[(0, 255), (0, 255)], [(0, 255), (90, 200)], [(0, 255), (90, 200)]]
    photo, truth = drawn[0][1][0].pictures[:2]
    assert photo.mode == "RGB" and truth.getextrema() == (0, 255)


def test_images_are_chosen_by_the_scores_of_a_method(figure, drawn, capsys):
    assert figure("--by", "worst", "--count", "2", "--of", "exact", "--methods", "exact",
                  "pale") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == [f"{SET}/01", f"{SET}/02"]
    share = 40 / 255 * (32 * 24 - 144 - 1) / (32 * 24)  # but for the one black pixel
    assert f"MAE of exact {share:.3f}".replace("0.", ".") in lines[1]
    assert [sample.shape for sample in drawn[0][1]] == [(32, 24), (24, 32)]


def test_masks_alone_make_a_figure_without_photos(made, tmp_path, drawn, capsys):
    assert report_script.main(["figure", "--pred", str(made / f"maps/pale/{SET}"), "--gt",
                               str(made / f"datasets/{SET}/masks"), "--images", "00", "--out",
                               str(tmp_path / "f.png")]) == 0
    assert "the figure has no photos" in capsys.readouterr().err
    assert drawn[0][0] == ["GT", "pale"] and len(drawn[0][1][0].pictures) == 2


def test_missing_and_wrong_maps_are_all_named(made, figure, tmp_path, capsys):
    folder = made / "maps/bad" / SET
    folder.mkdir(parents=True)
    (made / "maps/none").mkdir()
    Image.new("L", (9, 9)).save(folder / "00.png")
    assert figure("--images", "00", "01", "--methods", "bad", "exact", "none") == 2
    error = capsys.readouterr().err
    for message in ("00.png is 9×9, its mask 32×24: --resize", f"bad has no map of {SET}/01",
                    f"none has no map of {SET}/00", f"none has no map of {SET}/01"):
        assert message in error
    assert not (tmp_path / "f.png").exists()
    assert figure("--by", "worst", "--methods", "bad", "exact") == 2
    assert "mend the maps or masks above" in capsys.readouterr().err
    assert figure("--by", "worst", "--methods", "none", "exact") == 2
    assert f"--methods: none has no maps of {SET}" in capsys.readouterr().err


def test_resizing_does_not_squash_a_map_that_lies_on_its_side(made, figure, tmp_path, capsys):
    folder = made / "maps/turned" / SET
    folder.mkdir(parents=True)
    with Image.open(made / f"maps/exact/{SET}/00.png") as upright:
        upright.transpose(Image.Transpose.ROTATE_90).save(folder / "00.png")
    assert figure("--images", "00", "--methods", "turned", "--resize") == 2
    assert "00.png is 24×32, its mask 32×24: it lies on its side" in capsys.readouterr().err
    assert not (tmp_path / "f.png").exists()


@pytest.mark.parametrize("words, message", [
    ([], "say which images"), (["--images", "00", "--by", "worst"], "say which images"),
    (["--by", "wrst"], "--by wrst: no such order; did you mean 'worst'?"),
    (["--images", "00", "--limit", "2"], "--limit is an option of --by"),
    (["--by", "sizes"], "--by sizes: no such order; did you mean 'size'?"),
    (["--by", "size:lo"], "after the colon stands high or low; did you mean 'low'?"),
    (["--by", "best:low"], "best is an order by scores and has no other end"),
    (["--by", "size", "--of", "exact"], "--of is an option of orders by scores"),
    (["--images", "0"], "--images 0: no such image in SMALL-TE"),
    (["--images", "1"], "did you mean '01'?"), (["--images", "00", "00"], "it is named twice"),
    (["--images", "00", "--count", "2"], "--count is an option of --by"),
    (["--by", "best", "--count", "0"], "--count 0: from 1 to 100"),
    (["--by", "best", "--of", "exat"], "--of exat: no such method is shown; did you mean 'exact'?"),
    (["--by", "best", "--measure", "Sn"], "--measure Sn: images have no such score; did you mean"),
    (["--images", "00", "--dpi", "9"], "--dpi 9: from 50"),
    (["--images", "00", "--out", "f.jpg"], "a figure's name ends in .pdf, .png, .svg"),
    (["--images", "00", "--methods", "exct"], "method exct: neither"),
    (["--images", "00", "--methods", "exact={"], "braces without a partner")])
def test_mistakes_are_named(figure, capsys, words, message):
    assert figure("--methods", "exact", *words) == 2 if "--methods" not in words \
        else figure(*words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("text, length", [
    ("6.9", 6.9), ("6.9in", 6.9), ("127mm", 5), ("2.54 cm", 1), ("72.27pt", 1)])
def test_lengths(text, length):
    assert inches(text) == pytest.approx(length)


@pytest.mark.parametrize("text", ["wide", "0", "-3", "99", "6.9px", "nan"])
def test_what_is_no_length(figure, capsys, text):
    with pytest.raises(SystemExit):
        figure("--images", "00", f"--width={text}")
    assert "a length such as 6.9, 6.9in or 174mm" in capsys.readouterr().err
