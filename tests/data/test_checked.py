"""What a check had nothing to tell of is not read again, as long as it is the same."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from PIL import Image

import data.checked
import data.soundness
from data import find_pairs, require_sound
from data.checked import Checked, digest_of
from data.loader import SaliencyData, training_loader
from data.soundness import file_problems
from utils.errors import UserError

from .made import age, data_config, same_batches


@pytest.fixture
def pairs(sets) -> list:
    age(sets)
    return find_pairs("TINY-TE", sets)


@pytest.fixture
def read_by(pairs, tmp_path):
    """Checks all pairs, remembering what passes; returns the names of those that were read."""
    def check(**options) -> list[str]:
        names = []

        def find(pair, notes):
            names.append(pair.name)
            return file_problems(pair, notes)

        require_sound(pairs, "TINY-TE", find, checked=Checked(tmp_path / "new/checked"), **options)
        return sorted(names)

    return check


def test_files_are_read_once(read_by, tmp_path, capsys):
    assert read_by() == ["00", "01", "02", "03"]
    assert capsys.readouterr().out == ""
    assert read_by() == []
    assert "TINY-TE: 4 of 4 were checked before, and have not changed" in capsys.readouterr().out
    assert read_by(digest=lambda pair: digest_of(pair, "another way")) == ["00", "01", "02", "03"]
    assert read_by() == []
    (tmp_path / "new/checked").write_bytes(b"\xff\0 damaged")
    assert read_by() == ["00", "01", "02", "03"]


def test_another_definition_reads_them_again(read_by, monkeypatch):
    read_by()
    for owner, name in ((data.checked, "_VERSION"), (data.checked.PIL, "__version__")):
        monkeypatch.setattr(owner, name, "0")
        assert len(read_by()) == 4 and not read_by()


def test_what_changed_is_read_again_and_what_is_wrong_every_time(read_by, pairs, capsys):
    read_by()
    mask, content = pairs[1].mask, pairs[1].mask.read_bytes()
    mask.write_bytes(content[:-9] + b"truncated")  # of the same size
    os.utime(mask, ns=(0, time.time_ns() - 30 * 10**9))
    for _ in range(2):
        with pytest.raises(UserError, match=r"01\.png"):
            read_by()
    assert "3 of 4 were checked before" in capsys.readouterr().out
    mask.write_bytes(content)
    assert read_by() == read_by() == ["01"]  # it may change again within a tick of its clock
    age(mask.parent)
    assert "01" in read_by() and not read_by()
    pairs[2].image.unlink()
    with pytest.raises(UserError, match=r"02\.jpg"):
        read_by()


def test_what_is_worth_knowing_is_told_every_time(read_by, pairs, capsys):
    size = Image.open(pairs[0].image).size
    Image.fromarray(np.zeros((*size[::-1], 3), np.uint8)).save(pairs[0].image)
    age(pairs[0].image.parent)
    for _ in range(2):
        read_by()
        assert "1 photo nearly black" in capsys.readouterr().err
    assert read_by() == ["00"]


def test_the_oldest_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(data.checked, "_MOST", 3)
    checked = Checked(tmp_path / "checked")
    checked.add([], ["a", "b", "c"])
    checked.add(["a"], ["d"])
    assert checked.read() == {"c", "a", "d"}


def test_a_place_that_cannot_be_written_is_no_error(pairs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    require_sound(pairs, "TINY-TE", checked=Checked(tmp_path / "file/checked"))
    assert "the files will be checked again" in capsys.readouterr().err


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_training_decodes_what_was_checked_when_it_is_asked_for(
        pairs, tmp_path, monkeypatch, cache):
    batches = []
    for run in range(2):
        loader = training_loader(pairs, data_config(cache=cache), 2, 0)
        with monkeypatch.context() as patch:
            if run:
                patch.setattr(SaliencyData, "_problems", None)
            loader.data.require_sound("TINY-TE", checked=Checked(tmp_path / "checked"))
        batches.append(list(loader))
    assert same_batches(*batches)


def test_a_long_check_says_so_where_no_bar_is(pairs, monkeypatch, capsys):
    require_sound(pairs, "TINY-TE")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(data.soundness, "PATIENCE", -1)
    require_sound(pairs, "TINY-TE")
    error = capsys.readouterr().err
    assert error.startswith("note: checking TINY-TE: 1 of 4 in 0 s; about 0 s left\n")
    assert error.count("\n") == 1
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    require_sound(pairs, "TINY-TE")
    assert "note:" not in capsys.readouterr().err
