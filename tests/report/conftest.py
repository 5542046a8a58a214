"""Recipes with reported numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from report.recipes import Recipe

from .made_rows import write_recipe


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    return write_recipe(tmp_path / "paper.yaml")


@pytest.fixture
def paper(tmp_path) -> Path:
    path = tmp_path / "paper.yaml"
    path.write_text("name: paper\npaper: A paper\nreported:\n"
                    "- {dataset: TINY-TE, measure: F, value: 1, source: a, verified: true, "
                    "protocol: adaptive}\n"
                    "- {dataset: TINY-TE, measure: MAE, value: .1, source: b, protocol: tracer}\n"
                    "- {dataset: ECSSD, measure: MAE, value: .1, source: b, protocol: cpd}\n")
    return path
