"""The table of networks: what each is, what it costs, and what is shown of it.

``python -m report zoo`` writes it from recipes, tests, records and measured speeds: whole as
docs/zoo.md, some of its columns between two markers of README.md. The speeds have tables of their
own in docs/performance.md, and the exports in docs/export.md.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from torch._subclasses.fake_tensor import FakeTensorMode

import model
from engine.summary import count
from utils.config import load_config
from utils.errors import UserError
from utils.option import NATIVE
from utils.origin import changes_maps
from utils.paths import CONFIGS, DOCS, ROOT
from utils.schema import sides

from . import exports, inference, speeds
from .records import differences, is_trained, read_records
from .tables import piped

DASH = "–"
#: Height and width at which networks are counted that take images of any size: those of most
#: images of the published sets.
USUAL = (300, 400)
#: What tells one reported number of a paper from the others, in a record's comparisons.
_NUMBER = ("dataset", "paper_measure", "protocol", "source")
_HEAD = f"""# The networks

`python -m report zoo` writes this page, the table in the README and those in
[performance.md](performance.md) and [export.md](export.md) from recipes, tests,
[records](reproduction.md) and [measured speeds](benchmarks.json); edit none of them. A network is
named like its recipe in `configs/`.

- *Size*: of the recipe's images, height×width. *Parameters* are all that the network has.
  *Multiply–adds*: of one image of that size, in evaluation mode, in convolutions and matrix
  products, those of LSTMs included, as torch's `FlopCounterMode` counts them (two operations are
  one). Norms, activations and resizing are not counted. Networks that take images at their own
  sizes (native) are counted at {USUAL[0]}×{USUAL[1]}.
