"""Rules about the code itself, each against something that broke a released repository."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from utils.paths import ROOT

EVERY_FILE = sorted(path for path in ROOT.rglob("*.py")
                    if ".venv" not in path.relative_to(ROOT).parts)
FILES = [path for path in EVERY_FILE if path.relative_to(ROOT).parts[0] != "tests"]
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES
           if path.name not in ("__init__.py", "__main__.py")
           and path.parent.name != "benchmarks"]


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.fixture(params=FILES, ids=lambda p: str(p.relative_to(ROOT)))
def tree(request) -> ast.Module:
    return parse(request.param)


def test_only_augmentation_imports_torchvision_at_its_top():
    """It takes 180 MB and a second, which prediction and scoring do without."""
    tops = [path.relative_to(ROOT) for path in FILES for node in parse(path).body
            if "torchvision" in ast.unparse(node) and isinstance(node, ast.Import | ast.ImportFrom)]
    assert {str(path) for path in tops} == {"data/augmentation.py", "benchmarks/loader.py"}


def test_no_search_path_tricks_and_no_vanished_modules(tree):
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
                for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(name.startswith("scipy.misc") for name in imported)
    attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "sys.path" not in attributes
    starred = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
               and any(alias.name == "*" for alias in node.names)]
    assert not starred


def test_weights_are_read_safely_and_environment_is_not_written(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            safe = {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert safe.get("weights_only") == "True"
        if isinstance(node, ast.Assign):
            assert not any("os.environ" in ast.unparse(target) for target in node.targets)


def test_importing_does_nothing(tmp_path):
    """No module parses arguments, reads files, downloads or starts CUDA when it is imported."""
    program = ("import sys, socket, torch; "
               "sys.argv = ['x', '--no-such-flag']; "
               "socket.socket.connect = None; torch.load = None; "
               f"[__import__(name) for name in {MODULES!r}]; "
               "assert not torch.cuda.is_initialized()")
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr


def test_functions_fit_a_screen_and_public_ones_have_docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 90, node.name
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            is_schema = any("dataclass" in ast.unparse(d) for d in node.decorator_list)
            assert ast.get_docstring(node) or is_schema, node.name
    assert ast.get_docstring(tree)


def test_variables_have_names_of_things():
    """A reader must not have to decode what was 'found', or which 'one' it is; in tests neither."""
    riddles = {"found", "one", "there", "said"}
    lines = {f"{path.relative_to(ROOT)}:{node.lineno}"
             for path in EVERY_FILE for node in ast.walk(parse(path))
             if (isinstance(node, ast.Name) and node.id in riddles)
             or (isinstance(node, ast.arg) and node.arg in riddles)}
    assert not sorted(lines)


def test_what_is_printed_is_not_said():
    pattern = re.compile(r"\b(is|are|was|were|be) said\b")
    texts = [*FILES, *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("configs/*.yaml")]
    lines = [f"{path.relative_to(ROOT)}: {match[0]}" for path in texts
            for match in pattern.finditer(path.read_text(encoding="utf-8"))]
    assert not lines
