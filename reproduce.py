"""Reproduce recipes: train, test, score, and write a record of what came of it.

    python reproduce.py configs/cpd_vgg.yaml --gpu 0      → docs/records/cpd_vgg-….json
    python reproduce.py wssa scwssod --data ECSSD DUTS-TE train.batch=8     names in configs/
    python reproduce.py u2netp --official --data ECSSD      the published weights, not trained

The same command goes on after a stop or a kill, and does nothing twice: what is there of the same
weights and settings is kept. --data, --gpu and key=value words go for every recipe.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

import eval as eval_script
import test as test_script
import train as train_script
from data.catalog import find_set
from data.map_sizes import with_map_sizes
from data.pairing import Names
from engine.checkpoint import RESUMABLE, configuration_of, load_latest
from engine.existing import image_digests, pairs_to_predict, require_own
from engine.trained import find_run
from report.comparison import compare_with_papers
from report.recipes import Recipe
from report.tables import write
from scoring.scores import Row, measures_of
from utils.cli import parse_with_overrides
from utils.config import load_config, merge_config
from utils.errors import UserError, reports_errors
from utils.files import sha256_of
from utils.machine import cores, processor
from utils.mask_keys import decided_words
from utils.official import official_file
from utils.origin import LIBRARIES, MapsOrigin, origin_of, read_origin
from utils.paths import CHECKPOINTS, DOCS, RESULTS, ROOT, absolute_spec
from utils.recipes import recipe_path
from utils.weights_file import read_hashed
from utils.world import World


class Reproduction:
    """A recipe and its data sets; what cannot be used is a UserError before anything is run."""

    def __init__(self, path: Path, args: argparse.Namespace):
        self.path, self.args, self.words = path, args, args.overrides
        self.config, self.recipe = load_config(path, self.words), Recipe(path)
        self.name, self.times = self.config.name, {"train": None, "test": None, "eval": None}
        self.data = [absolute_spec(spec) for spec in args.data or ()] or self.config.test.data
        self.root, names = ROOT / self.config.data.root, Names.of(self.config.data)
        sets = [find_set(spec, self.root, names) for spec in self.data]
        self.maps = {RESULTS / self.name / located.name: located.pairs for located in sets}
        if not sets or len(self.maps) < len(sets):
            raise UserError(f"{path}: no data sets to test on, or two of one name; give --data")
        for folder, pairs in self.maps.items():
            require_own(pairs, folder)

    def timed(self, part: str, anew: bool, run: Callable, *words: object) -> int | list[Row]:
        """Call a script's function; it is timed if ``anew``, when nothing of its part was there."""
        start = time.monotonic()
        outcome = run([*map(str, words), "--gpu", self.args.gpu])
        self.times[part] = round(time.monotonic() - start, 1) if anew else None
        return outcome

    def run(self) -> int:
        """Train, test, score, write the record. Returns the exit status of what failed, else 0."""
        print(f"== {self.name}: {self.path}")
        official = ["--official"] * self.args.official
        if official:
            weights = official_file(str(self.path))
            origin = MapsOrigin(weights, sha256_of(weights), self.config)
        else:
            anew = not any((CHECKPOINTS / self.name / name).is_file() for name in RESUMABLE)
            if status := self.timed("train", anew, train_script.main, "--config", self.path,
                                    "--resume-if-any", *self.words):
                return status
            weights = find_run(str(self.path), self.words)
            content, sha256 = read_hashed(weights)
            origin = MapsOrigin(weights, sha256, configuration_of(content, weights, self.words))
        to_do = [len(pairs_to_predict(with_map_sizes(pairs, folder.name, quiet=True), folder,
                                      origin, image_digests(pairs, World())))
                 for folder, pairs in self.maps.items()]
        anew = to_do == [len(pairs) for pairs in self.maps.values()]
        if any(to_do) and (status := self.timed(
                "test", anew, test_script.main, "--config", self.path, *official, "--out", RESULTS,
                "--skip-existing", *self.words, "--data", *self.data)):
            return status
        masks, sets = decided_words(self.config.data), [folder.name for folder in self.maps]
        which = [origin.entry["sha256"], origin.entry["settings"], masks, sets]
        digest = hashlib.sha256(json.dumps(which).encode()).hexdigest()[:10]
        path = self.args.records / f"{self.name}-{digest}.json"
        if path.is_file() and self.times["train"] is self.times["test"] is None:
            print(f"recorded already: {path}")
            return 0
        rows = self.timed("eval", True, eval_script.run, "--pred", RESULTS / self.name, "--table",
                          "--root", self.root, "--reported", f"{self.name}={self.path}", *masks,
                          "--data", *self.data)
        write_record(path, self.record_of(weights, origin.entry["sha256"], rows))
        print(f"record: {path}")
        return 0

    def record_of(self, weights: Path, sha256: str, rows: list[Row]) -> dict:
        """What was run, on what, and what came of it; docs/report.md explains the keys."""
        config, origin = self.official_origin() if self.args.official else \
            self.trained_origin(weights)
        config.reported, config.official = [], []
        config.test.data = [folder.name for folder in self.maps]
        origin |= {"checkpoint": weights.name, "sha256": sha256}
        return {
            "run": self.name, "recipe": str(self.path.absolute()), "paper": config.paper,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "configuration": OmegaConf.to_container(config, resolve=True),
            "origin": origin, "machine": {"processor": processor(), "cores": cores()},
            "scores": [{key: row[key] for key in ("dataset", "profile", "images", "expected")}
                       | {"measures": {name: row[name] for name in measures_of([row])}}
                       for row in rows],
            "comparisons": [line for line in compare_with_papers(rows, {self.name: self.recipe})
                            if line["images"] is not None],
            "times": self.times}

    def trained_origin(self, weights: Path) -> tuple[DictConfig, dict]:
        """The configuration of a run, and how its weights were made."""
        content, _, latest = load_latest(weights.parent)
        if not (origin := read_origin(path := weights.parent / "origin.json")):
            raise UserError(f"{path} does not say how the run was made")
        origin.pop("launch", None)  # it names the machine
        return (merge_config(content["config"], self.words, origin=str(latest)),
                origin | {"steps": content["at"]["step"]})

    def official_origin(self) -> tuple[DictConfig, dict]:
        """The recipe's configuration, and how the maps of its published weights were made."""
        entry = origin_of(next(iter(self.maps)))
        return self.config.copy(), {key: entry[key] for key in entry if key in (
            "command", "commit", "device", "python", *LIBRARIES)}


