"""The depth measure: what it does not depend on, what it leaves out, and what it grows with."""

from __future__ import annotations

from dataclasses import astuple

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from benchmarks.depth import DISTORTIONS, hills, psnr, shapes
from metrics.depth_quality import (
    ORIENTATIONS,
    RADIUS,
    color_edges,
    depth_quality,
    local_distortion,
    orientation,
)

COLOR, DEPTH = shapes(7, 72, 96)
IN_BYTES = np.round(DEPTH * 255).astype(np.uint8)
CHEAP = settings(max_examples=15, deadline=None)


def score(depth: np.ndarray, **options) -> float:
    return depth_quality(COLOR, depth, **options).score


@CHEAP
@given(st.floats(1e-3, 1e4), st.floats(0, 1e3), st.booleans())
def test_scale_offset_and_direction_of_depth_do_not_count(scale, offset, turned):
    depth = DEPTH * scale + offset * scale
    assert score(depth.max() * 1.1 - depth if turned else depth) == \
        pytest.approx(score(DEPTH), rel=1e-6)


@CHEAP
@given(st.integers(1, 257), st.sampled_from([np.uint16, np.int32, np.int64, np.float64]))
def test_integers_of_all_widths_give_what_their_numbers_give(factor, kind):
    """Differences of bytes would overflow."""
    assert score((IN_BYTES.astype(np.int64) * factor).astype(kind)) == \
        pytest.approx(score(IN_BYTES), rel=1e-9)


def test_eight_and_sixteen_bits_of_the_same_depth_agree():
    noisy = DISTORTIONS["noise"][0](DEPTH, .02)
    bits = [score(np.clip(noisy * top, 1, top).round().astype(kind))
            for kind, top in ((np.uint8, 255), (np.uint16, 65535))]
    assert bits[0] == pytest.approx(bits[1], rel=.01)
    assert score(np.float32(noisy)) == pytest.approx(bits[1], rel=1e-3)


@CHEAP
@given(st.data())
def test_invalid_pixels_take_no_part(data):
    """What lies in them does not count: 0, NaN and infinity give one score."""
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    holes = cv2.dilate((random.random(DEPTH.shape) < .01).astype(np.uint8), np.ones((3, 5))) > 0
    scores = {astuple(depth_quality(COLOR, np.where(holes, hole, DEPTH)))
              for hole in (0, np.nan, np.inf, -np.inf)}
    assert len(scores) == 1
    (numbers,) = scores
    assert numbers[-1] < 1 and np.isfinite(numbers).all()


def test_a_pair_that_touches_an_invalid_pixel_is_left_out():
    plane = np.add.outer(np.arange(9.0), 2 * np.arange(11.0)) + 1
    valid = np.ones(plane.shape, bool)
    valid[4, 5] = False
    slope, residual, judged = local_distortion(np.where(valid, plane, 0), valid)
    assert residual.max() == pytest.approx(0, abs=1e-20)
    assert slope.max() == pytest.approx(3 / np.sqrt(2))  # down and to the right
    expected = np.ones(plane.shape, bool)
    expected[[0, 0, -1, -1, 4], [0, -1, 0, -1, 5]] = False  # corners have no opposite neighbours
    assert (judged == expected).all()


def test_zero_is_a_depth_where_none_is_invalid():
    depth = np.where(DEPTH < .4, 0, DEPTH)
    assert depth_quality(COLOR, depth).valid < .9 < depth_quality(COLOR, depth, None).valid == \
        1 - 4 / DEPTH.size


def test_residual_of_a_single_pixel():
    depth = np.ones((7, 7))
    depth[3, 3] = 2
    slope, residual, _ = local_distortion(depth, depth > 0)
    assert (residual[3, 3], residual[3, 2], residual[2, 2]) == (1, 1 / 16, 1 / 16)
    assert (slope[3, 3], slope[3, 2]) == (0, .5)


