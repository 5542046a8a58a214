"""Rows of scores, and a recipe with reported numbers."""

from __future__ import annotations

from pathlib import Path

from report.recipes import Recipe


def row(method="ours", dataset="ECSSD", profile="pysodmetrics", images=1000, **scores) -> dict:
    return {"method": method, "dataset": dataset, "images": images, "expected": images,
            "profile": profile} | scores


def write_recipe(path: Path) -> Recipe:
    rows = ["{dataset: ECSSD, measure: maxF, value: .936, source: README, verified: true, "
            "protocol: cpd}",
            "{dataset: ECSSD, measure: MAE, value: .0400, digits: 4, source: memory, "
            "protocol: cpd}",
            "{dataset: SOD, measure: E, value: .5, source: 50% & more_, verified: true, "
            "protocol: adaptive}"]
    path.write_text("name: paper\npaper: A paper\nreported:\n" + "".join(f"- {r}\n" for r in rows))
    return Recipe(path)
