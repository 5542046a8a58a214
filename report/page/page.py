"""The report: one HTML file that needs neither server nor network."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import jinja2
from markupsafe import Markup

from metrics import PROFILES, lower_is_better
from scoring.scores import measures_of
from utils.errors import UserError
from utils.files import written_whole

from ..attributes.kept import SetAttributes
from ..attributes.table import ATTRIBUTES, FLAG
from ..comparison import compare_with_papers, comparison_tables
from ..curves import draw_set, inline_svg
from ..methods import SetScores
from ..standings import marks
from ..tables import Table, images_text
from .sheets import Shown
from .thumbnails import Pictures, make_pictures

#: Bytes of pictures, as they stand in the page, up to which they are put into it. With tables and
#: curves it stays under 60 MB then.
EMBED_LIMIT = 55_000_000
#: Data set → its images' attributes.
Measured = Mapping[str, SetAttributes]
_PICTURE = re.compile(r"\d+-(image|truth|(explain)?\d+)\.jpg")


class PictureStore:
    """Where the pictures go: into the page, or into a folder beside it.

    They are kept in memory until they are too many for a page, then all are written.

    Args:
        folder: for the pictures that are too many for a page.
        limit: bytes of base64 that the page may hold.
    """

    def __init__(self, folder: Path, limit: int = EMBED_LIMIT):
        self.folder = folder
        self.limit = limit
        self.bytes = 0
        self._kept: dict[str, dict[str, bytes]] = {}
        self._new = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")

    @property
    def embedded(self) -> bool:
        """Whether the page can hold all pictures so far, in base64."""
        return self.bytes * 4 / 3 <= self.limit

    def add(self, set_number: int, image_number: int, files: dict[str, bytes]) -> None:
        """Take the pictures of an image."""
        self._kept[f"{set_number}/{image_number}"] = files
        self.bytes += sum(map(len, files.values()))
        if self.embedded:
            return
        for key, files in self._kept.items():
            for kind, content in files.items():
                path = self._new / f"{key}-{kind}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        self._kept.clear()

    def blocks(self) -> Iterator[tuple[str, Markup]]:
        """Id and JSON of each image's block, for a page that holds its pictures."""
        for key, files in self._kept.items():
            encoded = {kind: base64.b64encode(content).decode() for kind, content in files.items()}
            yield f"pictures-{key}", Markup(json.dumps(encoded, separators=(",", ":")))

    def finish(self) -> None:
        """Move the folder to its place; an earlier one is removed, also where none is needed."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        if not self.embedded:
            self._new.replace(self.folder)

    def discard(self) -> None:
        """Remove what was written and not moved to its place."""
        shutil.rmtree(self._new, ignore_errors=True)


def require_own(folder: Path) -> None:
    """Refuse to replace a folder that holds anything but a report's pictures.

    Raises:
        UserError: it holds something else.
    """
    strange = [path for path in folder.rglob("*")
               if not path.is_dir() and not _PICTURE.fullmatch(path.name)]
    if strange or folder.is_file():
        raise UserError(f"{folder} would be replaced by the report's pictures, but holds "
                        f"{(strange or [folder])[0]}; move it, or give the page another name")


def write_page(path: Path, sets: Sequence[SetScores], profile: str, longer: int,
               limit: int = EMBED_LIMIT, sheets: Shown = MappingProxyType({}),
               attributes: Measured = MappingProxyType({})) -> PictureStore:
    """Write the page and, when there are too many pictures for it, ``_<stem>/`` beside it.

    Args:
        longer: the longer side of a picture, in pixels.
        sheets: what ``report explain`` saw, for the images' own pages.
        attributes: to order and filter by; a set that is not among them is shown without.

    Raises:
        UserError: the folder beside it is taken.
    """
    store = PictureStore(path.with_name(f"_{path.stem}"), limit)
    require_own(store.folder)
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    try:
        parts = [_describe(number, scores, profile, longer, store, sheets)
                 for number, scores in enumerate(sets)]
        rows = [row for part in parts for row in part["rows"]]
        page = environment.get_template("page.html").stream(
            sets=parts, papers=paper_tables(sets), profile=PROFILES[profile],
            measures=_directions(dict.fromkeys(name for row in rows for name in row["cells"])),
            methods=list(dict.fromkeys(row["method"] for row in rows)),
            data={"sets": [part["data"] | {"attributes": attribute_columns(scores, attributes)}
                           for scores, part in zip(sets, parts, strict=True)],
                  "attributes": [{"name": attribute.name, "label": attribute.label,
                                  "unit": attribute.unit, "flag": attribute.kind == FLAG,
                                  "sentence": attribute.sentence}
                                 for attribute in ATTRIBUTES.values()],
                  "folder": None if store.embedded else store.folder.name},
            blocks=store.blocks())
        with written_whole(path, newline="\n", errors="backslashreplace") as file:
            page.dump(file)
            store.finish()
    finally:
        store.discard()
    return store


def _directions(measures: Iterable[str]) -> list[dict]:
    """The measures, and of which less is better."""
    return [{"name": name, "lower": lower_is_better(name)} for name in measures]


def paper_tables(sets: Sequence[SetScores]) -> list[Table]:
    """For each method with a recipe: the paper's numbers on these sets, ours, the difference."""
    methods = [method for scores in sets for method in scores.given if method.recipe]
    rows = [row for method in methods for row in (method.row, *method.elsewhere)]
    recipes = {method.name: method.recipe for method in methods}
    compared = compare_with_papers(rows, recipes)
    return comparison_tables([c for c in compared if c["images"] is not None], recipes)


