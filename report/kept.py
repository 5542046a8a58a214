"""Measured rows in a JSON file in docs/, of which a table is made: name → part → row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from utils.errors import UserError
from utils.files import write_text
from utils.values import read_json

Rows = dict[str, dict[str, dict]]


def read_kept(path: Path, keys: Mapping[str, type], command: str) -> Rows:
    """The rows; none where the file is missing.

    Args:
        keys: what each row has → its type.
        command: that makes the rows.

    Raises:
        UserError: the file cannot be read, or a row has not all of ``keys``.
    """
    try:
        rows = read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as rows of {command}: {error}") from None
    for name, parts in _items(rows):
        for part, row in _items(parts):
            lacking = [key for key, kind in keys.items()
                       if not isinstance(row, dict) or not isinstance(row.get(key), kind)]
            if lacking:
                raise UserError(f"{path}: the row {name!r}, {part!r} lacks {', '.join(lacking)}; "
                                f"make it anew with {command}")
    return rows


def _items(value: object) -> list[tuple]:
    return list(value.items()) if isinstance(value, dict) else [("", value)]


def add_kept(path: Path, rows: Rows, name: str, part: str, row: Mapping[str, object]) -> None:
    """Write ``rows`` to the file, with this one in place of that of before."""
    rows = rows | {name: rows.get(name, {}) | {part: dict(row)}}
    lines = [f"{json.dumps(key)}: {{\n " + ",\n ".join(
        f"{json.dumps(inner)}: {json.dumps(rows[key][inner], ensure_ascii=False)}"
        for inner in sorted(rows[key])) + "}" for key in sorted(rows)]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")
