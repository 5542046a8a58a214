"""Folders that one run at a time writes into."""

from __future__ import annotations

import os
import socket

import pytest

from utils.errors import UserError
from utils.lock import locked
from utils.world import World


def test_a_locked_folder_is_refused_with_its_holder_until_it_is_free(tmp_path):
    folder = tmp_path / "trial"
    folder.mkdir()
    for name in (".0a1b.17.tmp", "last.pt.tmp", "log.csv"):
        (folder / name).touch()
    with locked(folder, World(), "Wait."):
        assert [path.name for path in folder.iterdir()] == ["log.csv"]
        (folder / ".0a1b.18.tmp").touch()  # as of a file that is being written
        with pytest.raises(UserError, match=rf"{folder} is in use: process {os.getpid()} on "
                                            rf"{socket.gethostname()} writes into it. Wait\."), \
                locked(folder, World(), "Wait."):
            pass
        assert (folder / ".0a1b.18.tmp").exists()
        with locked(tmp_path / "another", World(), ""):
            pass
    with locked(folder, World(), ""):
        pass


def test_a_folder_of_the_longest_name_can_be_locked(tmp_path):
    with locked(tmp_path / ("x" * 255), World(), ""):
        assert list(tmp_path.glob(".*.lock"))
