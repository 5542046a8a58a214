"""docs/reproduction.md: what the records say, a table for each recipe, the newest run first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import PurePosixPath

from .records import Record
from .sheets import UNSURE, Cell, Sheet, markdown
from .tables import images_text

_HEAD = """# Reproductions

Written by `python -m report records` from the records in `docs/records/`; edit neither.
`python -m report reproduce CONFIG` adds a record ([report.md](report.md)).
"""
_HEADINGS = ["date", "run", "data set", "measure", "held against", "profile", "images", "reported",
             "ours", "difference", "3rd digit"]


def document(records: Mapping[str, Record]) -> str:
    """The document of all records, by the names of their files."""
    by_recipe: dict[str, list[str]] = {}
    for name in sorted(records, key=lambda name: (records[name]["date"], name), reverse=True):
        by_recipe.setdefault(records[name]["recipe"], []).append(name)
    sheets = [_sheet(recipe, {name: records[name] for name in by_recipe[recipe]})
              for recipe in sorted(by_recipe)]
    return "\n".join([_HEAD, *(markdown(sheet).replace("### ", "## ", 1) for sheet in sheets)])


def _sheet(recipe: str, records: Mapping[str, Record]) -> Sheet:
    paper = next(iter(records.values())).get("paper")
    title = PurePosixPath(recipe).stem + (f": {paper}" if paper else "")
    return Sheet(title, _HEADINGS, [_lines(name, record) for name, record in records.items()],
                 words=6, notes=[_note(name, record) for name, record in records.items()])


def _lines(name: str, record: Record) -> list[list[Cell]]:
    """The paper's numbers beside ours; all of ours on sets for which it has none."""
    head, lines = [record["date"][:10], name], []
    for one in record["comparisons"]:
        mark = "" if one["verified"] else UNSURE
        sign = "?" if not one["verified"] else "✓" if one["within_third_digit"] else ""
        lines.append([Cell(text, mark) for text in (
            *head, one["dataset"], one["paper_measure"], one["measure"], one["profile"],
            images_text(one), one["reported"], one["ours"], one["difference"], sign)])
    compared = {one["dataset"] for one in record["comparisons"]}
    for score in record["scores"]:
        if score["dataset"] not in compared:
            lines += [[Cell(text) for text in (
                *head, score["dataset"], measure, "", score["profile"], images_text(score), "",
                f"{value:.3f}", "", "")] for measure, value in score["measures"].items()]
    return lines


def _note(name: str, record: Record) -> str:
    """Everything beside the scores that a reader has to know, in one line."""
    changes = " with changes" if record.get("changes") else ""
    changed = ", ".join(f"{key}={_value(both['run'])} (recipe: {_value(both['recipe'])})"
                        for key, both in record["differences"].items())
    return (f"{name}: {' '.join(record['command'])}; "
            f"commit {record.get('commit', 'unknown')[:10]}{changes}; seed {record['seed']}; "
            f"{_times(record['parts'])}; {_named(record['hardware'])}; "
            f"{_named(record['versions'])}; {record['checkpoint']['file']} with SHA-256 "
            f"{record['checkpoint']['sha256'][:12]}; differences to the recipe: "
            f"{changed or 'none'}")


def _times(parts: Mapping[str, dict]) -> str:
    return ", ".join(f"{name} " + ("not timed" if part["seconds"] is None else
                                   str(timedelta(seconds=round(part["seconds"]))))
                     for name, part in parts.items())


def _named(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key.replace('_gib', ' (GiB)').replace('_', ' ')} {value}"
                     for key, value in values.items())


def _value(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, Sequence) \
        and not isinstance(value, str) else str(value)
