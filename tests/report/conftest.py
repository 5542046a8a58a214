"""Recipes with reported numbers, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium, for the tests marked ``IN_A_BROWSER``."""
    from playwright.sync_api import sync_playwright

    from .window import CHROMIUM, QUIET

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()
