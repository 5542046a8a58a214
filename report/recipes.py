"""Which recipe's reported numbers a method is held against."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from data.catalog import same_set
from scoring.scores import Row
from utils.config import load_config
from utils.errors import UserError, list_problems, nearest
from utils.paths import CONFIGS
from utils.recipes import recipe_path
from utils.schema import ReportedNumber

from .protocols import PROTOCOLS, problems_of


def add_reported(parser: argparse.ArgumentParser) -> None:
    """The option that chooses recipes, see ``Recipes``."""
    parser.add_argument("--reported", action="append", metavar="[METHOD=]RECIPE", default=[],
                        help="the recipe, a name in configs/ or a YAML file, whose reported "
                             "numbers a method is held against (default: the one that is called "
                             "like the method, else the one that test.py ran)")


class Recipe:
    """A recipe's name, its paper and the paper's numbers.

    Raises:
        UserError: the file is no recipe (see ``utils.config.load_config``), or a reported number
            names a measure or protocol that does not exist.
    """

    def __init__(self, path: Path):
        config = load_config(path)
        self.name: str = config.name
        self.paper: str = config.paper
        self.reported: list[ReportedNumber] = [ReportedNumber(**row) for row in config.reported]
        problems = [f"reported {row.dataset} {row.measure}: {problem}" for row in self.reported
                    for problem in problems_of(row)]
        if problems:
            raise UserError(list_problems(str(path), problems))


class Recipes:
    """Finds the recipe of a method.

    That is the one that ``choices`` name; else the one that is called like the method, whatever
    case and punctuation; else the one whose paper is that of the run that made the maps.

    Args:
        choices: ``METHOD=RECIPE``, or ``RECIPE`` for the only method; a recipe is a name in
            configs/ or a YAML file.

    Raises:
        UserError: a recipe that does not exist, or two recipes for one method.
    """

    def __init__(self, choices: Sequence[str] = ()):
        self._load = functools.cache(Recipe)
        self._chosen: dict[str, Recipe] = {}
        for choice in choices:
            method, _, name = choice.rpartition("=")
            if method in self._chosen:
                raise UserError(f"--reported {choice}: " + (
                    f"{method} has another recipe already" if method else
                    "with several recipes say whose each is, METHOD=RECIPE"))
            self._chosen[method] = self._load(recipe_path(name))

    def of(self, method: str, origin: dict | None) -> Recipe | None:
        """The recipe of a method, None when it has none.

        Args:
            origin: what is known of its maps, see ``utils.origin``.
        """
        if chosen := self._chosen.get(method) or self._chosen.get(""):
            return chosen
        paths, paper = sorted(CONFIGS.glob("*.yaml")), (origin or {}).get("paper")
        paths = [path for path in paths if _plain(path.stem) == _plain(method)] or [
            path for path in paths if paper and self._load(path).paper == paper]
        return self._load(paths[0]) if paths else None

    def profiles(self, method: str, dataset: str, origin: dict | None) -> list[str]:
        """The profiles that a method's reported numbers on a set were made with."""
        recipe = self.of(method, origin)
        return sorted({PROTOCOLS[reported.protocol].profile for reported in recipe.reported
                       if same_set(reported.dataset, dataset)}) if recipe else []

    def require(self, methods: Iterable[str]) -> None:
        """Refuse choices for methods that are not among ``methods``.

        Raises:
            UserError: names such a choice.
        """
        methods = list(dict.fromkeys(methods))
        for method in self._chosen:
            if not method and len(methods) > 1:
                raise UserError("--reported: say whose the recipe is, METHOD=RECIPE; the methods "
                                f"are {', '.join(methods)}")
            if method and method not in methods:
                raise UserError(f"--reported: {method} has no scores; {nearest(method, methods)}")

    def of_rows(self, rows: Iterable[Row]) -> dict[str, Recipe]:
        """Method → recipe, of those methods that have one."""
        origins: dict[str, dict | None] = {}
        for row in rows:
            origins[row["method"]] = origins.get(row["method"]) or row.get("origin")
        return {method: recipe for method, origin in origins.items()
                if (recipe := self.of(method, origin))}


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
