"""README's section on adding a network, followed word for word in a copy of the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from utils.paths import ROOT

SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Adding a network\n")[2]
SECTION = SECTION.partition("\n## ")[0]


def blocks() -> list[tuple[str, str, str]]:
    """(file, language, text) of each code block; a block belongs to the file named last in bold."""
    pattern = r"\*\*\d\. `(?P<file>[^`]+)`\*\*|^```(?P<language>\w+)\n(?P<text>.*?)^```$"
    result, file = [], ""
    for match in re.finditer(pattern, SECTION, re.S | re.M):
        file = match["file"] or file
        if match["language"]:
            result.append((file, match["language"], match["text"]))
    return result


def apply(root: Path, file: str, language: str, text: str) -> None:
    """Write a new file, or insert the lines marked + behind the line that a diff shows."""
    path = root / file
    if language != "diff":
        assert not path.exists(), f"{file} is not new"
        path.write_text(text, encoding="utf-8")
        return
    context, *additions = text.splitlines()
    assert context.startswith(" ") and all(line.startswith("+") for line in additions)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines.count(context[1:]) == 1, f"{file} has no line {context[1:]!r}, or several"
    at = lines.index(context[1:]) + 1
    lines[at:at] = [line[1:] for line in additions]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> tuple[Path, set[str]]:
    """A copy of the repository with the network of the section, and the files that changed."""
    root = tmp_path_factory.mktemp("copy") / "repository"
    unneeded = shutil.ignore_patterns(".*", "datasets", "results", "checkpoints", "__pycache__",
                                      "*.png", "records")
    shutil.copytree(ROOT, root, ignore=unneeded)
    before = contents(root)
    for block in blocks():
        apply(root, *block)
    after = contents(root)
    return root, {file for file in after if after[file] != before.get(file)}


#: Tests and training in one process, which imports torch once.
PROGRAM = """
import sys, pytest
status = pytest.main(["-vv", "-p", "no:cacheprovider", "-k", "fpn", "tests/model/test_networks.py"])
import train
sys.exit(status or train.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def output(copy, made_sets) -> str:
    """What the tests of the network print, and then a training of two steps."""
    root, _ = copy
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--config", "configs/fpn.yaml", "--gpu", "cpu",
         f"data.root={made_sets}", "data.train=[TINY-TR]", "data.size=64", "data.workers=0",
         "train.batch=5", "train.epochs=1", "train.log_every=1", "weights.backbone=none",
         "model.options.width=0.0625"], cwd=root, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def test_five_places_are_touched(copy):
    _, changes = copy
    assert changes == {"model/fpn.py", "model/__init__.py", "configs/fpn.yaml", "docs/fpn.md",
                       "tests/model/released.py"}


def test_all_tests_of_networks_run_on_it(output):
    tests = set(re.findall(r"::(test_\w+)\[fpn.*PASSED", output))
    source = (ROOT / "tests/model/test_networks.py").read_text(encoding="utf-8")
    # FPN has no reference outputs and no sibling.
    without = {"test_outputs_equal_the_released_network",
               "test_every_released_key_has_exactly_one_place",
               "test_class_and_trunk_of_networks_tested_by_shapes_are_tested_with_values",
               "test_shapes_and_the_reach_of_gradients",
               "test_a_network_without_its_places_is_noticed"}
    assert tests == set(re.findall(r"^def (test_\w+)", source, re.M)) - without


def test_it_trains(copy, output):
    root, _ = copy
    header, *steps = (root / "checkpoints/fpn/log.csv").read_text(encoding="utf-8").splitlines()
    assert {"saliency_bce", "saliency_iou", "deep_bce"} <= set(header.split(","))
    assert len(steps) == 2
