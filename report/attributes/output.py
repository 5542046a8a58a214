"""What is printed and saved of a set's attributes: tables for people, records for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from metrics import lower_is_better

from ..tables import Table, cells, csv_text, latex_file, markdown
from .analysis import ranked
from .kept import SetAttributes
from .statistics import FEWEST
from .table import ATTRIBUTES

STRONGEST = 3  # attributes of each measure that are printed


@dataclass
class Report:
    """All that is saved: tables, and the same numbers as records, part → list of mappings."""

    tables: list[Table] = field(default_factory=list)
    records: dict[str, list[dict]] = field(default_factory=dict)

    def add(self, part: str, dataset: str, records: Sequence[Mapping]) -> None:
        """Records of a data set, which is named in each."""
        self.records.setdefault(part, []).extend({"dataset": dataset} | r for r in records)


def as_csv(report: Report) -> str:
    """A line for each number; the column ``part`` names the kind of its record."""
    return csv_text([{"part": part} | printed(record)
                     for part, records in report.records.items() for record in records])


def as_json(report: Report) -> str:
    records = {part: [{key: None if is_nan(value) else value for key, value in record.items()}
                      for record in records] for part, records in report.records.items()}
    notes = list(dict.fromkeys(note for table in report.tables for note in table.notes))
    return json.dumps(records | {"notes": notes}, indent=1) + "\n"


#: A file's extension → the report in its format.
FORMATS: dict[str, Callable[[Report], str]] = {
    ".md": lambda report: "\n".join(map(markdown, report.tables)),
    ".tex": lambda report: latex_file(report.tables), ".csv": as_csv, ".json": as_json}


def printed(record: Mapping) -> dict:
    """A record for a CSV file: six digits; empty where a number is not defined."""
    return {key: number(value) if isinstance(value, float) else value
            for key, value in record.items()}


def number(value: float) -> str:
    """Six digits; empty for NaN."""
    return "" if math.isnan(value) else f"{value:.6g}"


def is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def attribute_rows(attributes: SetAttributes) -> list[dict]:
    """A row for each image: ``image`` and all attributes."""
    return [printed({"image": image} | values) for image, values in attributes.values.items()]


def strongest_table(dataset: str, correlated: Sequence[Mapping],
                    means: Sequence[Mapping]) -> Table:
    """For each method and measure the attributes that it hangs on most."""
    lines = []
    for method in dict.fromkeys(record["method"] for record in correlated):
        own = ranked([record for record in correlated if record["method"] == method])
        measures = dict.fromkeys(r["measure"] for r in correlated if r["method"] == method)
        lines.append([_strong_line(record, means) for measure in measures
                      for record in [r for r in own if r["measure"] == measure][:STRONGEST]])
    return Table(f"{dataset}: the attributes that scores hang on most",
                 ["method", "measure", "attribute", "Spearman", "Pearson", "lowest values", "mean",
                  "highest values", "mean"], lines, words=3, notes=_notes(correlated))


def _strong_line(record: Mapping, means: Sequence[Mapping]) -> list:
    same = [group for group in means if all(group[key] == record[key]
                                            for key in ("method", "measure", "attribute"))]
    first, last = same[0], same[-1]
    return cells(record["method"], record["measure"], ATTRIBUTES[record["attribute"]].label,
                 signed(record["spearman"]), signed(record["pearson"]),
                 first["values"], f"{first['mean']:.4f}", last["values"], f"{last['mean']:.4f}")


def _notes(correlated: Sequence[Mapping]) -> list[str]:
    images = max(record["images"] for record in correlated)
    notes = ["scores are of single images, so the mean of maxF is not the maxF of the set's curve"]
    if images >= FEWEST:
        within = min(1, 1.96 / math.sqrt(images - 1))
        notes.append(f"of {images} images without any connection, 95 of 100 correlations are "
                     f"within ±{within:.2f}")
    return notes + _undefined(correlated)


def _undefined(correlated: Sequence[Mapping]) -> list[str]:
    """A note on methods and measures that no attribute has a correlation with."""
    if max(record["images"] for record in correlated) < FEWEST:
        return [f"no correlation is defined: it takes {FEWEST} images"]
    every = dict.fromkeys((record["method"], record["measure"]) for record in correlated)
    lacking = [" ".join(key) for key in every if key not in
               {(record["method"], record["measure"]) for record in ranked(correlated)}]
    return lacking and ["no correlation is defined where all images score the same: "
                        f"{', '.join(lacking)}"]


def _by_method(records: Sequence[Mapping]
               ) -> Iterator[tuple[str, list[str], list[list[Mapping]]]]:
    """Each method, its measures, and its records, those of an attribute together."""
    for method in dict.fromkeys(record["method"] for record in records):
        own = [record for record in records if record["method"] == method]
        yield (method, list(dict.fromkeys(record["measure"] for record in own)),
               _parted(own, "attribute"))


def _parted(records: Sequence[Mapping], key: str) -> list[list[Mapping]]:
    """The records, those with one value of ``key`` together."""
    return [[record for record in records if record[key] == value]
            for value in dict.fromkeys(record[key] for record in records)]


def correlations_tables(dataset: str, correlated: Sequence[Mapping]) -> list[Table]:
    """For each method, all attributes with all measures."""
    tables = []
    for method, measures, attributes in _by_method(correlated):
        lines = [cells(ATTRIBUTES[own[0]["attribute"]].label, str(own[0]["images"]),
                       *(signed(record[kind]) for record in own
                         for kind in ("spearman", "pearson"))) for own in attributes]
        tables.append(Table(f"{dataset}, {method}: correlation of attributes and scores",
                            ["attribute", "images", *(f"{measure} {kind}" for measure in measures
                                                      for kind in ("Spearman", "Pearson"))],
                            [lines], notes=_notes(list(chain(*attributes)))))
    return tables


def group_tables(dataset: str, means: Sequence[Mapping]) -> list[Table]:
    """For each method, mean scores by quartile and by flag."""
    return [Table(f"{dataset}, {method}: scores by attribute",
                  ["attribute", "values", "images", *measures],
                  [[cells(ATTRIBUTES[same[0]["attribute"]].label, same[0]["values"],
                          str(same[0]["images"]), *map(interval, same))
                    for same in _parted(own, "group")] for own in attributes], words=2,
                  notes=["mean score of the images by quartile of the attribute, equal values "
                         "together, or by flag; in brackets its 95 % interval (bootstrap over the "
                         "group's images)"])
            for method, measures, attributes in _by_method(means)]


def differences_table(a: str, b: str, dataset: str, images: int, correlated: Sequence[Mapping],
                      means: Sequence[Mapping], most: int | None = None) -> Table:
    """Where A beats B: attributes by how much the difference hangs on them.

    Args:
        images: how many both have scores of.
        most: attributes of each measure that are shown; None for all.
    """
    groups = []
    for measure in dict.fromkeys(record["measure"] for record in correlated):
        lines = []
        for record in ranked([r for r in correlated if r["measure"] == measure])[:most]:
            same = [group for group in means if group["measure"] == measure
                    and group["attribute"] == record["attribute"]]
            lines.append(cells(measure, ATTRIBUTES[record["attribute"]].label,
                               signed(record["spearman"]), signed(record["pearson"]),
                               same[0]["values"], interval(same[0], sign=True),
                               same[-1]["values"], interval(same[-1], sign=True)))
        groups.append(lines)
    errors = [m for m in dict.fromkeys(r["measure"] for r in correlated) if lower_is_better(m)]
    turned = f"; of {', '.join(errors)}, where less is better, {b} − {a}" if errors else ""
    return Table(f"{dataset}: where {a} beats {b}, {images} images",
                 ["measure", "attribute", "Spearman", "Pearson", "lowest values", "advantage",
                  "highest values", "advantage"], groups, words=2,
                 notes=[f"advantage: mean of {a} − {b}{turned}; above 0 {a} is better; in brackets "
                        "its 95 % interval (bootstrap over the group's images)",
                        f"a positive correlation: the more of the attribute, the better {a} does "
                        f"against {b}", *_undefined(correlated)])


def interval(record: Mapping, sign: bool = False) -> str:
    """``0.0592 [0.0551, 0.0634]``; without brackets of one image."""
    form = "+.4f" if sign else ".4f"
    mean = f"{record['mean']:{form}}"
    return mean if is_nan(record["low"]) else \
        f"{mean} [{record['low']:{form}}, {record['high']:{form}}]"


def signed(value: float) -> str:
    """A correlation with two digits; a dash where it is not defined."""
    return "–" if math.isnan(value) else f"{value:+.2f}"


def definitions_table() -> str:
    """The table of attributes as Markdown, for docs/attributes.md."""
    lines = ["| attribute | | of | formula | unit | stable within | source |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for attribute in ATTRIBUTES.values():
        of = " and ".join(dict.fromkeys({"given": "mask"}.get(name, name)
                                        for name in attribute.needs)).replace("image", "photo")
        stable = f"{attribute.stable:g}" if attribute.kind == "number" and not attribute.counts \
            else f"{attribute.stable:.1%} of images change"
        lines.append(f"| `{attribute.name}` | {attribute.sentence} | {of} | {attribute.formula} | "
                     f"{attribute.unit or attribute.kind} | {stable} | {attribute.source} |")
    return "\n".join(lines) + "\n"
