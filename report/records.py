"""Reproduction records: plain files that say what was run, on what, and what came of it.

A record is about weights and the settings that they were tested with; its file is named after the
run and these, so that the same run replaces its record and another one stands beside it. It holds
no path of the machine and no host's name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from engine.checkpoint import flat
from scoring.scores import Row, measures_of
from utils.errors import UserError
from utils.paths import ROOT

from .files import write
from .recipes import Recipe
from .reproduction import compare_with_papers, comparison_records

#: Keys in which a run may differ from its recipe without being another one.
_APART = ("data.root", "reported", "paper")
#: An absolute path inside a word, which may be key=value and a list.
_ABSOLUTE = re.compile(r"(?<![\w.…)~-])(?:~[\w.-]*|[A-Za-z]:)?[/\\][^,:\[\]{}\"']*")
_PARTS = ("train", "test", "eval")
_WRITTEN = {"run": str, "recipe": str, "date": str, "command": list, "versions": dict,
            "hardware": dict, "seed": int, "differences": dict, "checkpoint": dict, "parts": dict,
            "scores": list, "comparisons": list}

Record = dict


@dataclass
class Sources:
    """What a record is made of.

    Attributes:
        recipe: the configuration as its file has it.
        config: the one that was run.
        parts: part → its entry in the work log, None where nothing is known of it.
    """

    path: Path
    recipe: DictConfig
    config: DictConfig
    weights: Path
    sha256: str
    steps: int
    rows: list[Row]
    parts: dict[str, dict | None]


def record_of(found: Sources, command: Sequence[str]) -> Record:
    """The record of a run that is trained, tested and scored."""
    origin = _trained_elsewhere(found.weights.parent)
    trained = found.parts["train"] or origin
    commit, _, changes = (trained["commits"] or ["unknown"])[-1].partition("+")
    path = found.path.absolute()
    rows = sorted(found.rows, key=lambda row: (row["dataset"], row["profile"]))
    return {
        "run": found.config.name,
        "recipe": path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name,
        "paper": found.config.paper,
        "date": max(entry["date"] for entry in found.parts.values() if entry),
        "command": [portable(word) for word in command],
        "commit": commit, "changes": bool(changes),
        "versions": trained["versions"], "hardware": trained["hardware"],
        "seed": found.config.seed, "steps": found.steps,
        "differences": differences(found.recipe, found.config),
        "checkpoint": {"file": found.weights.name, "sha256": found.sha256},
        "parts": {name: _part(found.parts[name] or (origin if name == "train" else {}))
                  for name in _PARTS},
        "scores": [_score(row) for row in rows],
        "comparisons": _comparisons(found, rows),
    }


def _trained_elsewhere(folder: Path) -> dict:
    """What train.py itself left of a run, in the form of a work log's entry."""
    try:
        origin = json.loads((folder / "origin.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        origin = {}
    about = ("command", "commit", "device", "processes", "launch")
    return {"commits": [origin["commit"]] if "commit" in origin else [],
            "versions": {key: value for key, value in origin.items() if key not in about},
            "hardware": {key: origin[key] for key in ("device", "processes") if key in origin}}


def _part(entry: dict) -> dict:
    return {"seconds": entry.get("seconds"), "sessions": entry.get("sessions"),
            "commits": entry.get("commits", [])}


def _score(row: Row) -> dict:
    about = ("dataset", "profile", "images", "expected")
    return {key: row[key] for key in about} | {
        "measures": {name: row[name] for name in measures_of([row])}}


def _comparisons(found: Sources, rows: Sequence[Row]) -> list[dict]:
    """The paper's numbers against ours, on the sets that were scored."""
    recipe = Recipe(found.path)
    compared = [c for c in compare_with_papers(rows, {found.config.name: recipe})
                if c.row is not None]
    return [{key: value for key, value in record.items() if key not in ("method", "recipe")}
            for record in comparison_records(compared)]


def differences(recipe: DictConfig, config: DictConfig) -> dict[str, dict]:
    """Key → what the recipe says and what was run, where the two differ."""
    said, run = flat(recipe), flat(config)
    return {key: {"recipe": _plain(said.get(key)), "run": _plain(run.get(key))}
            for key in sorted(said.keys() | run.keys())
            if said.get(key) != run.get(key) and key not in _APART}


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return portable(value) if isinstance(value, str) else value


def portable(word: str) -> str:
    """A word without the machine's paths: those of the repository become relative, of others the
    last part is left.
    """
    def shorten(found: re.Match) -> str:
        path = Path(found[0])
        if path.is_relative_to(ROOT):
            return path.relative_to(ROOT).as_posix()
        return "…/" + re.split(r"[/\\]", found[0].rstrip("/\\"))[-1]
    return _ABSOLUTE.sub(shorten, word)


def write_record(folder: Path, record: Record) -> Path:
    """Write a record under its name, over the one of the same run.

    Raises:
        UserError: it cannot be written.
    """
    identity = json.dumps([record["checkpoint"]["sha256"], record["differences"],
                           sorted({score["dataset"] for score in record["scores"]})])
    short = hashlib.sha256(identity.encode()).hexdigest()[:10]
    path = folder / f"{record['run']}-{short}.json"
    write(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return path


def read_records(folder: Path) -> dict[str, Record]:
    """File name without extension → record, of all in a folder.

    Raises:
        UserError: no folder, or a file that is no record.
    """
    if not folder.is_dir():
        raise UserError(f"no records: {folder} is no folder; python -m report reproduce CONFIG "
                        "writes them")
    return {path.stem: _read(path) for path in sorted(folder.glob("*.json"))}


def _read(path: Path) -> Record:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a record: {error}") from None
    wrong = [key for key, kind in _WRITTEN.items()
             if not isinstance(record, dict) or not isinstance(record.get(key), kind)]
    if wrong:
        raise UserError(f"{path} is not a record of python -m report reproduce: it has no "
                        f"{', '.join(wrong)}. Move it elsewhere, or reproduce the run again")
    return record
