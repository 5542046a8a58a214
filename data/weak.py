"""Where sets with scribbles lie, and how their files pair up."""

from __future__ import annotations

from pathlib import Path

from utils.errors import UserError, list_problems
from utils.paths import ROOT, folder_pair

from .catalog import IMAGE_FOLDERS, Located, lookup, read_stems, subfolder
from .edges import edge_folder
from .pairing import Pair, attach, list_images, match

SCRIBBLE_FOLDERS = ("scribbles", "scribble")
_WSSA = ("img", "gt", "mask")  # images, foreground strokes, all strokes


def find_scribbles(spec: str, root: Path, edges: str = "none") -> list[Pair]:
    """Images with their scribbles, by stem.

    Args:
        spec: a folder, under ``root`` or a path, or a name of the catalog, with an image folder
            beside ``scribbles`` or ``scribble`` (and ``train.txt`` to pick stems, as SCWSSOD has
            it), or with ``img``, ``gt`` and ``mask`` as WSSA has them; or ``IMAGES:SCRIBBLES``.
        edges: ``files`` finds an edge map for each image too, in ``edges`` or ``edge`` beside them;
            ``auto`` does if there is such a folder.

    Raises:
        UserError: not found, or files without partner, listed.
    """
    folders = None if Path(spec).expanduser().is_dir() else folder_pair(spec)
    if folders:
        images, scribbles = (ROOT / Path(name).expanduser() for name in folders)
        for folder in (images, scribbles):
            if not folder.is_dir():
                raise UserError(f"data set {spec!r}: folder not found: {folder}")
        folder, labelled = scribbles.parent, None
    else:
        folder, images, scribbles, labelled = _in_folder(spec, root)
    pairs, problems = _matched(images, scribbles, folder)
    found = {"labelled": labelled,
             "edge": edge_folder(folder, edges, "scribbles", "canny or sobel")}
    for part, within in found.items():
        pairs, more = attach(pairs, part, [within] if within else [])
        problems += more
    if problems:
        raise UserError(list_problems(f"{folder}: images and scribbles do not pair up", problems))
    if not pairs:
        raise UserError(f"{images}: no images")
    if note := Located(spec, pairs, [], lookup(spec)).count_note:
        print(f"note: {note}; going on with these")
    return pairs


def _in_folder(spec: str, root: Path) -> tuple[Path, Path, Path, Path | None]:
    """The set's folder, its images, scribbles and, in WSSA's layout, all strokes."""
    entry = lookup(spec)
    candidates = [subfolder(root, name) for name in
                  (*entry.folders, *entry.shared_folders)] if entry else []
    candidates += [path for path in (root / spec, ROOT / spec) if spec.strip() and path.is_dir()]
    own = tuple(images for images, _ in entry.layouts) if entry else ()
    for folder in filter(None, candidates):
        wssa = [subfolder(folder, name) for name in _WSSA]
        if all(wssa):
            return folder, *wssa
        images = [f for name in (*own, *IMAGE_FOLDERS) if (f := subfolder(folder, name))]
        scribbles = [f for name in SCRIBBLE_FOLDERS if (f := subfolder(folder, name))]
        if len(images) > 1 or len(scribbles) > 1:
            names = ", ".join(part.name for part in images + scribbles)
            raise UserError(f"{folder}: several folders could hold the images or the scribbles "
                            f"({names}); name the two with IMAGES:SCRIBBLES")
        if images and scribbles:
            return folder, images[0], scribbles[0], None
    tried = ", ".join(str(folder) for folder in candidates if folder) or f"nothing in {root}"
    raise UserError(
        f"no scribbles for {spec!r}: looked in {tried} for an image folder beside "
        f"{' or '.join(SCRIBBLE_FOLDERS)}, or for {', '.join(_WSSA)}. S-DUTS has them "
        "(docs/datasets.md), `python -m data scribbles` makes them of masks, and "
        "IMAGES:SCRIBBLES names two folders.")


def _matched(images: Path, scribbles: Path, folder: Path) -> tuple[list[Pair], list[str]]:
    stems = folder / "train.txt"
    chosen = read_stems(stems) if stems.is_file() else None
    files = [[path for path in list_images(part) if chosen is None or path.stem in chosen]
             for part in (images, scribbles)]
    pairs, problems = match(*files)
    if chosen is not None:
        present = {path.stem for part in files for path in part}
        problems += [f"listed in {stems}, not found: {stem}" for stem in sorted(chosen - present)]
    return [Pair(pair.name, pair.image, scribble=pair.mask) for pair in pairs], \
        [problem.replace("no mask for", "no scribble for") for problem in problems]
