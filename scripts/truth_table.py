"""README's table of networks and what is shown of each, from recipes, tests and records.

    python -m scripts.truth_table        rewrites the table between its two markers in README.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

import model
from report.records import differences, read_records
from tests.model.released import RELEASED
from utils.config import load_config
from utils.paths import CONFIGS, ROOT

BEGIN, END = "<!-- truth table: begin -->\n", "<!-- truth table: end -->\n"
DASH = "–"
TRAINED = ("best.pt", "last.pt", "previous.pt")  # weights of these names were trained here


def truth_table(records: list[dict]) -> str:
    """The table in Markdown.

    Args:
        records: of reproduce.py, see ``report.records``.
    """
    head = ["network", "paper", "outputs equal", "losses equal", "official weights",
            "official weights scored", "trained here", "verified numbers", "within the paper"]
    lines = [head, ["---"] * len(head)]
    lines += [[f"[`{name}`](configs/{name}.yaml)",
               *cells_of(name, [record for record in records
                                if record["recipe"] == f"configs/{name}.yaml"])]
              for name in model.names()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cells_of(name: str, records: list[dict]) -> list[str]:
    """The cells of a network, but for its name; ``records`` are those of its recipe."""
    recipe = load_config(CONFIGS / f"{name}.yaml")
    official = [record for record in records if record["origin"]["checkpoint"] not in TRAINED]
    trained = [record for record in records if record not in official
               and not differences(record).keys() - {"test.data"}]
    reported = recipe.reported
    counted = [comparison["within_third_digit"] for record in official + trained
               for comparison in record["comparisons"]
               if comparison["within_third_digit"] is not None]
    return [paper(recipe.paper),
            "yes" if name in RELEASED and RELEASED[name].golden else DASH,
            "yes" if model.network_class(name).__module__.split(".")[-1] in held_losses() else DASH,
            publication(recipe.official), dates(official), dates(trained),
            f"{sum(row.verified for row in reported)} of {len(reported)}" if reported else DASH,
            f"{sum(counted)} of {len(counted)}" if counted else DASH]


def paper(text: str) -> str:
    """A recipe's line on its paper, as a link where it ends in an arXiv number."""
    title, _, number = text.partition(", arXiv ")
    return f"[{title}](https://arxiv.org/abs/{number})" if number else title


def publication(entries: Sequence[DictConfig]) -> str:
    """Whether weights are published, and under which licence; a dash if a recipe does not tell."""
    published = {f"{'port' if entry.by == 'port' else 'published'}, {entry.licence}"
                 for entry in entries if entry.by != "none"}
    return "; ".join(sorted(published)) or ("none" if entries else DASH)


def dates(records: list[dict]) -> str:
    """The days of records, or a dash."""
    return ", ".join(sorted(record["date"][:10] for record in records)) or DASH


def held_losses() -> set[str]:
    """Papers of which the tests hold losses or training steps against the released code's: they
    open its ``train_<network>.json``, or the values ``<paper>/<loss>`` of ``losses.json``."""
    text = "".join(path.read_text("utf-8") for room in ("losses", "model")
                   for path in (ROOT / "tests" / room).glob("test_*.py"))
    return {name.split("_")[0] for names in
            re.findall(r'"train_(\w+)\.json"|"([a-z0-9]+)/[a-z_]+"', text) for name in names}


def main() -> int:
    path = ROOT / "README.md"
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def with_table(readme: str, folder: Path = ROOT / "docs/records") -> str:
    """The text with the table as it is now between the markers."""
    before, rest = readme.split(BEGIN)
    records = read_records(folder) if folder.is_dir() else {}
    table = truth_table(list(records.values()))
    return before + BEGIN + table + END + rest.split(END)[1]


if __name__ == "__main__":
    sys.exit(main())
