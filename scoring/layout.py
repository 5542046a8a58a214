"""Which folders hold maps of which method and set: ``<method>/<set>/`` or ``<set>/<method>/``."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from data.catalog import locate, lookup, same_set
from data.listing import list_images
from utils.errors import UserError, nearest
from utils.origin import origin_of

#: Set → the folder of a method's maps of it.
Folders = dict[str, Path]
#: Where test.py writes the maps of its --input: they have no ground truth.
INPUT = "input"


def methods_in(pred: Path, data: Sequence[str], root: Path,
               names: Sequence[str] | None = None) -> list[tuple[str, Folders]]:
    """The methods whose maps lie in ``pred``, each with its folders of maps.

    Args:
        pred: holds ``<method>/<set>/``, ``<set>/<method>/``, or is a method's own folder.
        data: names of sets that are asked for.
        root: where the data sets lie; a folder is a set's if the set is known or lies there.
        names: only these methods, in this order: of ``pred``, or folders anywhere.

    Raises:
        UserError: no such folder or method; both orders are possible.
    """
    if names is None:
        require_folder(pred, "--pred")
        return list(_methods(pred, data, root).items())
    all_there = all((pred / name).is_dir() for name in names)
    methods = {} if all_there or not pred.is_dir() else _methods(pred, data, root)
    chosen = []
    for name in names:
        folder = next(filter(Path.is_dir, (pred / name, Path(name))), None)
        if name in methods:
            chosen.append((name, methods[name]))
        elif folder is not None:
            chosen.append(_method(folder))
        else:
            known = nearest(name, methods) if methods else ""
            raise UserError(f"method {name}: neither {pred / name} nor {name} is a folder; "
                            f"{known}".rstrip("; "))
    return chosen


def _methods(pred: Path, data: Collection[str], root: Path) -> dict[str, Folders]:
    def is_set(name: str) -> bool:
        return (lookup(name) is not None or any(same_set(name, Path(spec).name) for spec in data)
                or ((root / name).is_dir() and _has_pairs(name, root)))

    folders = list(subfolders(pred))
    sets = [folder for folder in folders if is_set(folder.name)]
    inner = {folder: [path for path in subfolders(folder) if path.name != INPUT]
             for folder in sets}
    if sets and (any(map(_holds_files, sets)) or not any(inner.values())):
        return dict([_method(pred)])
    methods = dict(_method(folder) for folder in folders if folder not in sets)
    for folder in sets:
        if strange := [path.name for path in inner[folder] if is_set(path.name)]:
            raise UserError(
                f"{folder} may be the maps of a method on the set {strange[0]}, or those of a set "
                f"by the method {strange[0]}: both names are sets'. Score it with --pred "
                f"{folder / strange[0]} --gt MASKS --name METHOD --set SET")
        for path in inner[folder]:
            methods.setdefault(path.name, {})[folder.name] = path
    if sets:
        print(f"note: {pred} is read as <set>/<method>/ for the sets "
              f"{', '.join(folder.name for folder in sets)}", file=sys.stderr)
    return methods


def _has_pairs(name: str, root: Path) -> bool:
    try:
        return bool(locate(name, root).pairs)
    except UserError:
        return False


def _holds_files(folder: Path) -> bool:
    """Whether a folder that has a set's name holds its maps, maybe in subfolders, as of test.py."""
    return bool(list_images(folder)) or origin_of(folder) is not None


def _method(folder: Path) -> tuple[str, Folders]:
    return folder.absolute().name, {path.name: path for path in subfolders(folder)}


def subfolders(folder: Path) -> Iterator[Path]:
    """Folders in ``folder`` that may hold maps."""
    return (path for path in sorted(folder.iterdir())
            if path.is_dir() and not path.name.startswith(("_", ".")))


def map_folder(method: str, folders: Folders, dataset: str) -> Path | None:
    """A method's folder of maps of a set, under any of the names that people use for the set.

    Raises:
        UserError: there are several.
    """
    names = [name for name in folders if same_set(name, dataset)]
    if len(names) > 1:
        raise UserError(f"{method}: several folders hold maps of {dataset} "
                        f"({', '.join(names)}); leave one")
    return folders[names[0]] if names else None


def require_folder(path: Path, option: str) -> None:
    """Raises:
        UserError: ``path``, which an option names, is no folder.
    """
    if not path.is_dir():
        raise UserError(f"{option} {path}: this is a file; name the folder that it lies in"
                        if path.exists() else f"folder not found: {path}")
