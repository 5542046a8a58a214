"""--limit: the first images of each set alone, which never pass for all of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import eval as eval_script
from report.__main__ import main as report
from report.comparison import is_partial
from tests.scripts.evaluation import evaluate
from tests.small_runs import predict
from utils.origin import origin_of


def kept(results: Path) -> list[dict]:
    return json.loads((results / "scores.json").read_text())


def test_the_first_maps_are_scored_and_the_others_are_not_too_many(sets, scored, results, capsys):
    (scored / "03.png").write_bytes(b"no picture")
    assert evaluate(sets, scored, "--limit", "3") == 0
    (row,) = kept(results)
    assert (row["images"], row["expected"], row["limit"], row["MAE"]) == (3, 4, 3, 0)
    assert is_partial(row)
    assert "3/4" in capsys.readouterr().out
    (scored / "03.png").unlink()
    assert evaluate(sets, scored, "--limit", "2", "--per-image", str(results / "a.csv")) == 0
    lines = (results / "a.csv").read_text().splitlines()[1:]
    assert [line.split(",")[2] for line in lines] == ["00", "01"]
    (scored / "01.png").rename(scored / "stranger.png")
    assert evaluate(sets, scored, "--limit", "2") == 2
    error = capsys.readouterr().err
    assert "no map for" in error and "01.png" in error and "02.png" not in error
    assert "no mask for" in error and "stranger.png" in error


def test_scores_of_all_images_stay_and_the_first_ones_are_shown(sets, scored, results, capsys):
    masks = str(sets / "TINY-TE/masks")
    assert evaluate(sets, scored) == 0
    whole = kept(results)
    capsys.readouterr()
    assert evaluate(sets, scored, "--limit", "2", "--table") == 0
    printed = capsys.readouterr()
    assert kept(results) == whole
    assert "copy on TINY-TE of 4/4 images stay" in printed.err and "--forget copy" in printed.err
    assert "2/4" in printed.out
    assert "neither marked, ranked nor averaged: copy on TINY-TE (2/4)" in " ".join(
        printed.out.split())
    assert evaluate(sets, scored, "--limit", "4", "--measures", "MAE") == 0
    (row,) = kept(results)
    assert "limit" not in row and row["maxF"] == whole[0]["maxF"]
    pair = ["--pred", str(scored), "--gt", masks, "--name", "new", "--set", "TINY-TE"]
    assert eval_script.main([*pair, "--limit", "1"]) == 0
    assert [row["images"] for row in kept(results)] == [4, 1]
    assert eval_script.main(pair) == 0  # what is whole takes the place of what is not
    assert [(row["images"], "limit" in row) for row in kept(results)] == [(4, False), (4, False)]


def test_a_page_curves_and_attributes_are_of_the_first_images(sets, scored, tmp_path, capsys):
    words = ["--pred", str(scored.parents[1]), "--root", str(sets), "--limit", "2"]
    assert report(["page", *words, "--size", "32", "--out", str(tmp_path / "a.html")]) == 0
    page = (tmp_path / "a.html").read_text()
    assert "2/4" in page and '"names": ["00", "01"]' in page
    assert report(["curves", *words, "--out", str(tmp_path), "--formats", "svg"]) == 0
    figures = [path.read_text() for path in tmp_path.glob("TINY-TE_*.svg")]
    assert figures and all("TINY-TE, 2 of 4 images" in text for text in figures)
    capsys.readouterr()
    assert report(["attributes", *words, "--out", str(tmp_path), "--formats"]) == 0
    out = capsys.readouterr().out
    assert "TINY-TE, 2 of 4 images: attributes of 2 images" in out
    assert "TINY-TE, 2 of 4 images: the attributes that scores hang on most" in out


@pytest.mark.parametrize("number", ["0", "x"])
def test_a_limit_is_a_number_of_images(capsys, number):
    with pytest.raises(SystemExit) as stopped:
        eval_script.main(["--limit", number])
    assert stopped.value.code == 2
    assert "is no number of images" in capsys.readouterr().err


def test_a_later_call_predicts_the_other_images(trained, made_sets, tmp_path, capsys):
    folder = tmp_path / "trial/TINY-TE"

    def again(*more: str) -> str:
        assert predict(trained, tmp_path, f"data.root={made_sets}", "--data", "TINY-TE",
                       *more) == 0
        return capsys.readouterr().out

    assert "TINY-TE: the first 2 of 4 images" in again("--limit", "2")
    assert sorted(path.name for path in folder.iterdir()) == ["00.png", "01.png"]
    assert origin_of(folder)["limit"] == 2
    times = [path.stat().st_mtime_ns for path in sorted(folder.iterdir())]
    assert "2 maps are there, 2 to do" in again("--skip-existing")
    files = sorted(folder.iterdir())
    assert [path.stat().st_mtime_ns for path in files][:2] == times and len(files) == 4
    assert "limit" not in origin_of(folder)
    assert "1 map is there, 0 to do" in again("--limit", "1", "--skip-existing")
    assert "limit" not in origin_of(folder)  # of the same weights, and all there
    again("--limit", "4", "data.size=64")
    assert "limit" not in origin_of(folder)  # as many as there are
    before = {path: path.read_bytes() for path in files}
    other = [f"data.root={made_sets}", "--data", "TINY-TE", "test.minmax=false"]
    assert predict(trained, tmp_path, *other, "--limit", "1") == 2
    assert "has 3 maps of other settings beyond --limit 1, which" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in sorted(folder.iterdir())} == before
    assert "limit" not in origin_of(folder)
    assert "0 maps are there, 4 to do" in again("--skip-existing", "test.minmax=false")


def test_photos_beyond_the_limit_are_not_read(trained, made_sets, tmp_path, capsys):
    photos = Path(shutil.copytree(made_sets / "TINY-TE/images", tmp_path / "photos"))
    (photos / "03.jpg").write_bytes(b"no picture")
    assert predict(trained, tmp_path, "--input", str(photos), "--limit", "1") == 0
    assert "--input: the first 1 of 4 images" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "trial/input").iterdir()] == ["00.png"]
    assert Image.open(tmp_path / "trial/input/00.png").mode == "L"