def _describe(number: int, scores: SetScores, profile: str, longer: int,
              store: PictureStore, sheets: Shown) -> dict:
    """Make a set's pictures, and all that the template shows beside them."""
    pictures = []
    for image, thumbnails in enumerate(make_pictures(scores, PROFILES[profile], longer, sheets)):
        store.add(number, image, thumbnails.files)
        thumbnails.files = dict.fromkeys(thumbnails.files, b"")  # the store has their content
        pictures.append(thumbnails)
    areas = {pair.name: thumbnails.area
             for pair, thumbnails in zip(scores.pairs, pictures, strict=True)
             if thumbnails.area is not None}
    figures = [{"title": figure.title, "text": figure.text, "key": figure.key,
                "svg": Markup(inline_svg(figure, f"{number} {figure.key}"))}
               for figure in draw_set(scores, areas)]
    problems = {method.name: method.problems for method in scores.methods if method.problems}
    problems |= {name: [f"no maps of {scores.name}"] for name in scores.absent}
    return {"name": scores.name, "rows": summary_rows(scores), "figures": figures,
            "problems": problems, "data": gallery_data(scores, pictures, sheets)}


def summary_rows(scores: SetScores) -> list[dict]:
    """A row for each method: its texts, and cells by measure.

    A cell's ``mark`` is on the best and the second best value of the set, as they are printed.
    Methods that lack images have no marks, and those that have no maps of the set no cells.
    """
    whole = [method for method in scores.given if method.row["images"] == method.row["expected"]]
    marked = {name: marks({method.name: f"{method.row[name]:.4f}" for method in whole}, name)
              for name in measures_of([method.row for method in whole])}
    rows = []
    for method in scores.methods:
        row = method.row
        cells = {name: {"value": row[name], "mark": marked.get(name, {}).get(method.name, "")}
                 for name in measures_of([row])}
        rows.append({"method": method.name, "images": images_text(row), "count": row["images"],
                     "cells": cells, "whole": row["images"] == row["expected"]})
    expected = scores.methods[0].row["expected"]
    rows += [{"method": name, "images": f"0/{expected}", "count": 0, "cells": {},
              "whole": False} for name in scores.absent]
    return rows


def gallery_data(scores: SetScores, pictures: Sequence[Pictures], sheets: Shown) -> dict:
    """What the gallery sorts and filters by; lists go over the images in the set's order.

    ``scores`` and ``reasons`` hold a list for each method: an image's numbers (``measures``), or
    why it has none. ``sheets`` has what stands below an image's sheet, for each method.
    """
    measures = list(next((row for method in scores.methods
                          for row in method.evaluator.per_image.values()), {}))
    names = [pair.name for pair in scores.pairs]
    return {
        "name": scores.name, "methods": [method.name for method in scores.methods],
        "measures": _directions(measures),
        "names": names, "sizes": [thumbnails.size for thumbnails in pictures],
        "pictures": [list(thumbnails.files) for thumbnails in pictures],
        "scores": [[(row := method.evaluator.per_image.get(name)) and
                    [round(row[measure], 4) if math.isfinite(row[measure]) else None
                     for measure in measures] for name in names] for method in scores.methods],
        "reasons": [{str(i): why for i, name in enumerate(names) if (why := method.why_not(name))}
                    for method in scores.methods],
        "sheets": [{str(i): {"text": sheet.about.text, "size": sheet.size, "doubt": sheet.doubt,
                             "weights": sheet.about.sha256[:10]}
                    for i, name in enumerate(names)
                    if (sheet := sheets.get((scores.name, method.name), {}).get(name))}
                   for method in scores.methods]}


def attribute_columns(scores: SetScores, attributes: Measured) -> dict[str, list[float | None]]:
    """Attribute → its value of each image, in the set's order, to four digits.

    None is of an image that does not have it; an attribute that no image has is left out.
    """
    if scores.name not in attributes:
        return {}
    names = [pair.name for pair in scores.pairs]
    columns = {name: [float(f"{value:.4g}") if math.isfinite(value) else None
                      for value in attributes[scores.name].column(name, names)]
               for name in ATTRIBUTES}
    return {name: [int(value) if value is not None and value.is_integer() else value
                   for value in column]  # 0 is shorter than 0.0, a thousand times over
            for name, column in columns.items() if any(value is not None for value in column)}
