"""Fixtures: small data sets made on the spot, and the shared reference data where it is there."""

from __future__ import annotations

import functools
import gc
import importlib.util
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from data.sample import draw_pair

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or min(2, os.cpu_count() or 1)))


def pytest_collection_finish() -> None:
    """Let the garbage collector leave what is imported alone, and come rarely: it took a tenth of
    the suite's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with reference outputs and real images, named by SOD_SHARED."""
    folder = os.environ.get("SOD_SHARED")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SOD_SHARED names no folder with reference data")
    return Path(folder)


@pytest.fixture(scope="session")
def golden(shared):
    """The module that fills weights and inputs as the reference outputs were made with."""
    spec = importlib.util.spec_from_file_location("golden_fill", shared / "golden/golden_fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.folder = shared / "golden"
    # Networks share trunks, whose large tensors take long to fill.
    fill = module.golden_tensor
    kept = functools.lru_cache(128)(fill)
    module.golden_tensor = lambda key, shape: kept(key, tuple(shape)) \
        if math.prod(shape) > 100_000 else fill(key, shape)
    return module


@pytest.fixture(scope="session")
def agrees(golden) -> Callable[..., None]:
    """Asserts that a loss and its gradients are those of the released code."""

    def compare(name: str, value: Tensor, arguments: list[Tensor], file: str = "losses") -> None:
        """``value`` is our loss of ``arguments``, ``name`` that of the golden loss in ``file``."""
        text = (golden.folder / f"{file}.json").read_text()
        expected = json.loads(text)["losses"][name]
        assert value.item() == pytest.approx(expected["value"], rel=1e-5)
        gradients = torch.autograd.grad(value, arguments)
        assert [gradient.abs().sum().item() for gradient in gradients] == \
            pytest.approx(expected["grad_abs_sum"], rel=1e-5)

    return compare


@pytest.fixture
def discs() -> torch.Tensor:
    """The masks that the reference training steps were taken with, (2, 1, 96, 128)."""
    y, x = np.mgrid[:96, :128]
    return torch.from_numpy(np.stack([((y - 40) / 25) ** 2 + ((x - 60) / 35) ** 2 < 1,
                                      ((y - 50) / 30) ** 2 + ((x - 70) / 20) ** 2 < 1])[:, None])


@pytest.fixture(scope="session")
def made_sets(tmp_path_factory) -> Path:
    """A data root with the sets TINY-TR (10 pairs) and TINY-TE (4 pairs), not to be changed."""
    root = tmp_path_factory.mktemp("datasets")
    for seed, (name, count) in enumerate((("TINY-TR", 10), ("TINY-TE", 4))):
        random = np.random.default_rng(seed)
        for folder in ("images", "masks"):
            (root / name / folder).mkdir(parents=True)
        for number in range(count):
            image, mask = draw_pair(random)
            Image.fromarray(image).save(root / name / "images" / f"{number:02d}.jpg")
            Image.fromarray(mask).save(root / name / "masks" / f"{number:02d}.png")
    return root


@pytest.fixture
def sets(made_sets, tmp_path) -> Path:
    """A copy of ``made_sets`` that a test may damage."""
    return Path(shutil.copytree(made_sets, tmp_path / "datasets"))


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    """An empty checkpoints folder in place of the repository's."""
    import engine.trained
    import train as train_script
    import utils.official
    import utils.weights

    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for module in (train_script, engine.trained, utils.official, utils.weights):
        monkeypatch.setattr(module, "CHECKPOINTS", folder)
    return folder


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch) -> Path:
    """Where scores and attributes are kept, in place of the repository's results folder."""
    import eval as eval_script
    from report.attributes import kept

    monkeypatch.setattr(kept, "FOLDER", tmp_path / "kept" / "_attributes")
    monkeypatch.setattr(eval_script, "RESULTS", tmp_path / "kept")
    return tmp_path / "kept"
