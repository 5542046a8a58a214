"""Measured rows in a JSON file in docs/, of which a table is made: name → part → row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from utils.errors import UserError
from utils.files import write_text
from utils.values import read_json

Rows = dict[str, dict[str, dict]]


def read_rows(path: Path, command: str) -> object:
    """What a file of rows holds; an empty dict where the file is missing.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as rows of {command}: {error}") from None


def lacking(row: object, keys: Mapping[str, type]) -> list[str]:
    """The keys that a row has not, or not of their types."""
    return [key for key, kind in keys.items()
            if not isinstance(row, dict) or not isinstance(row.get(key), kind)]


def read_kept(path: Path, keys: Mapping[str, type], command: str) -> Rows:
    """The rows; none where the file is missing.

    Args:
        keys: what each row has → its type.
        command: that makes the rows.

    Raises:
        UserError: the file cannot be read, or a row has not all of ``keys``.
    """
    rows = read_rows(path, command)
    for name, parts in items(rows):
        for part, row in items(parts):
            if missing := lacking(row, keys):
                raise UserError(f"{path}: the row {name!r}, {part!r} lacks {', '.join(missing)}; "
                                f"make it anew with {command}")
    return rows


def items(value: object) -> list[tuple]:
    """Key and value of a table; of what is none, itself under no key."""
    return list(value.items()) if isinstance(value, dict) else [("", value)]


def add_kept(path: Path, rows: Rows, name: str, part: str, row: Mapping[str, object]) -> None:
    """Write ``rows`` to the file, with this one in place of that of before."""
    rows = rows | {name: rows.get(name, {}) | {part: dict(row)}}
    lines = [f"{json.dumps(key)}: {{\n " + ",\n ".join(
        f"{json.dumps(inner)}: {json.dumps(rows[key][inner], ensure_ascii=False)}"
        for inner in sorted(rows[key])) + "}" for key in sorted(rows)]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")
