"""How networks export: every network has its rows, and the table shows them."""

from __future__ import annotations

import pytest

import model
from engine.export import FORMATS, TOLERANCE
from report import exports
from report.kept import read_kept
from utils.errors import UserError

SESSION = {"options": {}, "torch": "2", "onnxruntime": "1", "date": "2026-11-28",
           "commit": "0123456789abcdef"}
ROW = {"reason": "", "sizes": "free", "difference": 2e-7, "range": .25, "megabytes": 4.56} | SESSION


def test_every_network_has_a_row_for_every_format():
    """``tests/engine/test_every_export.py`` makes those of a new network."""
    rows = exports.read_exports()
    assert rows.keys() == set(model.names())
    for name in rows:
        assert rows[name].keys() == FORMATS.keys(), name


def test_files_in_the_table_are_within_the_tolerance():
    for formats in exports.read_exports().values():
        for row in formats.values():
            assert row["reason"] or 10 * row["difference"] < row["range"]
            assert row["difference"] <= TOLERANCE


def test_the_table_has_a_line_for_each_network_and_tells_why_some_do_not_export(tmp_path):
    path = tmp_path / "rows.json"
    for kind in FORMATS:
        exports.add_export(path, "b", kind, ROW)
    exports.add_export(path, "a", "onnx", ROW | {"sizes": "352×352", "options": {"canny": "torch"}})
    exports.add_export(path, "a", "torchscript", exports.failure("it has no trace") | SESSION)
    lines = exports.table(exports.read_exports(path)).splitlines()
    assert lines[2:4] == [
        "| `a` `model.options.canny=torch` | 352×352 | 0.25 | 2.0e-07, 4.6 MB | no | not tried |",
        "| `b` | free | 0.25 | 2.0e-07, 4.6 MB | 2.0e-07, 4.6 MB | 2.0e-07, 4.6 MB |"]
    assert ("4 of 5 exports are whole, and the largest difference of all is 2.0e-07, where 0.001 "
            "is allowed. The others fail:") in lines
    assert "- `a`, torchscript: it has no trace" in lines
    assert lines[-1] == "- on 2026-11-28 at 0123456789, torch 2, onnxruntime 1: all of them"


@pytest.mark.parametrize(("content", "message"), [
    ("{", "cannot be read as rows of make"), ("[]", "the row '', '' lacks size"),
    ('{"a": {"b": {"size": "4"}}}', "the row 'a', 'b' lacks size; make it anew with make")])
def test_a_file_that_is_none_of_rows_is_an_error(tmp_path, content, message):
    path = tmp_path / "rows.json"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        read_kept(path, {"size": int}, "make")
