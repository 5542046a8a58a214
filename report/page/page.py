"""The report: one HTML file that needs neither server nor network."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from markupsafe import Markup

from metrics import PROFILES
from metrics.protocols import lower_is_better
from scoring.scores import measures_of
from utils.errors import UserError

from ..curves import draw_set, inline_svg
from ..methods import Method, ScoredSet
from ..reproduction import compare_with_papers, comparison_sheets
from ..sheets import Sheet
from ..standings import marks
from ..tables import images_text
from .thumbnails import Pictures, make_pictures

#: Bytes of pictures, as they stand in the page, up to which they are put into it. With tables and
#: curves it stays under 60 MB then.
EMBED_LIMIT = 55_000_000
_PICTURE = re.compile(r"\d+-(image|truth|\d+)\.jpg")


class PictureStore:
    """Where the pictures go: into the page, or into a folder beside it.

    They are kept in memory until they are too many for a page, then all are written.

    Args:
        folder: for the pictures, should there be too many.
        limit: bytes of base64 that the page may hold.
    """

    def __init__(self, folder: Path, limit: int = EMBED_LIMIT):
        self.folder = folder
        self.limit = limit
        self.bytes = 0
        self.embedded = True
        self._kept: dict[str, dict[str, bytes]] = {}
        self._new = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")

    def add(self, set_number: int, image_number: int, files: dict[str, bytes]) -> None:
        """Take the pictures of an image."""
        self._kept[f"{set_number}/{image_number}"] = files
        self.bytes += sum(map(len, files.values()))
        if self.bytes * 4 / 3 > self.limit:
            self.embedded = False
        if not self.embedded:
            self._spill()

    def _spill(self) -> None:
        for key, files in self._kept.items():
            for kind, content in files.items():
                path = self._new / f"{key}-{kind}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        self._kept.clear()

    def blocks(self) -> Iterator[tuple[str, Markup]]:
        """Of a page that holds its pictures: the id of each image's block, and its JSON."""
        for key, files in self._kept.items():
            encoded = {kind: base64.b64encode(content).decode() for kind, content in files.items()}
            yield f"pictures-{key}", Markup(json.dumps(encoded, separators=(",", ":")))

    def finish(self) -> None:
        """Put the folder in place of an earlier one, or remove that where it is not needed."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        if not self.embedded:
            self._new.replace(self.folder)

    def discard(self) -> None:
        """Remove what was written and is not in place."""
        shutil.rmtree(self._new, ignore_errors=True)


def require_own(folder: Path) -> None:
    """See that a folder which is going to be replaced holds nothing but a report's pictures.

    Raises:
        UserError: it holds something else.
    """
    if not folder.exists():
        return
    strange = [path for path in folder.rglob("*")
               if not path.is_dir() and not _PICTURE.fullmatch(path.name)]
    if strange or not folder.is_dir():
        raise UserError(f"{folder} would be replaced by the report's pictures, but holds "
                        f"{(strange or [folder])[0]}; move it, or give the page another name")


@dataclass
class PageSet:
    """What the page says of a data set, beside the pictures."""

    name: str
    rows: list[dict]
    figures: list[dict]
    data: dict
    problems: list[dict] = field(default_factory=list)


def write_page(path: Path, sets: Sequence[ScoredSet], profile: str, longer: int,
               limit: int = EMBED_LIMIT) -> PictureStore:
    """Write the page and, when there are too many pictures for it, ``_<stem>/`` beside it.

    Args:
        longer: of a picture, the longer side in pixels.

    Raises:
        UserError: the folder beside it is taken.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    store = PictureStore(path.with_name(f"_{path.stem}"), limit)
    require_own(store.folder)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        described = [_describe(number, found, profile, longer, store)
                     for number, found in enumerate(sets)]
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            filling = context(described, paper_sheets(sets), profile, store)
            for part in _template().generate(filling):
                file.write(part)
        store.finish()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        store.discard()
    return store


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("page.html")


