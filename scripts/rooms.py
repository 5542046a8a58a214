"""Draw which room imports from which, as docs/rooms.svg.

    python -m scripts.rooms

The arrows are read from the code. tests/test_rooms.py holds them to ``LEVELS``, and the picture to
the code.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import jinja2

from utils.paths import DOCS, ROOT

#: The rooms from the ground up: packages, scripts, and a package's ``__main__`` that stands above
#: it. A room imports from lower levels alone.
LEVELS = (("utils",), ("data", "losses", "metrics"), ("model",), ("engine",), ("scoring",),
          ("report",), ("train", "test", "eval", "export", "metrics/__main__"),
          ("reproduce", "hubconf", "benchmarks", "scripts"))
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
#: Rooms that stand on less than their level allows.
STANDS_ON = {"metrics": (), "model": ("losses", "utils")}
PICTURE = DOCS / "rooms.svg"
LEFT, BOX, ROW = 60, 630, 46  # of the picture: margin, width of a box, height of a row


def files(room: str) -> list[Path]:
    """The Python files of a package, without those that are rooms of their own, or of a script."""
    folder, script = ROOT / room, ROOT / f"{room}.py"
    if not folder.is_dir():
        return [script] * script.is_file()
    return sorted(set(folder.rglob("*.py")) - {ROOT / f"{name}.py" for name in LEVEL})


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute names that a file imports and their lines: at the top, inside functions, for type
    checkers, and by ``import_module("name")``."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[:len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args \
                and isinstance(node.args[0], ast.Constant) \
                and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield str(node.args[0].value), node.lineno


def arrows() -> list[tuple[str, str]]:
    """Which room imports from which other room."""
    return sorted({(room, target) for room in LEVEL for path in files(room)
                   for name, _ in imports(path)
                   if (target := name.partition(".")[0]) in LEVEL and target != room})


def may_import(room: str, target: str) -> bool:
    """``tests`` is above all rooms."""
    level = LEVEL.get(target, len(LEVELS))
    return target in STANDS_ON[room] if room in STANDS_ON else level < LEVEL[room]


def purpose(room: str) -> str:
    """What the room's docstring says first."""
    package = ROOT / room / "__init__.py"
    path = package if package.is_file() else next(iter(files(room)), None)
    text = (path and ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))) or ""
    return text.partition("\n")[0].partition(". ")[0].rstrip(".")


def draw() -> str:
    """The picture as SVG: a column of rooms, an arc to each room that one imports from. Arcs run
    down on the right; one that runs up would run on the left, in red."""
    column = [room for rooms in reversed(LEVELS) for room in sorted(rooms)]
    boxes = {room: {"name": room, "text": purpose(room), "y": ROW * number + 8,
                    "level": LEVEL[room]} for number, room in enumerate(column)}
    arcs = []
    for room, target in arrows():
        down = may_import(room, target)
        rows = abs(column.index(target) - column.index(room))
        side, out = (LEFT + BOX, 16 + 17 * rows) if down else (LEFT, -16 - 17 * rows)
        # Arcs leave in the lower half of a box, the longest lowest, and arrive in the upper half.
        start = boxes[room]["y"] + ROW * 0.4 + rows
        end = boxes[target]["y"] + ROW * 0.3 - rows
        arcs.append({"title": f"{room} imports from {target}", "down": down,
                     "path": f"M{side},{start:.0f} C{side + out},{start:.0f} "
                             f"{side + out},{end:.0f} {side},{end:.0f}"})
    page = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE)
    return page.render(boxes=boxes.values(), arcs=arcs, left=LEFT, box=BOX, row=ROW,
                       width=LEFT + BOX + 230, height=ROW * len(column) + 8)


TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ width }} {{ height }}" \
font-family="sans-serif" fill="#1f2933">
<rect width="100%" height="100%" fill="white"/>
<marker id="head" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="7" markerHeight="7" \
markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0 L6,3 L0,6 z" fill="#627d98"/></marker>
{% for arc in arcs %}
<path d="{{ arc.path }}" fill="none" stroke="{{ '#829ab1' if arc.down else '#c81e1e' }}" \
marker-end="url(#head)"><title>{{ arc.title }}</title></path>
{% endfor %}
{% for b in boxes %}
<rect x="{{ left }}" y="{{ b.y }}" width="{{ box }}" height="{{ row - 8 }}" rx="5" \
fill="{{ '#f0f4f8' if b.level % 2 else '#e3ecf5' }}" stroke="#486581"/>
<text x="{{ left + 10 }}" y="{{ b.y + 23 }}" font-size="13" font-weight="bold">{{ b.name }}</text>
<text x="{{ left + 136 }}" y="{{ b.y + 23 }}" font-size="11">{{ b.text }}</text>
{% endfor %}
</svg>
"""


def main() -> int:
    PICTURE.write_text(draw(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
