"""Official weights: where they are looked for, that they are the right file, who publishes them."""

from __future__ import annotations

import hashlib

import pytest

from utils.config import load_config
from utils.errors import UserError
from utils.official import official_file

CONTENT = b"weights"
ENTRY = ("{by: port, file: mine/final.pth, url: 'https://example.org/x', licence: MIT, "
         "note: a note, sha256: %s}")


def recipe(folder, *entries: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(f"name: mine\nofficial: [{', '.join(entries)}]\n")
    return str(path)


def test_a_file_is_looked_for_by_its_name_and_compared_with_its_digest(runs, tmp_path):
    mine = recipe(tmp_path, ENTRY % hashlib.sha256(CONTENT).hexdigest())
    place = runs / "mine/final.pth"
    with pytest.raises(UserError) as error:
        official_file(mine)
    assert "Fetch this file and save it under this name; test.py with" in str(error.value)
    for line in (f"file:    {place}", "from:    https://example.org/x", "licence: MIT",
                 "by:      the authors of the port", "note:    a note", "SHA-256: "):
        assert f"  {line}" in str(error.value)
    place.parent.mkdir()
    place.write_bytes(CONTENT)
    assert official_file(mine) == place
    place.write_bytes(b"other weights")
    with pytest.raises(UserError, match=f"{place} is not the file .*its SHA-256 is .*without"):
        official_file(mine)


def test_a_folder_that_is_given_holds_the_file_itself(runs, tmp_path):
    mine = recipe(tmp_path, ENTRY % "''")
    with pytest.raises(UserError, match=f"file: +{tmp_path}/final.pth"):
        official_file(mine, tmp_path)
    (tmp_path / "final.pth").write_bytes(CONTENT)
    assert official_file(mine, tmp_path) == tmp_path / "final.pth"
    with pytest.raises(UserError, match=r"final.pth is no folder. .*without --official"):
        official_file(mine, tmp_path / "final.pth")


def test_the_first_of_several_files_that_is_here_is_taken(runs, tmp_path):
    mine = recipe(tmp_path, "{file: first.pth}", "{file: second.onnx}")
    with pytest.raises(UserError, match="Fetch one of these files and save it under its name;"):
        official_file(mine)
    (runs / "second.onnx").write_bytes(CONTENT)
    assert official_file(mine).name == "second.onnx"
    (runs / "first.pth").write_bytes(CONTENT)
    assert official_file(mine).name == "first.pth"


def test_where_nothing_is_published_that_is_printed(tmp_path):
    for entries, message in ((["{by: none, note: they are lost}"], "known; they are lost. Train"),
                             ([], "lists no official weights.*to test.py with --checkpoint")):
        with pytest.raises(UserError, match=message):
            official_file(recipe(tmp_path, *entries))


@pytest.mark.parametrize("entry, message", [
    ("{by: me}", r"official\[0\]\.by = 'me': must be one of authors, port, none"),
    ("{sha256: abc}", r"official\[0\]\.sha256 = 'abc': must be 64 hexadecimal digits"),
    ("{mail: x}", "mail")])
def test_entries_that_are_none_are_refused(tmp_path, entry, message):
    with pytest.raises(UserError, match=message):
        load_config(recipe(tmp_path, entry))