def test_color_edges_are_strongest_on_the_edge_and_none_where_the_image_is_flat():
    color = np.full((64, 64, 3), 60, np.uint8)
    color[:, 32:, 1] = 200  # in one channel alone
    across = np.zeros(color.shape[:2], int)
    edges = color_edges(color, across)
    assert edges[:, 31:33].min() > .9
    assert (np.diff(edges[32, 32:37]) < 0).all()
    assert edges[:, :8].max() < .1
    np.testing.assert_allclose(color_edges(color[..., 1], across)[8:-8], edges[8:-8], atol=1e-5)
    along = color_edges(color, across + ORIENTATIONS // 2)
    assert along[8:-8].max() < .1  # the rows next to the border have a corner by reflection


@pytest.mark.parametrize("number", range(ORIENTATIONS))
def test_a_colour_edge_explains_a_depth_edge_of_its_direction(number):
    """The filter that is chosen for a depth edge responds to a colour edge in the same place."""
    rows, columns = np.mgrid[-32:32, -32:32]
    angle = number * np.pi / ORIENTATIONS
    inside = columns * np.cos(angle) + rows * np.sin(angle) > 0
    assert (orientation(inside * 3.0, inside >= 0)[28:36, 28:36][
        np.diff(inside[28:37, 28:36], axis=0) | np.diff(inside[28:36, 28:37], axis=1)] ==
        number).all()
    color = np.where(inside, 200, 60).astype(np.uint8)
    explained = color_edges(color, np.full(color.shape, number))
    assert explained[32, 32] > .8
    assert (color_edges(color, np.full(color.shape, (number + 4) % ORIENTATIONS)) < .3)[32, 32]


@pytest.mark.parametrize("scene", [shapes, hills])
@pytest.mark.parametrize("name", DISTORTIONS)
def test_score_grows_with_every_distortion_and_follows_the_true_error(scene, name):
    color, depth = scene(2, 120, 160)  # docs/depth.md tells how often it grows on others
    distort, levels = DISTORTIONS[name]
    maps = [distort(depth, level) for level in levels]
    scores = [depth_quality(color, values).score for values in (depth, *maps)]
    assert (np.diff(scores) > 0).all()
    assert spearmanr(scores[1:], [psnr(depth, values) for values in maps]).statistic <= -.9


def test_a_step_beside_its_color_edge_costs_more_than_one_upon_it():
    """The color's share in the measure: the same depth, with edges where it has them, and turned
    away."""
    assert depth_quality(COLOR[:, ::-1], DEPTH).edges > 1.2 * depth_quality(COLOR, DEPTH).edges


@pytest.mark.parametrize("depth, message", [
    (np.zeros((72, 96), np.uint8), "no valid depth"),
    (np.full((72, 96), np.nan), "no valid depth"),
    (np.full((72, 96), 7, np.uint16), "7 everywhere"),
    (np.eye(72, 96) * np.arange(1, 97), None),
    (np.ones((72, 95)), "sizes differ"), (np.ones((72, 96, 1)), r"\(H, W\)"),
    (np.ones((72, 96), bool), "bool"), (np.ones((72, 96), complex), "complex")])
def test_what_cannot_be_judged_is_an_error(depth, message):
    if message is None:  # a diagonal of valid pixels has neighbours in one direction
        assert 0 < score(depth) < np.inf
        return
    with pytest.raises(ValueError, match=message):
        score(depth)


def test_valid_pixels_without_valid_neighbours_cannot_be_judged():
    depth = np.zeros((72, 96))
    depth[::4, ::4] = np.arange(18 * 24).reshape(18, 24) + 1
    with pytest.raises(ValueError, match="between two valid neighbours"):
        score(depth)


@pytest.mark.parametrize("color", [COLOR.astype(float), COLOR[..., :2], COLOR[0, :, 0]])
def test_what_is_no_image_is_an_error(color):
    with pytest.raises(ValueError, match="an image is uint8"):
        depth_quality(color, DEPTH)


@pytest.mark.parametrize("shape", [(1, 9), (2, 2), (3, 1), (1, 1)])
def test_maps_that_are_too_small_for_neighbours_are_no_crash(shape):
    assert max(shape) < 2 * RADIUS
    depth = np.arange(1, 1 + np.prod(shape), dtype=float).reshape(shape)
    color = np.zeros((*shape, 3), np.uint8)
    if max(shape) > 2:
        assert depth_quality(color, depth).score == pytest.approx(0, abs=1)
    else:
        with pytest.raises(ValueError):
            depth_quality(color, depth)
