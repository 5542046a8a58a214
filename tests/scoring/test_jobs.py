"""Which folders are scored against which data set."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from scoring import ScoringOptions
from scoring.jobs import find_jobs, folder_jobs, score_jobs
from utils.errors import UserError


@pytest.fixture
def method(sets, tmp_path) -> Path:
    """A method ``copy`` that predicts TINY-TE perfectly."""
    folder = tmp_path / "results/copy"
    (folder / "TINY-TE").mkdir(parents=True)
    for path in (sets / "TINY-TE/masks").iterdir():
        Image.open(path).save(folder / "TINY-TE" / path.name)
    return folder


def test_methods_and_one_method_are_told_apart(sets, method):
    for pred, data in ((method.parent, []), (method, ["TINY-TE"])):
        (job,), missing = find_jobs(pred, None, data, sets)
        assert (job.cell, job.maps, missing) == (("copy", "TINY-TE"), method / "TINY-TE", [])
        assert [pair.name for pair in job.pairs] == ["00", "01", "02", "03"]


def test_a_folder_of_another_kind_is_named_and_not_missing(sets, method, capsys):
    for other in ("a", "b"):
        (method.parent / other / "photos").mkdir(parents=True)
    for name in ("_hidden", *(f"stray{number:02d}" for number in range(30))):
        (method / name).mkdir()
    jobs, missing = find_jobs(method.parent, None, [], sets)
    assert (len(jobs), missing) == (1, [])
    err = capsys.readouterr().err
    assert "a/photos (and 1 more of that name) is not scored" in err and "_hidden" not in err
    assert len(err.splitlines()) == 21 and "folders of 11 more names are not scored" in err


def test_where_only_photos_were_predicted_the_message_says_so(sets, tmp_path):
    (tmp_path / "r/m/input").mkdir(parents=True)
    with pytest.raises(UserError, match="m/input holds maps of photos"):
        find_jobs(tmp_path / "r", None, [], sets)


def test_a_set_that_is_asked_for_twice_is_scored_once(sets, method):
    jobs, _ = find_jobs(method.parent, None, ["TINY-TE", str(sets / "TINY-TE")], sets)
    assert [job.cell for job in jobs] == [("copy", "TINY-TE")]
    (sets / "b").mkdir()
    (sets / "TINY-TR").rename(sets / "b/TINY-TE")
    with pytest.raises(UserError, match="two different sets are called TINY-TE"):
        find_jobs(method.parent, None, ["TINY-TE", str(sets / "b/TINY-TE")], sets)


def test_requested_sets_and_sets_that_are_known_are_missing(sets, method, capsys, monkeypatch):
    monkeypatch.chdir(method)
    for pred in (method.parent, Path()):  # a method's own folder may be the working directory
        jobs, missing = find_jobs(pred, None, ["TINY-TE", "TINY-TR"], sets)
        assert (len(jobs), missing) == (1, [("copy", "TINY-TR")])
        assert "note: copy has no maps of TINY-TR" in capsys.readouterr().err
    (sets / "TINY-TR/masks/03.png").unlink()
    (method / "TINY-TR").mkdir()
    jobs, missing = find_jobs(method.parent, None, [], sets)
    assert (len(jobs), missing) == (1, [("copy", "TINY-TR")])
    assert "TINY-TR is not scored" in capsys.readouterr().err
    with pytest.raises(UserError, match="03"):
        find_jobs(method.parent, None, ["TINY-TR"], sets)


def test_two_folders_of_one_set_are_refused(sets, method):
    (sets / "TINY-TE").rename(sets / "DUT-OMRON")
    (method / "DUT-O").mkdir()
    (method / "TINY-TE").rename(method / "OMRON")
    with pytest.raises(UserError, match=r"several folders hold maps of DUT-OMRON \(DUT-O, OMRON\)"):
        find_jobs(method.parent, None, [], sets)
    (method / "DUT-O").rmdir()
    (job,), _ = find_jobs(method.parent, None, [], sets)
    assert job.cell == ("copy", "DUT-OMRON") and job.maps == method / "OMRON"


def test_folders_are_named_after_what_tells_them_apart(sets, method):
    masks = sets / "TINY-TE/masks"
    second = method.parent / "grey/TINY-TE"
    second.mkdir(parents=True)
    jobs = folder_jobs([method / "TINY-TE", second], masks)
    assert [job.cell for job in jobs] == [("copy", "TINY-TE"), ("grey", "TINY-TE")]
    jobs = folder_jobs([method / "TINY-TE", second.rename(second.with_name("half"))], masks)
    assert [job.cell for job in jobs] == [("TINY-TE", "masks"), ("half", "masks")]


def test_scores_with_problems_are_given_only_if_maps_may_be_missing(sets, method, capsys):
    (method / "TINY-TE/02.png").unlink()
    jobs, _ = find_jobs(method.parent, None, [], sets)
    assert score_jobs(jobs, ScoringOptions(), allow_missing=False, quiet=True) == ([], jobs)
    assert capsys.readouterr().err == ""
    (scores,), failed = score_jobs(jobs, ScoringOptions(resize=True), allow_missing=True)
    assert "no map for" in capsys.readouterr().err and failed == []
    assert list(scores.row)[:6] == ["method", "dataset", "images", "expected", "profile", "resized"]
    assert (scores.row["images"], scores.row["expected"], scores.row["MAE"]) == (3, 4, 0)
    for path in (method / "TINY-TE").iterdir():
        path.unlink()
    jobs[0].pairs = []
    assert score_jobs(jobs, ScoringOptions(), allow_missing=True) == ([], jobs)  # no images at all
    assert f"no maps in {method / 'TINY-TE'}" in capsys.readouterr().err


def test_jpeg_maps_are_noted(sets, method, capsys):
    masks = sets / "TINY-TE/masks"
    score_jobs(folder_jobs([method / "TINY-TE"], masks), ScoringOptions(), False)
    assert capsys.readouterr().err == ""
    for path in masks.iterdir():
        Image.open(path).save(method / "TINY-TE" / f"{path.stem}.jpg", quality=95)
        (method / "TINY-TE" / path.name).unlink()
    score_jobs(folder_jobs([method / "TINY-TE"], masks), ScoringOptions(), False)
    assert "copy on TINY-TE has 4 JPEG maps, whose values" in capsys.readouterr().err
    folder_jobs([masks], masks)
    assert f"note: {masks}: the maps are the masks themselves" in capsys.readouterr().err
