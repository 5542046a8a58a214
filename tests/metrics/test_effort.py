"""The human correction effort against PySODMetrics."""

from __future__ import annotations

import sys

import numpy as np
import py_sod_metrics
import pytest
from hypothesis import given, settings

from tests.maps import of_pysodmetrics, pairs, scored


@settings(max_examples=80, deadline=None)
@given(sample=pairs())
def test_every_image_equals_pysodmetrics(sample):
    expected = of_pysodmetrics(py_sod_metrics.HumanCorrectionEffortMeasure(), sample)["hce"]
    assert scored([sample], measures="HCE").compute()["HCE"] == expected


def test_a_missing_scikit_image_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    evaluator = scored([np.zeros((2, 4, 5), np.uint8)], measures="HCE")
    with pytest.raises(ImportError, match="pip install scikit-image"):
        evaluator.compute()
