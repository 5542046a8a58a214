"""Every network in every format, at its full width: makes the rows of docs/export.md's table.

    export SOD_EXPORTS=docs/exports.json
    python -m pytest -p no:logging tests/engine/test_every_export.py
    python -m pytest -p no:logging tests/engine/test_every_export.py -k u2netp
    python -m report zoo                              # the table of the rows

It takes about twenty minutes on two cores, so the suite leaves it out. A network that does not
export fails here, and its row keeps the reason.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch
from torch import nn

import model
from engine.export import (
    FORMATS,
    TOLERANCE,
    Deployed,
    Run,
    largest_difference,
    takes,
    write_and_open,
)
from report.exports import FREE, add_export, failure
from tests.model.calm import keep_positive, settle, size_of, spread
from utils.device import keep_freed_memory
from utils.errors import UserError
from utils.origin import commit

if not os.environ.get("SOD_EXPORTS"):
    pytest.skip("SOD_EXPORTS names no file that rows are kept in", allow_module_level=True)
PATH = Path(os.environ["SOD_EXPORTS"])
LAST = ("tracer_te4", "tracer_te5", "tracer_te6", "tracer_te7")  # they take longest
NETWORKS = sorted(model.names(), key=lambda name: (name in LAST, name))


class Case:
    """A network with random weights, whose outputs rounding does not decide, and images for it.

    Attributes:
        own, other: two images of its own size, and, where it takes them, of another, of which it
            is exported.
        new: an image of a size that torch has not seen, higher than wide, where it takes that.
        reference: images → what the network gives, which is computed once for all formats.
    """

    def __init__(self, name: str):
        torch.manual_seed(0)
        in_torch = model.network_class(name).in_torch
        network = model.build(name, **in_torch)
        has_norms = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
        network = settle(keep_positive(network)) if has_norms else spread(network)
        sizes = [size_of(network, *more) for more in ((32, 32), (64, 96), (128, 64))]
        self.name, self.deployed, self.size = name, Deployed(network), sizes[0]
        self.reference = functools.cache(self.deployed.forward)
        self.own, *self.other = (torch.randn(2, 3, *size) for size in dict.fromkeys(sizes[:2]))
        self.three = torch.randn(3, 3, *self.size)
        self.new, self.single = (torch.randn(1, 3, *size) for size in (sizes[2], self.size))

    def measure(self, run: Run, path: Path) -> dict:
        """A row, without its session, of a file that was exported. It is run on other numbers of
        images, and on the new size, if it takes that.

        Raises:
            UserError: the file fails, or differs from the network by more than ``TOLERANCE``.
        """
        free = bool(self.other) and takes(run, [self.new])
        difference = largest_difference(self.reference, run,
                                        [self.three, self.new if free else self.single])
        if not difference <= TOLERANCE:
            raise UserError(f"a probability differs by {difference:.2g}")
        _, maps = self.reference(self.three)
        return {"reason": "", "sizes": FREE if free else "{}×{}".format(*self.size),
                "difference": difference, "range": round(float(maps.max() - maps.min()), 6),
                "megabytes": round(path.stat().st_size / 1e6, 3)}


@pytest.fixture(scope="module", params=NETWORKS)
def case(request) -> Case:
    keep_freed_memory()
    return Case(request.param)


@pytest.mark.parametrize("kind", FORMATS)
def test_it_exports_and_its_probabilities_are_the_networks(case, kind, tmp_path):
    path = tmp_path / f"net{FORMATS[kind]}"
    try:
        with torch.jit.optimized_execution(False):  # which takes longer than it gains
            run = write_and_open(case.deployed, case.own, case.other, path, kind, {})
            row = case.measure(run, path)
    except UserError as error:
        row = failure(str(error))
    path.unlink(missing_ok=True)  # some have hundreds of MB
    add_export(PATH, case.name, kind, row | {
        "options": dict(case.deployed.network.in_torch), "torch": torch.__version__,
        "onnxruntime": importlib.metadata.version("onnxruntime"),
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}", "commit": commit()})
    assert not row["reason"]
    assert row["range"] > 10 * row["difference"]  # a map of one value would be equal to any other
