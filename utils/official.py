"""The weights that others publish for a network, as its recipe's ``official`` lists them.

They are not downloaded: most lie where a browser has to confirm, and their licences are the
reader's to accept. What is missing is named with its publisher, address and licence.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from .choices import PUBLISHERS
from .config import load_config
from .errors import UserError
from .files import sha256_of
from .paths import CHECKPOINTS


def official_file(recipe: str, folder: Path | None = None) -> Path:
    """The first file of a recipe's official weights that is here, compared with its SHA-256 where
    that is known.

    Args:
        recipe: as ``load_config`` takes it.
        folder: where it lies, under its own name; else ``checkpoints/``, where files that are named
            alike have a folder each.

    Raises:
        UserError: nobody publishes any, none is here, or it is another file.
    """
    entries = load_config(recipe).official
    published = [entry for entry in entries if entry.by != "none"]
    if not published:
        known = f"no published weights of {recipe} are known" if entries else \
            f"{recipe} lists no official weights (official: see docs/configuration.md)"
        notes = "".join(f"; {entry.note}" for entry in entries if entry.note)
        raise UserError(f"{known}{notes}. Train them (python train.py --config {recipe}), or give "
                        "a file of weights to test.py with --checkpoint instead of --official.")
    if folder is not None and not folder.is_dir():
        raise UserError(f"--checkpoint {folder} is no folder. With --official it names the folder "
                        "of the file; a file of any name runs without --official.")
    places = [(entry, CHECKPOINTS / entry.file if folder is None else
               folder / Path(entry.file).name) for entry in published]
    for entry, path in places:
        if path.is_file():
            _require_digest(path, entry)
            return path
    fetch = "Fetch this file and save it under this name" if len(places) == 1 else \
        "Fetch one of these files and save it under its name"
    title = (f"the official weights of {recipe} are not here. {fetch}; test.py with --checkpoint "
             "FOLDER looks into another folder:")
    raise UserError("\n".join([title, *(_described(entry, path) for entry, path in places)]))


def _described(entry: DictConfig, path: Path) -> str:
    """Where a file belongs, where it is from, by whom and under which licence."""
    lines = {"file": path, "from": entry.url, "by": PUBLISHERS[entry.by],
             "licence": entry.licence, "SHA-256": entry.sha256, "note": entry.note}
    return "\n".join(f"  {title + ':':9}{text}" for title, text in lines.items() if text)


def _require_digest(path: Path, entry: DictConfig) -> None:
    """Raise a UserError if the file is not the published one, where its SHA-256 is known."""
    if entry.sha256 and (digest := sha256_of(path)) != entry.sha256:
        raise UserError(f"{path} is not the file that {PUBLISHERS[entry.by]} publish at "
                        f"{entry.url}: its SHA-256 is {digest}, theirs {entry.sha256}. Fetch it "
                        "again; without --official it runs as it is.")
