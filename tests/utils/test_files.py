"""Files are written whole or not at all."""

import os
from pathlib import Path

import pytest

from utils.files import write_text, written_whole


def test_text_is_written_into_a_folder_that_is_made(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "é\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é\n".encode()


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "before")
    with pytest.raises(KeyboardInterrupt), written_whole(path) as file:
        file.write("half")
        raise KeyboardInterrupt
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_a_name_of_255_bytes_can_be_written(tmp_path):
    path = tmp_path / ("a" * 251 + ".txt")
    with written_whole(path, "wb") as file:
        file.write(b"\0")
    assert path.read_bytes() == b"\0" and len(list(tmp_path.iterdir())) == 1


def test_a_link_stays_and_what_is_no_file_is_written_to(tmp_path):
    (tmp_path / "link").symlink_to("a.txt")
    write_text(tmp_path / "link", "through")
    assert (tmp_path / "a.txt").read_text() == "through" and (tmp_path / "link").is_symlink()
    read, written = os.pipe()
    write_text(Path(f"/dev/fd/{written}"), "piped")
    os.close(written)
    assert os.read(read, 9) == b"piped"
    os.close(read)
