"""``python -m report attributes``: which attributes of images cost which method most."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from metrics import CORE, PROFILES
from utils.errors import UserError, counted, list_problems, nearest
from utils.files import written_whole

from ..methods import Method, SetScores
from ..table import require_format
from ..tables import csv_text, print_table, require_own_files, write, write_all
from .analysis import advantages, correlations, group_means
from .kept import FOLDER, SetAttributes, file_stem, kept_path, read_attributes
from .output import (
    FORMATS,
    STRONGEST,
    Report,
    attribute_rows,
    correlations_tables,
    differences_table,
    group_tables,
    printed,
    strongest_table,
)

FIGURES = ("pdf", "png", "svg")
MEASURES = ("MAE", "maxF", "Sm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options; those that choose maps are added to those of ``page``."""
    add = parser.add_argument
    add("--measures", nargs="+", action="extend", metavar="NAME",
        help="columns of scores, of single images, that are printed and drawn; CSV and JSON have "
             f"all (default: {' '.join(MEASURES)})")
    add("--compare", nargs=2, metavar=("A", "B"),
        help="two methods: on which images A beats B (default: the two, if there are two)")
    add("--save", nargs="+", action="extend", type=Path, metavar="FILE", default=[],
        help="write all tables: .md, .tex (booktabs), .csv or .json")
    add("--out", type=Path, default=FOLDER, metavar="DIR",
        help="folder for <set>/, attributes, tables and figures, and for <set>.json, which keeps "
             "attributes (default: results/_attributes)")
    add("--formats", nargs="*", choices=FIGURES, default=["pdf", "png"],
        help="of the figures; none for no figures (default: pdf png)")


def run(args: argparse.Namespace, score: Callable[[], tuple[list[SetScores], int]]) -> int:
    """Print the strongest attributes, and write all else; see ``add_arguments``.

    Args:
        score: scores the maps that the command line chooses, as ``score_sets`` gives them.

    Returns:
        How many scores are not given.

    Raises:
        UserError: unknown measures, methods or formats; files that cannot be written.
    """
    _require(args)
    sets, refused = score()
    _require_methods(args.compare, sets)
    taken = {kept_path(args.out, scores.name): "attributes are kept there" for scores in sets}
    require_own_files(taken, [("--save", path) for path in args.save])
    report = Report()
    for folder, scores in zip(_folders(args.out, sets), sets, strict=True):
        written = [*_tell(args, scores, folder, report)]
        taken |= dict.fromkeys(written, "a table of the set is written there")
        kinds = sorted({path.suffix for path in written})
        print(f"{folder}/: {counted(len(written), 'file')} ({', '.join(kinds)})")
    require_own_files(taken, [("--save", path) for path in args.save])
    if failures := write_all((path, FORMATS[path.suffix.lower()](report)) for path in args.save):
        raise UserError("\n".join(failures))
    return refused


def _require(args: argparse.Namespace) -> None:
    """Check what can be checked before anything is scored, which may take a while."""
    for path in args.save:
        require_format(path)
    require_own_files({}, [("--save", path) for path in args.save])
    profile = PROFILES[args.profile]
    known = [column for name in profile.measures if name in CORE
             for column in profile.columns(name)]
    for name in args.measures or ():
        if name not in known:
            raise UserError(f"--measures {name}: the profile {args.profile} gives single images no "
                            f"such score; {nearest(name, known)}")
    if args.compare and args.compare[0] == args.compare[1]:
        raise UserError(f"--compare {' '.join(args.compare)}: give two methods")
    if args.out.exists() and not args.out.is_dir():
        raise UserError(f"--out {args.out} is a file; name a folder")


def _require_methods(compared: Sequence[str] | None, sets: Sequence[SetScores]) -> None:
    names = list(dict.fromkeys(method.name for scores in sets for method in scores.given))
    for name in compared or ():
        if name not in names:
            raise UserError(f"--compare {name}: no scores of it are given; {nearest(name, names)}")


def _tell(args: argparse.Namespace, scores: SetScores, folder: Path,
          report: Report) -> Iterator[Path]:
    """Print and write what there is on a set; gives the files' paths."""
    attributes = _attributes(args, scores)
    yield _write(folder / "attributes.csv", csv_text(attribute_rows(attributes)))
    measures, title = _measures(args.measures, scores), scores.title
    correlated, means = [], []
    for method in scores.given:
        own = method.name, method.evaluator.per_image, attributes, _scored(scores)
        correlated += correlations(*own)
        means += group_means(*own)
    if not correlated:
        return
    yield from _records(report, scores.name, folder, {"correlations": correlated, "groups": means})
    correlated, means = _only(measures, correlated), _only(measures, means)
    print_table(strongest_table(title, correlated, means))
    report.tables += [*correlations_tables(title, correlated), *group_tables(title, means)]
    given = {method.name: method for method in scores.given}
    pair = args.compare or (list(given) if len(given) == 2 else [])
    if lacking := [method for method in pair if method not in given]:
        print(f"{scores.name}: nothing is compared, as no scores of {' and '.join(lacking)} are "
              "given")
    elif pair:
        yield from _compare(args, scores, attributes, [given[method] for method in pair], folder,
                            report)
    if args.formats:
        yield from _draw(args.formats, scores, attributes, means, folder)


