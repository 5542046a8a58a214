"""Errors of users, as scripts print them."""

from __future__ import annotations

import io
import os
import sys

import pytest

from utils.errors import UserError, reports_errors


@pytest.mark.parametrize("message, line", [
    ("plain\nsecond line", "plain\nsecond line"),
    ("Caught UserError in DataLoader worker process 0.\nOriginal Traceback (most recent call "
     "last):\n  File \"x.py\"\nutils.errors.UserError: a.png: bad\nrow\n", "a.png: bad\nrow")])
def test_an_error_is_one_message_wherever_it_was_raised(capsys, message, line):
    @reports_errors
    def main():
        raise UserError(message)
    assert main() == 2
    assert capsys.readouterr().err == f"error: {line}\n"


def test_memory_that_does_not_suffice_is_a_message_and_other_runtime_errors_are_not(capsys):
    @reports_errors
    def main(error):
        raise error
    assert main(RuntimeError("x: can't allocate memory: you tried 9 bytes")) == main(MemoryError())
    assert capsys.readouterr().err.count("error: memory ran out: ") == 2
    with pytest.raises(RuntimeError, match="shapes"):
        main(RuntimeError("shapes differ"))


def test_names_that_are_not_utf_8_are_printed_as_escapes(monkeypatch):
    """As a zip of a Chinese Windows unpacks them."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)

    @reports_errors
    def main():
        print(os.fsdecode("中.jpg".encode("gbk")))
        return 0
    assert main() == 0
    stream.flush()
    assert stream.buffer.getvalue() == b"\\udcd6\\udcd0.jpg\n"
