"""Where sets with scribbles lie, and how their files pair up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from utils.errors import UserError, list_problems, note_once
from utils.paths import ROOT, home_expanded

from . import catalog
from .coding import with_coding
from .edges import edge_folder
from .listing import list_images
from .pairing import PLAIN, Names, Pair, attach, fit, match
from .stems import listed

SCRIBBLE_FOLDERS = ("scribbles", "scribble")
_WSSA = ("img", "gt", "mask")  # images, foreground strokes, all strokes


def find_scribbles(spec: str, root: Path, edges: str = "none",
                   names: Names = PLAIN) -> list[Pair]:
    """Images with their scribbles, by stem.

    Args:
        spec: a folder, under ``root`` or a path, or a name of the catalog, with an image folder
            beside ``scribbles`` or ``scribble`` (and ``train.txt`` to pick stems, as SCWSSOD has
            it), or with ``img``, ``gt`` and ``mask`` as WSSA has them; or ``IMAGES:SCRIBBLES``.
        edges: ``files`` finds an edge map for each image too, in ``edges`` or ``edge`` beside them;
            ``auto`` does where such a folder exists.
        names: how the folders are read; an affix is that of masks, which are not read here.

    Raises:
        UserError: no such set, or files without partner, all of which it lists.
    """
    if folders := catalog.two_folders(spec):
        (images, scribbles), labelled, folder = folders, None, folders[1].parent
    else:
        folder, images, scribbles, labelled = _in_folder(spec, root)
    photos, labels = (list_images(each, names.recursive) for each in (images, scribbles))
    fitted = fit(map(photos.name, photos), labels, "images", "scribbles")
    note_once(photos.note, labels.note, *fitted.notes)
    photos, labels, problems = listed(replace(photos, affix=fitted.affix), fitted.listing,
                                      folder / "train.txt")
    pairs, more = match(photos, labels, "scribble", fitted.explained)
    problems += fitted.problems + more
    parts = {"labelled": labelled,
             "edge": edge_folder(folder, edges, "scribbles", "canny or sobel")}
    for part, within in parts.items():
        pairs, more = attach(pairs, part, [within] if within else [], names.recursive)
        problems += more
    for part in ("edge", *(("scribble", "labelled") if labelled else ())):
        pairs = with_coding(pairs, part=part)
    if problems:
        raise UserError(list_problems(f"{folder}: images and scribbles do not pair up", problems))
    if not pairs:
        raise UserError(f"{images}: no images")
    if note := catalog.SetOnDisk(spec, pairs, [], catalog.lookup(spec)).count_note:
        print(f"note: {note}; going on with these")
    return pairs


def _in_folder(spec: str, root: Path) -> tuple[Path, Path, Path, Path | None]:
    """The set's folder, its images, scribbles and, in WSSA's layout, all strokes."""
    entry = catalog.lookup(spec)
    names = (*entry.folders, *entry.shared_folders) if entry else ()
    candidates = [path for name in names if (path := catalog.subfolder(root, name))]
    candidates += [path for parent in (root, ROOT)
                   if spec.strip() and (path := parent / home_expanded(spec)).is_dir()]
    own = [images for images, _ in entry.layouts] if entry else []
    image_names = [*own, *catalog.IMAGE_FOLDERS]
    for folder in candidates:
        wssa = [catalog.subfolder(folder, name) for name in _WSSA]
        if all(wssa):
            return folder, *wssa
        if folders := catalog.folders_beside(folder, image_names, SCRIBBLE_FOLDERS, "scribbles"):
            return folder, *folders, None
    tried = ", ".join(map(str, candidates)) or f"nothing in {root}"
    raise UserError(
        f"no scribbles for {spec!r}: looked in {tried} for an image folder beside "
        f"{' or '.join(SCRIBBLE_FOLDERS)}, or for {', '.join(_WSSA)}. S-DUTS has them "
        "(docs/datasets.md), `python -m data scribbles` makes them of masks, and "
        "IMAGES:SCRIBBLES names two folders.")
