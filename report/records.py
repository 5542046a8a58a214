"""Records of runs: reproduce.py writes them, and docs/reproduction.md is made of them.

A record is a JSON file that holds what was run, on what, and what came of it; docs/report.md
explains its keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path, PurePosixPath

from utils.config import flat, load_config, merge_config
from utils.errors import UserError
from utils.origin import short_commit
from utils.paths import ROOT
from utils.values import read_json

from .comparison import comparison_line
from .kept import lacking
from .tables import Cell, Table, cells, images_text, markdown

#: Key of a record → its type.
KEYS = {"run": str, "recipe": str, "paper": str, "date": str, "configuration": dict,
        "origin": dict, "machine": dict, "scores": list, "comparisons": list, "times": dict}
#: Configuration keys in which a run may differ from its recipe without being another one.
_FREE = ("data.root", "data.workers", "data.cache", "threads", "reported", "official",
         "paper")
_HEAD = """# Reproductions

`python -m report records` writes this page from the records in `docs/records/`; edit neither.
`python reproduce.py CONFIG` adds a record ([report.md](report.md)).
"""


def read_records(folder: Path) -> dict[str, dict]:
    """File name without extension → record, of all in a folder.

    Raises:
        UserError: no such folder, or a file in it that is no record.
    """
    if not folder.is_dir():
        raise UserError(f"no records: {folder} is no folder; python reproduce.py CONFIG "
                        "writes them")
    records = {}
    for path in sorted(folder.glob("*.json")):
        try:
            record = read_json(path)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read as a record: {error}") from None
        wrong = lacking(record, KEYS)
        if not wrong:
            try:
                document({path.stem: record})
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                wrong = [f"sound scores, origin or times ({type(error).__name__}: {error})"]
        if wrong:
            raise UserError(f"{path} is not a record of reproduce.py: it has no "
                            f"{', '.join(wrong)}. Move it elsewhere, or reproduce the run again")
        records[path.stem] = record
    return records


def is_trained(record: dict) -> bool:
    """Whether the weights of a record were trained here; else others have published them."""
    return "steps" in record["origin"]


def differences(record: dict) -> dict[str, tuple[object, object]]:
    """Configuration key → the recipe's value and the run's, where the two differ.

    Raises:
        UserError: the recipe is no longer there.
    """
    recipe = flat(load_config(ROOT / record["recipe"]))
    run = flat(merge_config(record["configuration"], origin=record["run"]))  # knows old names
    return {key: (recipe.get(key), run.get(key)) for key in sorted(recipe.keys() | run.keys())
            if recipe.get(key) != run.get(key) and key not in _FREE}


def document(records: Mapping[str, dict]) -> str:
    """A Markdown page with a table for each recipe, the newest run first.

    Args:
        records: file name without extension → record.
    """
    by_recipe: dict[str, list[str]] = {}
    for name in sorted(records, key=lambda name: (records[name]["date"], name), reverse=True):
        by_recipe.setdefault(records[name]["recipe"], []).append(name)
    tables = [Table(PurePosixPath(recipe).stem,
                    ["date", "run", "data set", "measure", "held against", "profile", "images",
                     "reported", "ours", "difference", "3rd digit"],
                    [_lines(name, records[name]) for name in names], words=6,
                    notes=[_note(name, records[name]) for name in names])
              for recipe, names in sorted(by_recipe.items())]
    return "\n".join([_HEAD, *(markdown(table).replace("### ", "## ", 1) for table in tables)])


def _lines(name: str, record: dict) -> list[list[Cell]]:
    """The paper's numbers beside ours; all of ours on sets for which it has none."""
    head, lines = (record["date"][:10], name), []
    for comparison in record["comparisons"]:
        line = comparison_line(comparison)
        del line[4]  # the source
        lines.append([*cells(*head, mark=line[0].mark), *line])
    compared = {c["dataset"] for c in record["comparisons"]}
    return lines + [cells(*head, score["dataset"], measure, "", score["profile"],
                          images_text(score), "", f"{value:.3f}", "", "")
                    for score in record["scores"] if score["dataset"] not in compared
                    for measure, value in score["measures"].items()]


def _note(name: str, record: dict) -> str:
    """What a reader has to know beside the scores, in one line."""
    origin, times = record["origin"], {
        part: "not timed" if seconds is None else str(timedelta(seconds=round(seconds)))
        for part, seconds in record["times"].items()}
    trained = f"{origin['steps']} steps" if is_trained(record) else "published weights"
    return (f"{name}: {' '.join(origin.get('command', ['unknown command']))}; commit "
            f"{short_commit(origin.get('commit', 'unknown'))}; {trained}; {_listed(times)}; "
            f"{_listed(record['machine'])}; torch {origin.get('torch', 'unknown')}; "
            f"{origin['checkpoint']} with SHA-256 {origin['sha256'][:12]}")


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
