"""README's truth table: it is up to date, and each of its cells follows from a datum."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

import model
from scripts import truth_table
from utils.config import load_config
from utils.paths import CONFIGS, ROOT


def row_of(name: str, records: list[dict]) -> list[str]:
    """The cells of a network in a table of it alone, as reading all recipes takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "names", lambda: [name])
        *_, line = truth_table.truth_table(records).splitlines()
    first, *cells = line.strip("| ").split(" | ")
    assert first == f"[`{name}`](configs/{name}.yaml)"
    return cells


def record_of(checkpoint: str = "last.pt", within: tuple = (), **train) -> dict:
    """A record of CPD-VGG with these values of ``train`` and comparisons."""
    config = OmegaConf.merge(load_config(CONFIGS / "cpd_vgg.yaml"), {"train": train})
    return {"recipe": "configs/cpd_vgg.yaml", "run": "cpd_vgg", "date": "2026-11-27T02:27:02Z",
            "configuration": OmegaConf.to_container(config),
            "origin": {"checkpoint": checkpoint},
            "comparisons": [{"within_third_digit": value} for value in within]}


def test_readme_holds_the_table_of_today():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    now = truth_table.with_table(readme).splitlines()
    # A network that was just added has no row yet: the script adds it.
    assert set(readme.splitlines()) <= set(now), "run python -m scripts.truth_table"


def test_cells_without_records_are_those_of_tests_and_recipes():
    assert row_of("cpd_vgg", []) == ["[CPD-VGG, CVPR 2019](https://arxiv.org/abs/1904.08739)",
                                     "yes", "yes", "published, no licence", "–", "–", "30 of 30",
                                     "–"]
    assert row_of("tracer_te7", [])[1:] == ["–", "yes", "published, Apache-2.0", "–", "–",
                                            "2 of 5", "–"]
    assert row_of("bgnet", [])[1:] == ["yes", "–", "published, Apache-2.0", "–", "–", "12 of 12",
                                       "–"]
    assert row_of("tracer_vgg", []) == ["TRACER on VGG-16, which the paper does not have", "–",
                                        "yes", "none", "–", "–", "–", "–"]
    assert row_of("dss_vgg", [])[3] == "port, MIT"


def test_a_recipe_that_lists_no_official_weights_has_a_dash():
    assert truth_table.publication([]) == "–"


def test_records_fill_the_last_columns():
    trained = record_of(within=(True, False, None, True))
    assert row_of("cpd_vgg", [trained])[4:] == ["–", "2026-11-27", "30 of 30", "2 of 3"]
    assert row_of("cpd_resnet", [trained])[4:] == ["–", "–", "33 of 33", "–"]
    official = record_of(checkpoint="…/CPD.pth", within=(False,))
    assert row_of("cpd_vgg", [official])[4:] == ["2026-11-27", "–", "30 of 30", "0 of 1"]


def test_a_run_that_departs_from_its_recipe_does_not_count():
    short = record_of(within=(True,), epochs=3)
    assert row_of("cpd_vgg", [short])[4:] == ["–", "–", "30 of 30", "–"]
