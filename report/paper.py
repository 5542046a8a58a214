"""``python -m report table --layout paper``: which rows and columns a paper's table has.

``paper_rows`` has what stands in it, and ``paper_formats`` writes it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data.catalog import canonical, same_set
from metrics import MEASURES
from scoring.scores import Row, measures_of
from utils.errors import UserError, nearest
from utils.recipes import recipe_path
from utils.schema import ReportedNumber

from .labels import Label, read_labels
from .paper_rows import (
    PaperRow,
    PaperTable,
    leave_out_unscored,
    mark,
    of_recipe,
    of_scores,
    require_numbers,
    require_whole,
)
from .protocols import PROTOCOLS
from .recipes import Recipe, Recipes

LAYOUTS = ("report", "paper")
COLUMNS = ("maxF", "wF", "Sm", "MAE")
_DIGITS = (2, 6)
_VENUE = re.compile(r",\s*([^,]+\s(?:19|20)\d\d)(?:,|$)")
#: Options that the other layout does not take, with their defaults.
_OWN = {"columns": None, "published": None, "venue": None, "digits": 3, "allow_partial": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``report table`` that are of this layout."""
    add = parser.add_argument
    add("--layout", choices=LAYOUTS, default="report",
        help="paper: one table for a paper, methods × (sets × measures), saved as .tex, .md, .csv "
             "or .xlsx (default: report, all tables)")
    add("--sets", nargs="+", action="extend", dest="data", metavar="SET", help="the same as --data")
    add("--columns", nargs="+", action="extend", metavar="MEASURE",
        help=f"of --layout paper: the measures of each set (default: {' '.join(COLUMNS)})")
    add("--published", nargs="+", action="extend", metavar="RECIPE[=LABEL]",
        help="of --layout paper: rows of the numbers that recipes report, marked with †; they "
             "stand before those of --methods, and without these alone")
    add("--venue", nargs="+", action="extend", metavar="NAME=TEXT",
        help="of --layout paper: where a method or recipe of a row was published (default: as its "
             "recipe says); --venue none leaves the column out")
    add("--digits", type=int, default=_OWN["digits"], metavar="N",
        help="of --layout paper: digits after the point (default: 3)")
    add("--allow-partial", action="store_true",
        help="of --layout paper: show scores of a part of a set's images too, marked with ‡")


def require_layout(args: argparse.Namespace) -> None:
    """Refuse options that the chosen layout does not take.

    Raises:
        UserError: names such an option.
    """
    if args.layout == "paper":
        if args.closest:
            raise UserError("--closest is a table of its own; leave --layout paper out")
        return
    for name, default in _OWN.items():
        if getattr(args, name) != default:
            raise UserError(f"--{name.replace('_', '-')} is an option of --layout paper; give that "
                            "too")


def paper_table(args: argparse.Namespace, rows: Sequence[Row]) -> PaperTable:
    """The table that the command line asks for, of the rows of ``results/scores.json``.

    Raises:
        UserError: names that are unknown, nothing to show, or scores of a part of the images that
            are not asked for.
    """
    low, high = _DIGITS
    if not low <= args.digits <= high:
        raise UserError(f"--digits {args.digits}: tables have {low} to {high}")
    scored = _methods(args, rows)
    recipes = {label.name: (label, Recipe(recipe_path(label.name)))
               for label in read_labels("--published", args.published or ())}
    reported = [number for _, recipe in recipes.values() for number in recipe.reported]
    mine = [row for row in rows if row["profile"] == args.profile
            and row["method"] in {label.name for label in scored}]
    sets = _sets(args.data, [row["dataset"] for row in mine], [n.dataset for n in reported])
    measures = _measures(args.columns, mine, reported)
    named = Recipes(args.reported)
    named.require([label.name for label in scored])
    venues = _venues(args.venue, [*recipes, *(label.name for label in scored)])
    table = PaperTable(args.profile, sets, measures, [])
    for name, (label, recipe) in recipes.items():
        if not label.given:
            label = Label.plain(name, (recipe.paper or recipe.name).partition(",")[0])
        row = PaperRow(label, venues.get(name, venue_of(recipe.paper)), True)
        table.rows.append(of_recipe(row, table, recipe, args.digits))
    for label in scored:
        # The recipe that made the maps says nothing of where this method was published.
        recipe = named.of(label.name, None)
        row = PaperRow(label, venues.get(label.name, venue_of(recipe.paper) if recipe else ""),
                       False)
        table.rows.append(of_scores(row, table, mine, args.digits))
    if args.venue == ["none"]:
        table.rows = [replace(row, venue="") for row in table.rows]
    if not args.methods:
        leave_out_unscored(table)
    require_whole(table, args.allow_partial)
    require_numbers(table)
    mark(table)
    return table


