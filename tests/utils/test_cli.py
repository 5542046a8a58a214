"""key=value words among the words of lists."""

from __future__ import annotations

import argparse

from utils.cli import parse_with_overrides


def test_key_value_words_are_told_from_the_words_of_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+")
    keys = ["name=x", "loss.terms.side2.bce=1", "loss.terms.*=null", "data.root=/x/run #1",
            f"paper={300 * 'x'}"]  # longer than a file's name may be
    args = parse_with_overrides(parser, ["--data", "ECSSD", "a=b", "/x=y/z", *keys], ["data"])
    assert (args.data, args.overrides) == (["ECSSD", "a=b", "/x=y/z"], keys)
