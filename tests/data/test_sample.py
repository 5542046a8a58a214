"""The built-in sample and the map that sees no image."""

from __future__ import annotations

import numpy as np
import pytest

from data import find_pairs
from data.__main__ import main as data_main
from data.catalog import known_sets
from data.listing import list_images
from data.sample import centre_prior, draw_pair, write_sample
from utils.errors import UserError

from .made import SQUARE, save


def test_the_sample_is_what_the_catalog_says(tmp_path):
    write_sample(tmp_path)
    for name in ("SAMPLE-TR", "SAMPLE-TE"):
        assert len(find_pairs(name, tmp_path)) == known_sets()[name].pairs
    assert {p.name for p in list_images(tmp_path / "SAMPLE-TE/masks")}


def test_a_stop_leaves_no_half_image(tmp_path, monkeypatch):
    def stopped(target, *arguments, **options):
        (target if hasattr(target, "write") else target.open("wb")).write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("data.sample.iio.imwrite", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_sample_is_a_function_of_its_seed():
    first, again, second = (draw_pair(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert first[0].shape != second[0].shape or (first[0] != second[0]).any()
    assert set(np.unique(first[1])) == {0, 255}


def test_the_centre_prior_is_brightest_in_the_middle():
    prior = centre_prior(31, 21)
    assert prior[15, 10] == 255
    assert prior[0, 0] < 40
    assert (prior == prior[::-1, ::-1]).all()


def contents(folder) -> dict:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_centre_prior_replaces_nothing_but_itself(sets, tmp_path, capsys):
    folder = sets / "TINY-TE"
    save(folder / "other/00.png", SQUARE)
    (tmp_path / "link").symlink_to(folder / "masks")
    before = contents(folder)
    for out in (folder / "masks", folder / "images", folder, folder / "other", tmp_path / "link",
                folder / "masks/../masks", folder / "images/00.jpg"):
        assert data_main(["centre-prior", str(folder), str(out)]) == 2
        within = out.is_dir() and out.name != "other"
        assert ("holds images or masks of the set" in capsys.readouterr().err) == within
        assert contents(folder) == before
    for _ in range(2):  # what it wrote itself it may write again
        assert data_main(["centre-prior", str(folder), str(tmp_path / "prior")]) == 0
    assert len(list_images(tmp_path / "prior")) == 4
    save(tmp_path / "prior/00.png", SQUARE)
    assert data_main(["centre-prior", str(folder), str(tmp_path / "prior")]) == 2
    assert "prior/00.png" in capsys.readouterr().err


def test_the_sample_does_not_mix_with_other_files(tmp_path):
    photo = save(tmp_path / "SAMPLE-TE/images/mine.jpg", SQUARE)
    with pytest.raises(UserError, match=r"not of the sample[\s\S]*mine.jpg"):
        write_sample(tmp_path)
    assert list(tmp_path.rglob("*.*")) == [photo]