def venue_of(paper: str) -> str:
    """Where a recipe's paper was published, ``CVPR 2019``; empty where that does not stand there.

    Args:
        paper: such as "CPD-VGG, CVPR 2019, arXiv 1904.08739".
    """
    match = _VENUE.search(paper)
    return match[1].strip() if match else ""


def _methods(args: argparse.Namespace, rows: Sequence[Row]) -> list[Label]:
    """The methods that were scored and are to be shown: without ``--methods`` all, but where rows
    of published numbers were asked for alone."""
    profiles: dict[str, list[str]] = {}
    for row in rows:
        profiles.setdefault(row["method"], []).append(row["profile"])
    known = [name for name, own in profiles.items() if args.profile in own]
    labels = read_labels("--methods", args.methods or ([] if args.published else known), profiles)
    for label in labels:
        if label.name not in profiles:
            where = f"; {nearest(label.name, profiles)}" if profiles else ""
            raise UserError(f"--methods {label.name}: no scores of it are kept{where}; --published "
                            "RECIPE shows the numbers that a recipe reports")
        if label.name not in known:
            raise UserError(f"--methods {label.name}: no scores under the profile {args.profile}; "
                            f"--profile shows those under {', '.join(set(profiles[label.name]))}")
    if not labels and not args.published:
        raise UserError("there are no scores to make a table of; score some maps first, or name "
                        "recipes with --published")
    return labels


def _sets(given: Sequence[str] | None, scored: Sequence[str],
          reported: Sequence[str]) -> list[str]:
    known = list(dict.fromkeys([*scored, *reported]))
    if not given:
        return list(dict.fromkeys(scored or reported))
    names = [canonical(Path(spec).name) for spec in given]
    for name in names:
        if not any(same_set(name, each) for each in known):
            raise UserError(f"--sets {name}: no row has numbers on it; {nearest(name, known)}")
    return list(dict.fromkeys(names))


def _measures(given: Sequence[str] | None, rows: Sequence[Row],
              reported: Sequence[ReportedNumber]) -> list[str]:
    published = {PROTOCOLS[number.protocol].measure(number.measure) for number in reported}
    known = list(dict.fromkeys([*measures_of(rows), *published]))
    if not given:
        return [name for name in COLUMNS if name in known] or known
    every = [column for measure in MEASURES.values() for column in measure.columns]
    for name in given:
        if name not in known:
            why = f"no row has it; eval.py --measures scores it; those that rows have: " \
                  f"{', '.join(known)}" if name in every else nearest(name, known)
            raise UserError(f"--columns {name}: {why}")
    return list(dict.fromkeys(given))


def _venues(words: Sequence[str] | None, known: Sequence[str]) -> dict[str, str]:
    venues = {}
    for word in words or () if words != ["none"] else ():
        name, equals, text = word.rpartition("=") if word.rpartition("=")[0] in known \
            else word.partition("=")
        if not equals:
            raise UserError(f"--venue {word}: give NAME=TEXT, such as {known[0]}='CVPR 19'")
        if name not in known:
            raise UserError(f"--venue {word}: no row is of {name}; {nearest(name, known)}")
        venues[name] = text
    return venues
