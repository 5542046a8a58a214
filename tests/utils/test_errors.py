"""Errors of users, as scripts print them."""

from __future__ import annotations

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
