"""Sheets of ``python -m report explain`` on the pages of the images that they are of."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from data import decode_image
from utils.errors import UserError, nearest, note_once
from utils.files import sha256_of
from utils.origin import origin_of

from ..explain.about import About, read_about
from ..methods import Method, SetScores

_QUALITY = 85  # of JPEG: sheets have small text

#: Data set and method → image → its sheet.
Shown = Mapping[tuple[str, str], Mapping[str, "Sheet"]]


@dataclass(frozen=True)
class Sheet:
    """A sheet for the page of an image.

    Attributes:
        size: width and height in pixels.
        doubt: why the method's map may have been made otherwise; empty where it was not.
    """

    path: Path
    about: About
    size: tuple[int, int]
    doubt: str = ""

    def picture(self) -> bytes:
        """As JPEG of the same size, since its text is small already."""
        file = io.BytesIO()
        decode_image(self.path).save(file, "JPEG", quality=_QUALITY)
        return file.getvalue()


class Sheets:
    """The sheets that --explain names.

    Args:
        choices: ``METHOD=FOLDER``, or ``FOLDER`` for the method that the folder is called like.

    Raises:
        UserError: no such folder, a file that is no sheet, or two folders for one method.
    """

    def __init__(self, choices: Sequence[str] = ()):
        self._of: dict[str, list[Sheet]] = {}
        for choice in choices:
            method, folder = _parted(choice)
            paths = sorted(folder.rglob("*.png"))
            if not paths:
                raise UserError(f"--explain {choice}: no sheets (.png) in {folder}; python -m "
                                "report explain makes them")
            if method in self._of:
                raise UserError(f"--explain {choice}: {method} has another folder already")
            self._of[method] = [Sheet(path, *read_about(path)) for path in paths]

    def shown(self, sets: Sequence[SetScores]) -> Shown:
        """Those of images of these sets, by the images' contents, as two sets may have an image of
        one name.

        Raises:
            UserError: a folder is for none of the methods or of none of the images, or a sheet is
                of other weights than the method's maps.
        """
        methods = list(dict.fromkeys(method.name for scores in sets for method in scores.methods))
        for name in self._of:
            if name not in methods:
                raise UserError(f"--explain: {name} is no method of the page; "
                                f"{nearest(name, methods)}; say whose the sheets are, "
                                "METHOD=FOLDER")
        shown: dict[tuple[str, str], dict[str, Sheet]] = {}
        digests = {scores.name: _digests(scores) for scores in sets} if self._of else {}
        for scores in sets:
            for method in scores.methods:
                shown[scores.name, method.name] = {
                    name: _judged(sheet, method) for sheet in self._of.get(method.name, ())
                    for name in digests[scores.name].get(sheet.about.image, ())}
        for name, sheets in self._of.items():
            paths = {sheet.path for (_, method), images in shown.items() if method == name
                     for sheet in images.values()}
            if not paths:
                raise UserError(f"--explain: no sheet of {name}, of {len(sheets)} in its folder, "
                                "is of an image of the page; photos are recognised by contents")
            if len(paths) < len(sheets):
                note_once(f"--explain: {len(paths)} of {len(sheets)} sheets of {name} are shown; "
                          "the others are of no image of the page, or of one that has another")
        return shown


def _parted(choice: str) -> tuple[str, Path]:
    """Method and folder; either may have a ``=`` in its name."""
    cuts = [place for place, letter in enumerate(choice) if letter == "="]
    for method, name in [("", choice), *((choice[:cut], choice[cut + 1:]) for cut in cuts)]:
        if name and Path(name).is_dir():
            return method or Path(name).resolve().name, Path(name)
    raise UserError(f"--explain {choice}: no such folder; expected FOLDER or METHOD=FOLDER")


def _digests(scores: SetScores) -> dict[str, list[str]]:
    """SHA-256 of a photo's file → names of the images that it is."""
    names: dict[str, list[str]] = {}
    for pair in scores.pairs:
        if pair.image:
            with suppress(OSError):  # scoring has listed it
                names.setdefault(sha256_of(pair.image), []).append(pair.name)
    return names


def _judged(sheet: Sheet, method: Method) -> Sheet:
    """A sheet with what is doubtful about its being of the method's maps, which is printed."""
    maps, about = method.scored.job.maps, sheet.about
    origin = origin_of(maps)
    if origin is None:
        doubt = "which weights the maps are of is not recorded, and may be others"
    elif origin.get("sha256") != about.sha256:
        raise UserError(f"--explain: {sheet.path} is of the weights {about.sha256[:10]}, and the "
                        f"maps in {maps} are of {str(origin.get('sha256'))[:10]} "
                        f"({origin.get('checkpoint')}); make the sheets of {method.name} anew with "
                        "python -m report explain")
    elif origin.get("kept"):
        doubt = "some of the maps are of earlier weights or settings"
    elif origin.get("settings") != about.settings:
        doubt = "the maps are of the same weights, with other settings (key=value words)"
    else:
        return sheet
    note_once(f"--explain: {method.name} on {method.scored.job.dataset}: {doubt}; the page says so")
    return replace(sheet, doubt=doubt)
