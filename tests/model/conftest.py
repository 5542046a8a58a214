"""What the tests of several files hold against the released codes."""

from __future__ import annotations

import pytest
import torch

import model
from tests.model.reference import released_state
from tests.model.released import RELEASED


@pytest.fixture(scope="session", params=[name for name in model.names()
                                         if name in RELEASED and RELEASED[name].golden])
def released_code(request, golden) -> tuple[str, dict, dict, dict[str, torch.Tensor]]:
    """A network's name, and description, reference outputs and weights of its released code.

    The weights take long to fill. As this is of the session, pytest runs all tests of a network,
    of whatever file, one after the other.
    """
    return request.param, *released_state(golden, RELEASED[request.param].golden)
