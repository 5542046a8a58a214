"""A recipe with reported numbers."""

from __future__ import annotations

import pytest

from report.recipes import Recipe

from .made_rows import write_recipe


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    return write_recipe(tmp_path / "paper.yaml")
