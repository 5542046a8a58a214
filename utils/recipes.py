"""The recipes in configs/, and words that name them."""

from __future__ import annotations

from pathlib import Path

from .errors import UserError, nearest
from .paths import CONFIGS


def recipe_path(word: str | Path) -> Path:
    """The file of a recipe, which is named by its path or, in configs/, without folder and suffix.

    Raises:
        UserError: no recipe of that name. Whether a file is there is seen when it is read.
    """
    path, recipes = Path(word), _recipes()
    if str(word) in recipes:
        return recipes[str(word)]
    if path.parent != Path() or path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    raise UserError(f"{str(word)!r}: no such recipe in configs/; {nearest(str(word), recipes)}")


def is_recipe(word: str | Path) -> bool:
    """Whether a word names a recipe in configs/ or a recipe's file, and no other file or folder."""
    return str(word) in _recipes() or Path(word).suffix in (".yaml", ".yml")


def recipe_names() -> list[str]:
    """The recipes in configs/, without folder and suffix."""
    return list(_recipes())


def _recipes() -> dict[str, Path]:
    return {path.relative_to(CONFIGS).with_suffix("").as_posix(): path
            for path in sorted(CONFIGS.rglob("*.yaml"))}