- *Training, inference*: images a second here, as `python -m benchmarks.train` measures them, and
  the ratio to [the plain way](performance.md#training-and-inference), both *at* the given size of
  images, which is not always the recipe's. Batches and machine stand in the table there.
- *Outputs equal*: the tests hold the network's outputs against those of the released network, with
  the same weights and input. *Losses equal*: they hold the paper's losses or first training steps
  against those of the released code.
- *Official weights*: *published*: by the paper's authors; *port*: by those of the port that the
  recipe follows; *none*: by nobody, as far as is known. Then the licence of the publisher's
  repository. *File*: what `test.py --official` runs.
- *Official weights scored* and *trained here*: the days of the records, of maps made as the recipe
  says, and of runs that follow it. *Reported → here*: the paper's numbers and those of these
  records. A number does not count where nobody has verified the paper's, or ours is of other images
  than all of the published set.
- *Verified numbers*: those of the recipe's reported numbers that somebody has read in a source.
  *Within the paper*: of the numbers that were scored and count, those that some record reaches to
  the third digit.

"""


@dataclass(frozen=True)
class Entry:
    """A network, its recipe, and what was measured.

    Attributes:
        records: those of this recipe, see ``report.records``.
        counts: parameters and multiply–adds, see ``counted``.
        speed: its row of docs/benchmarks.json, see ``report.speeds``; empty without one.
    """

    name: str
    recipe: DictConfig
    records: Sequence[dict]
    counts: tuple[int, int]
    speed: Mapping

    @functools.cached_property
    def official(self) -> list[dict]:
        """The records of published weights whose maps are those of the recipe's settings."""
        return [record for record in self.records if not is_trained(record)
                and not any(map(changes_maps, differences(record)))]

    @functools.cached_property
    def trained(self) -> list[dict]:
        """The records of runs that follow the recipe."""
        return [record for record in self.records if is_trained(record)
                and not differences(record).keys() - {"test.data"}]

    @property
    def comparisons(self) -> list[dict]:
        """Reported numbers for which the records have a score."""
        return [comparison for record in self.official + self.trained
                for comparison in record["comparisons"] if comparison["ours"]]


def paper(entry: Entry) -> str:
    """The recipe's line on its paper, as a link where it ends in an arXiv number."""
    title, _, number = entry.recipe.paper.partition(", arXiv ")
    return f"[{title}](https://arxiv.org/abs/{number})" if number else title


def size(entry: Entry) -> str:
    given = entry.recipe.data.size
    return NATIVE if given == NATIVE else "×".join(map(str, sides(given)))


def speed(entry: Entry, what: str) -> str:
    """Images a second here, the ratio to the plain way, and the size of the images measured."""
    if not entry.speed:
        return DASH
    return (f"{entry.speed[what]['here']:.2f} (×{entry.speed[what]['ratio']:.2f}) at "
            f"{entry.speed['size']}")


def publication(entry: Entry) -> str:
    """Whether weights are published, and under which licence; a dash if the recipe does not
    tell."""
    listed = entry.recipe.official
    published = {f"{'port' if weights.by == 'port' else 'published'}, {weights.licence}"
                 for weights in listed if weights.by != "none"}
    return "; ".join(sorted(published)) or ("none" if listed else DASH)


def files(entry: Entry) -> str:
    return ", ".join(f"`{weights.file}`" for weights in entry.recipe.official
                     if weights.by != "none") or DASH


def dates(records: Iterable[dict]) -> str:
    """The days of records."""
    return ", ".join(sorted({record["date"][:10] for record in records})) or DASH


def verified(entry: Entry) -> str:
    reported = entry.recipe.reported
    return f"{sum(row.verified for row in reported)} of {len(reported)}" if reported else DASH


def within(entry: Entry) -> str:
    """How many of the scored numbers that count are the paper's to the third digit in some
    record."""
    reached: dict[tuple, bool] = {}
    for comparison in entry.comparisons:
        if comparison["within_third_digit"] is not None:
            number = tuple(comparison[key] for key in _NUMBER)
            reached[number] = reached.get(number, False) or comparison["within_third_digit"]
    return f"{sum(reached.values())} of {len(reached)}" if reached else DASH


def against(entry: Entry) -> str:
    """Each scored number as the paper reports it, and as it is here."""
    return ", ".join(f"{c['dataset']} {c['paper_measure']} {c['reported']} → {c['ours']}"
                     + " (does not count)" * (c["within_third_digit"] is None)
                     for c in entry.comparisons) or DASH


def _yes(holds: bool) -> str:
    return "yes" if holds else DASH


#: Heading → the cell of a network. The first column, its name, links to its recipe.
COLUMNS: dict[str, Callable[[Entry], str]] = {
    "paper": paper,
    "trunk": lambda entry: model.options_of(entry.recipe).get("trunk", DASH),
    "size": size,
    "parameters": lambda entry: f"{entry.counts[0] / 1e6:.2f} M",
    "multiply–adds": lambda entry: f"{entry.counts[1] / 1e9:.2f} G",
    "training": lambda entry: speed(entry, "training"),
    "inference": lambda entry: speed(entry, "inference"),
    "outputs equal": lambda entry: _yes(entry.name in held_outputs()),
    "losses equal": lambda entry: _yes(_file(entry.name) in held_losses()),
    "official weights": publication,
    "file": files,
    "official weights scored": lambda entry: dates(entry.official),
    "trained here": lambda entry: dates(entry.trained),
    "reported → here": against,
    "verified numbers": verified,
    "within the paper": within,
}
#: Those of the README.
SHORT = ("paper", "parameters", "multiply–adds", "outputs equal", "losses equal",
         "official weights", "official weights scored", "within the paper")


@functools.cache
def held_outputs() -> frozenset[str]:
    """Networks of which the tests hold outputs against the released network's: their lines of
    ``tests/model/released.py`` name reference outputs. Tests stand above this room, so they are
    read as text."""
    tree = ast.parse((ROOT / "tests/model/released.py").read_text("utf-8"))
    table = next(node.value for node in tree.body if isinstance(node, ast.Assign)
                 and ast.unparse(node.targets[0]) == "RELEASED")
    return frozenset(key.value for key, line in zip(table.keys, table.values, strict=True)
                     if len(line.args) > 2 or any(word.arg == "golden" for word in line.keywords))


@functools.cache
def held_losses() -> frozenset[str]:
    """Papers of which the tests hold losses or training steps against the released code's: they
    open its ``train_<network>.json``, or the values ``<paper>/<loss>`` of ``losses*.json``. A paper
    is named like its file in model/."""
    text = "".join(path.read_text("utf-8") for room in ("losses", "model")
                   for path in (ROOT / "tests" / room).glob("test_*.py"))
    words = re.findall(r'"train_([a-z0-9]+)\w*\.json"|"([a-z0-9]+)/[a-z_]+"', text)
    return frozenset(name for names in words for name in names) & set(map(_file, model.names()))


def _file(name: str) -> str:
    """The file of a network in model/, without its ending."""
    return model.network_class(name).__module__.split(".")[-1]


def counted(recipe: DictConfig) -> tuple[int, int]:
    """Parameters and multiply–adds of a recipe's network, at its size, see
    ``engine.summary.count``. Its tensors have shapes and no values, so nothing is computed."""
    in_torch = dict(model.network_class(recipe.model.name).in_torch)
    recipe = OmegaConf.merge(recipe, {"model": {"options": in_torch}})
    given = recipe.data.size
    with FakeTensorMode(allow_non_fake_inputs=True):
        return count(model.from_recipe(recipe), USUAL if given == NATIVE else given)[""]


def entries(names: Iterable[str], counting: Callable[[DictConfig], tuple[int, int]] = counted,
            records: Path = DOCS / "records") -> list[Entry]:
    """The networks of these names.

    Raises:
        UserError: the folder of records is missing, or a file in it is no record.
    """
    runs = list(read_records(records).values())
    rows = speeds.read_speeds()
    result = []
    for name in names:
        recipe = load_config(CONFIGS / f"{name}.yaml")
        own = [run for run in runs if run["recipe"] == f"configs/{name}.yaml"]
        result.append(Entry(name, recipe, own, counting(recipe), rows.get(name, {})))
    return result


def table(networks: Iterable[Entry], columns: Iterable[str], root: str = "") -> str:
    """The table in Markdown; ``root`` leads from its page to the repository."""
    columns = list(columns)
    lines = [["network", *columns], ["---"] * (1 + len(columns))]
    lines += [[f"[`{entry.name}`]({root}configs/{entry.name}.yaml)",
               *(COLUMNS[column](entry) for column in columns)] for entry in networks]
    return "".join(f"{piped(line)}\n" for line in lines)


def documents(networks: Sequence[Entry]) -> dict[Path, str]:
    """The pages that hold a table of networks → what they say now."""
    return {DOCS / "zoo.md": _HEAD + table(networks, COLUMNS, "../"),
            ROOT / "README.md": filled(ROOT / "README.md", "zoo", table(networks, SHORT)),
            DOCS / "export.md": filled(DOCS / "export.md", "exports",
                                       exports.table(exports.read_exports())),
            DOCS / "performance.md": filled(
                DOCS / "performance.md", "inference", inference.table(inference.read_inference()),
                filled(DOCS / "performance.md", "speeds", speeds.table(speeds.read_speeds())))}


def filled(path: Path, name: str, content: str, text: str | None = None) -> str:
    """A page with this content between the markers of that name.

    Args:
        text: of the page, where it is not what the file holds.

    Raises:
        UserError: the page has not both markers.
    """
    begin, end = (f"<!-- {name}: {word} -->\n" for word in ("begin", "end"))
    text = path.read_text(encoding="utf-8") if text is None else text
    before, first, rest = text.partition(begin)
    _, second, after = rest.partition(end)
    if not first or not second:
        raise UserError(f"{path} lacks the line {(end if first else begin).strip()}; the table "
                        "belongs between two such lines")
    return before + begin + content + end + after