def _attributes(args: argparse.Namespace, scores: SetScores) -> SetAttributes:
    start = time.perf_counter()
    kept_in = kept_path(args.out, scores.name)
    attributes = read_attributes(scores.pairs, PROFILES[args.profile], kept_in)
    kept = len(attributes.values) - attributes.computed
    print(f"{scores.title}: attributes of {len(attributes.values)} images"
          + (f", {kept} of them kept in {kept_in}" if kept else "")
          + f", {time.perf_counter() - start:.1f} s")
    if attributes.notes:
        print(list_problems(f"what attributes of {scores.name} leave out", attributes.notes))
    return attributes


def _compare(args: argparse.Namespace, scores: SetScores, attributes: SetAttributes,
             methods: Sequence[Method], folder: Path, report: Report) -> Iterator[Path]:
    """Where the first of two methods beats the second."""
    from .figures import draw_groups  # Matplotlib, which a run without figures does without

    a, b = (method.name for method in methods)
    measures, title = _measures(args.measures, scores), f"{a} against {b}"
    every = _scored(scores)
    better = advantages(*(method.evaluator.per_image for method in methods), every)
    correlated = correlations(title, better, attributes, every)
    means = group_means(title, better, attributes, every)
    if not correlated:
        print(f"{scores.name}: nothing is compared, as no image has scores of both {a} and {b}")
        return
    stem = file_stem(title)
    yield from _records(report, scores.name, folder,
                        {"difference_correlations": correlated, "difference_groups": means}, stem)
    correlated, means = _only(measures, correlated), _only(measures, means)
    shown = a, b, scores.title, len(better), correlated, means
    print_table(differences_table(*shown, STRONGEST))
    report.tables.append(differences_table(*shown))
    for measure in measures if args.formats else ():
        figure = draw_groups(scores.title, measure, means, {title: methods[0].number}, zero=True)
        yield from _figure(figure, args.formats, folder / f"{stem}_{measure}")


def _draw(kinds: Sequence[str], scores: SetScores, attributes: SetAttributes,
          means: Sequence[dict], folder: Path) -> Iterator[Path]:
    from .figures import draw_groups, draw_scatter

    numbers = {method.name: method.number for method in scores.given}
    stems = dict(zip(numbers, distinct(map(file_stem, numbers)), strict=True))
    for measure in dict.fromkeys(record["measure"] for record in means):
        yield from _figure(draw_groups(scores.title, measure, means, numbers), kinds,
                           folder / f"quartiles_{measure}")
        for method in scores.given:
            figure = draw_scatter(scores.title, method.name, method.number, measure,
                                  method.evaluator.per_image, attributes)
            yield from _figure(figure, kinds, folder / f"scatter_{stems[method.name]}_{measure}")


def _figure(figure, kinds: Sequence[str], stem: Path) -> Iterator[Path]:
    from ..curves import to_bytes

    for kind in kinds:
        path = stem.with_name(f"{stem.name}.{kind}")
        with written_whole(path, "wb") as file:
            file.write(to_bytes(figure, kind))
        yield path


def _records(report: Report, dataset: str, folder: Path, parts: dict[str, list[dict]],
             stem: str = "") -> Iterator[Path]:
    """Take records into the report, and write each part as a CSV file."""
    for part, records in parts.items():
        report.add(part, dataset, records)
        name = f"{stem}_{part.removeprefix('difference_')}" if stem else part
        yield _write(folder / f"{name}.csv", csv_text(list(map(printed, records))))


def _scored(scores: SetScores) -> list[str]:
    """The columns of scores of single images; none where no scores are given."""
    return list(next((row for method in scores.given
                      for row in method.evaluator.per_image.values()), {}))


def _measures(wanted: Sequence[str] | None, scores: SetScores) -> list[str]:
    """The chosen measures that were scored; all that were, if none of the usual ones was."""
    scored = _scored(scores)
    if wanted and (lacking := [name for name in wanted if name not in scored]) and scored:
        raise UserError(f"--measures {', '.join(lacking)}: not scored on {scores.name}, where void "
                        f"pixels are left out; known: {', '.join(scored)}")
    return [name for name in dict.fromkeys(wanted or MEASURES) if name in scored] or scored


def _only(measures: Sequence[str], records: Sequence[dict]) -> list[dict]:
    return [record for name in measures for record in records if record["measure"] == name]


def _folders(out: Path, sets: Sequence[SetScores]) -> list[Path]:
    return [out / name for name in distinct(file_stem(scores.name) for scores in sets)]


def distinct(names: Iterable[str]) -> list[str]:
    """Names of which no two are the same: a number is added to those that another has."""
    result: list[str] = []
    for name in names:
        number, own = 2, name
        while own in result:
            own, number = f"{name}_{number}", number + 1
        result.append(own)
    return result


def _write(path: Path, text: str) -> Path:
    write(path, text)
    return path