def write_record(path: Path, record: dict) -> None:
    """Write a record without this machine's folders: those in the repository become relative."""
    text = json.dumps(record, indent=1, ensure_ascii=False).replace(f"{ROOT}/", "")
    write(path, re.sub(r'(?<=["=,:\[])(?:~[\w.-]*)?/(?!/)(?:[^",:\]]*/)?', "…/", text) + "\n")


@reports_errors
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", action="extend", metavar="SET",
                        help="instead of its test.data")
    parser.add_argument("--official", action="store_true",
                        help="test the weights that the recipe's official lists, from "
                             "checkpoints/, instead of training")
    parser.add_argument("--gpu", default="auto", help="index, auto or cpu (default: auto)")
    parser.add_argument("--records", type=Path, default=DOCS / "records", metavar="DIR",
                        help="where the records go (default: docs/records/)")
    args = parse_with_overrides(parser, argv, lists=("data",))
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UserError("start it without torchrun; a training of train.py under torchrun is kept")
    configs = [recipe_path(word) for word in args.overrides if "=" not in word]
    args.overrides = [word for word in args.overrides if "=" in word]
    if not configs:
        raise UserError("name a recipe before --data, for example configs/cpd_vgg.yaml")
    worst = 0
    for run in [Reproduction(path, args) for path in configs]:
        worst = max(worst, reports_errors(run.run)())  # an error leaves the others their turn
        if worst > 128:  # a signal does not
            print(f"stopped in {run.name}; the same command goes on from there", file=sys.stderr)
            break
    return worst


if __name__ == "__main__":
    sys.exit(main())
