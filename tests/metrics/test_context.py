"""The context-measure against PySODMetrics."""

from __future__ import annotations

import numpy as np
import py_sod_metrics
import pytest
from hypothesis import given, settings

from metrics.context import slanted_line
from tests.maps import of_pysodmetrics, pairs, scored


@settings(max_examples=80, deadline=None)
@given(sample=pairs())
def test_every_image_equals_pysodmetrics(sample):
    context = scored([sample], measures="context").compute()["context"]
    points = np.argwhere(sample[1] > 128)
    if len(points) > 1 and slanted_line(np.cov(points, rowvar=False)):
        assert 0 <= context <= 1
    else:
        expected = of_pysodmetrics(py_sod_metrics.ContextMeasure(), sample)["cm"]
        assert context == pytest.approx(expected, abs=1e-9)


def test_the_context_of_a_slanted_line_is_finite():
    for truth in (np.eye(9, dtype=np.uint8) * 255, np.eye(9, dtype=np.uint8)[::-1] * 255):
        good, bad = (scored([(prediction, truth)], measures=("context",)).compute()["context"]
                     for prediction in (truth, 255 - truth))
        assert 0 <= bad < good <= 1