def context(sets: Sequence[PageSet], papers: Sequence[Sheet], profile: str,
            store: PictureStore) -> dict:
    """What the template is filled with."""
    measures = list(dict.fromkeys(name for found in sets for row in found.rows
                                  for name in row["cells"]))
    return {
        "sets": sets, "papers": papers, "profile": PROFILES[profile],
        "measures": [{"name": name, "lower": lower_is_better(name)} for name in measures],
        "methods": list(dict.fromkeys(row["method"] for found in sets for row in found.rows)),
        "data": {"sets": [found.data for found in sets],
                 "folder": None if store.embedded else store.folder.name},
        "blocks": store.blocks()}


def paper_sheets(sets: Sequence[ScoredSet]) -> list[Sheet]:
    """For each method with a recipe: the paper's numbers on these sets, ours, the difference."""
    methods = [method for found in sets for method in found.given if method.recipe]
    rows = [row for method in methods for row in (method.row, *method.elsewhere)]
    compared = compare_with_papers(rows, {method.name: method.recipe for method in methods})
    return comparison_sheets([one for one in compared if one.row is not None])


def _describe(number: int, found: ScoredSet, profile: str, longer: int,
              store: PictureStore) -> PageSet:
    """Make a set's pictures, and all that the page says of it."""
    pictures = []
    for image, made in enumerate(make_pictures(found, PROFILES[profile], longer)):
        store.add(number, image, made.files)
        made.files = dict.fromkeys(made.files, b"")  # which there are; the store has them
        pictures.append(made)
    areas = {pair.name: made.area for pair, made in zip(found.pairs, pictures, strict=True)
             if made.area is not None}
    figures = [{"title": drawn.title, "text": drawn.text, "key": drawn.key,
                "svg": Markup(inline_svg(drawn, f"{number} {drawn.key}"))}
               for drawn in draw_set(found, areas)]
    problems = [{"method": method.name, "lines": method.problems}
                for method in found.methods if method.problems]
    problems += [{"method": name, "lines": [f"no maps of {found.name}"]} for name in found.absent]
    return PageSet(found.name, summary_rows(found), figures, gallery_data(found, pictures),
                   problems)


def summary_rows(found: ScoredSet) -> list[dict]:
    """A row for each method: its texts, and cells by measure with a ``mark`` on the best and the
    second best value of the set, as they are printed. Methods that lack images have none, and
    those that have no maps of the set no cells."""
    whole = [method for method in found.given if method.row["images"] == method.row["expected"]]
    found_marks = {name: marks({method.name: f"{method.row[name]:.4f}" for method in whole}, name)
                   for name in measures_of([method.row for method in whole])}
    rows = []
    for method in found.methods:
        cells = {name: {"value": method.row[name], "text": f"{method.row[name]:.4f}",
                        "mark": found_marks.get(name, {}).get(method.name, "")}
                 for name in measures_of([method.row])}
        rows.append({"method": method.name, "images": images_text(method.row),
                     "count": method.row["images"], "cells": cells,
                     "whole": method.row["images"] == method.row["expected"]})
    rows += [{"method": name, "images": f"0/{len(found.pairs)}", "count": 0, "cells": {},
              "whole": False} for name in found.absent]
    return rows


def gallery_data(found: ScoredSet, pictures: Sequence[Pictures]) -> dict:
    """What the gallery sorts and filters by; lists go over the images in the set's order.

    ``scores`` and ``reasons`` hold a list for each method: an image's numbers (``measures``), or
    why there are none.
    """
    first = next((row for method in found.methods
                  for row in method.evaluator.per_image.values()), {})
    measures = list(first)
    names = [pair.name for pair in found.pairs]
    return {
        "name": found.name, "methods": [method.name for method in found.methods],
        "measures": [{"name": name, "lower": lower_is_better(name)} for name in measures],
        "names": names, "sizes": [made.size for made in pictures],
        "areas": [None if made.area is None else round(made.area, 4) for made in pictures],
        "pictures": [list(made.files) for made in pictures],
        "scores": [[_numbers(method, name, measures) for name in names]
                   for method in found.methods],
        "reasons": [{str(i): why for i, name in enumerate(names) if (why := method.why_not(name))}
                    for method in found.methods]}


def _numbers(method: Method, name: str, measures: Sequence[str]) -> list[float | None] | None:
    row = method.evaluator.per_image.get(name)
    if row is None:
        return None
    return [round(row[measure], 4) if math.isfinite(row[measure]) else None
            for measure in measures]
