"""Folders that one run at a time writes into."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from filelock import FileLock

from utils.errors import UserError
from utils.lock import locked
from utils.origin import launch
from utils.paths import hidden_beside
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


@pytest.mark.parametrize("own", [True, False])
def test_a_restart_waits_for_the_process_that_it_replaces_and_for_no_other(
        tmp_path, monkeypatch, own):
    """Another run may end meanwhile, and --overwrite would then remove what it has made."""
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    monkeypatch.setattr("utils.lock.PATIENCE", 5)
    folder, file = tmp_path / "trial", hidden_beside(tmp_path / "trial", "lock")
    before = FileLock(file, thread_local=False)  # another thread releases it
    before.acquire()
    file.write_text(f"process 1 on a\n{launch() if own else 'another'}\n")
    threading.Timer(0.1, before.release).start()
    if own:
        with locked(folder, World(), ""):
            assert file.read_text().startswith(f"process {os.getpid()} on ")
    else:
        with pytest.raises(UserError, match="is in use: process 1 on a writes into it"), \
                locked(folder, World(), ""):
            pass


def test_a_folder_of_the_longest_name_can_be_locked(tmp_path):
    with locked(tmp_path / ("x" * 255), World(), ""):
        assert list(tmp_path.glob(".*.lock"))
