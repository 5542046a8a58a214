"""Reproduce recipes: train, test, score, and write a record of what came of it.

    python reproduce.py configs/cpd_vgg.yaml --gpu 0      → docs/records/cpd_vgg-….json
    python reproduce.py wssa scwssod --data ECSSD DUTS-TE train.batch=8     names in configs/

The same command goes on after a stop or a kill: a finished training is kept, a started one goes
on to the same weights, maps and records of the same weights and settings are kept, maps of others
are made anew. --data, --gpu and key=value words go for every recipe.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import eval as eval_script
import test as test_script
import train as train_script
from data.catalog import find_set
from data.coding import decided_words
from data.map_sizes import with_map_sizes
from data.pairing import Names
from engine.checkpoint import load_checkpoint, load_latest, require_same_recipe
from engine.existing import pairs_to_predict, require_own
from engine.run import has_ended
from report.recipes import Recipe
from report.records import record_of, write_record
from scoring.scores import Row
from utils.cli import parse_with_overrides
from utils.config import load_config, recipe_path
from utils.errors import UserError, reports_errors
from utils.origin import MapsOrigin, sha256_of
from utils.paths import CHECKPOINTS, DOCS, RESULTS, ROOT, absolute_spec


class Reproduction:
    """A recipe, its data sets, and the seconds that each part took in this session, None where
    some of it was there already. What cannot be used is a UserError before anything is run."""

    def __init__(self, path: Path, args: argparse.Namespace):
        self.path, self.args, self.recipe = path, args, Recipe(path)
        self.config = load_config(path, args.overrides)
        self.name, self.root = self.config.name, ROOT / self.config.data.root
        self.data = args.data or list(self.config.test.data)
        self.sets = [find_set(spec, self.root, Names.of(self.config.data)) for spec in self.data]
        self.times: dict[str, float | None] = dict.fromkeys(("train", "test", "eval"))
        if not self.sets or len({located.name for located in self.sets}) < len(self.sets):
            raise UserError(f"{path}: no data sets to test on, or two of one name; give --data")
        for located in self.sets:
            require_own(located.pairs, RESULTS / self.name / located.name)

    def timed(self, part: str, anew: bool, run: Callable, *words: str) -> int | list[Row]:
        """Call a script's function; ``anew``: nothing of the part was there before."""
        start = time.monotonic()
        outcome = run([*words, "--gpu", self.args.gpu])
        self.times[part] = round(time.monotonic() - start, 1) if anew else None
        return outcome

    def train(self) -> int:
        """Train, or go on with it, unless the training is finished. Returns the exit status."""
        folder = CHECKPOINTS / self.name
        if started := any((folder / name).is_file() for name in ("last.pt", "previous.pt")):
            content, before, path = load_latest(folder)
            require_same_recipe(before, self.config, path, content.get("pairs"))
            same = before.data.train == self.config.data.train  # or else train.py compares the data
            if same and has_ended(content["at"], self.config.train):
                print(f"trained already: {folder}")
                return 0
        return self.timed("train", not started, train_script.main, "--config", str(self.path),
                          "--resume-if-any", *self.args.overrides)

    def test(self, weights: Path) -> int:
        """Make the maps that are not there of weights and settings. Returns the exit status."""
        origin = MapsOrigin(weights, load_checkpoint(weights, self.args.overrides)[1])
        to_do = [len(pairs_to_predict(with_map_sizes(located.pairs, located.name, quiet=True),
                                      RESULTS / self.name / located.name, origin))
                 for located in self.sets]
        if not any(to_do):
            return 0
        anew = to_do == [len(located.pairs) for located in self.sets]
        return self.timed("test", anew, test_script.main, "--config", str(self.path),
                          "--out", str(RESULTS), "--skip-existing", *self.args.overrides,
                          "--data", *self.data)

    def run(self) -> int:
        """All parts, then the record. Returns the exit status of the part that failed, else 0."""
        print(f"== {self.name}: {self.path}")
        if status := self.train():
            return status
        weights = test_script.find_run(str(self.path), self.args.overrides)
        if status := self.test(weights):
            return status
        sha256 = sha256_of(weights)
        which = f"{sha256} {settings(self.args.overrides)} {[data.name for data in self.sets]}"
        digest = hashlib.sha256(os.fsencode(which)).hexdigest()[:10]
        path = self.args.records / f"{self.name}-{digest}.json"
        if path.is_file() and self.times["train"] is self.times["test"] is None:
            print(f"recorded already: {path}")
            return 0
        rows = self.timed("eval", True, eval_script.run, "--pred", str(RESULTS / self.name),
                          "--root", str(self.root), "--table",
                          *decided_words(self.config.data),
                          "--reported", f"{self.name}={self.path}", "--data", *self.data)
        write_record(path, record_of(self.path, self.args.overrides, weights, rows, self.times))
        print(f"record: {path}")
        return 0


def settings(words: Sequence[str]) -> list[str]:
    """The key=value words that change the maps; test.py takes other keys from the checkpoint."""
    return sorted(word for word in words if word.startswith(("test.", "data.", "model."))
                  and not word.startswith(("test.data=", "data.root=", "data.workers=")))


@reports_errors
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", metavar="SET", help="instead of its test.data")
    parser.add_argument("--gpu", default="auto", help="index, auto or cpu (default: auto)")
    parser.add_argument("--records", type=Path, default=DOCS / "records", metavar="DIR",
                        help="where the records go (default: docs/records/)")
    args = parse_with_overrides(parser, argv, lists=("data",))
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("start it without torchrun; a training of train.py under torchrun is kept")
    args.data = [absolute_spec(spec) for spec in args.data or ()]
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
