"""Attributes of made images, whose values are known, and what they are held against scores with."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from data.sample import draw_pair
from report.attributes import appearance, shape, statistics
from report.attributes.output import definitions_table
from report.attributes.table import ATTRIBUTES, SIDE, measure, resized, resized_mask
from utils.paths import DOCS

HEIGHT, WIDTH = 192, 256
Y, X = np.mgrid[:HEIGHT, :WIDTH]
BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (200, 0, 0), (0, 200, 0)


def disc(radius: float, y: float = 95.5, x: float = 127.5) -> np.ndarray:
    return (Y - y) ** 2 + (X - x) ** 2 <= radius ** 2


def box(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:top + height, left:left + width] = True
    return mask


def painted(background: tuple, *parts: tuple[np.ndarray, tuple]) -> np.ndarray:
    """An image of one colour, with parts of others."""
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = background
    for mask, colour in parts:
        image[mask] = colour
    return image


# --- the mask -------------------------------------------------------------------------------------


def test_a_disc_in_the_middle():
    values = measure(None, disc(60))
    assert values["size"] == pytest.approx(math.pi * 60**2 / (HEIGHT * WIDTH), rel=0.002)
    assert values["complexity"] == pytest.approx(1, abs=0.03)
    assert values["thin"] == pytest.approx(0, abs=0.005)
    assert (values["objects"], values["border"], values["holes"]) == (1, 0, 0)
    assert values["off_centre"] == pytest.approx(0, abs=1e-9)


def test_a_square_is_less_compact_and_may_lie_aside():
    square = box(20, 30, 100, 100)
    assert shape.complexity(square) == pytest.approx(4 / math.pi, rel=0.03)
    apart = math.hypot(69.5 - 95.5, 79.5 - 127.5)
    assert shape.off_centre(square) == pytest.approx(apart / (math.hypot(HEIGHT, WIDTH) / 2))


def test_components_above_a_hundredth_are_objects():
    blobs = disc(40, x=60) | disc(40, x=190)
    assert shape.objects(blobs) == 2
    assert shape.objects(blobs | box(5, 5, 11, 11)) == 3  # 121 of 10200 pixels
    assert shape.objects(blobs | box(5, 5, 10, 9)) == 2  # 90
    assert shape.objects(disc(20) | box(0, 0, 1, 1)) == 1
    assert shape.objects(box(0, 0, 9, 9) | box(9, 9, 9, 9)) == 1  # joined by a corner


@pytest.mark.parametrize("aside, touches", [(0, 1), (1, 1), (2, 0), (50, 0)])
def test_the_border_is_two_pixels_wide(aside, touches):
    for mask in (box(50, aside, 40, 40), box(50, WIDTH - 40 - aside, 40, 40),
                 box(aside, 90, 40, 40), box(HEIGHT - 40 - aside, 90, 40, 40)):
        assert shape.touches_border(mask) == touches


def test_a_ring_has_a_hole_and_two_outlines():
    ring = disc(80) & ~disc(40)
    assert shape.holes(ring) == pytest.approx(0.25, abs=0.005)
    assert shape.complexity(ring) == pytest.approx(120**2 / (80**2 - 40**2), rel=0.03)
    assert shape.holes(ring & ~box(30, 126, 3, 3)) == shape.holes(ring)  # 9 of 20100 pixels
    cut = ring & ~box(0, 126, 96, 4)
    assert shape.holes(cut) == 0
    assert shape.holes(box(0, 0, 50, 50) & ~box(0, 10, 40, 30)) == 0  # open to the image's edge


@pytest.mark.parametrize("width, share", [(5, 5 / 65), (8, 8 / 68), (12, 0)])
def test_bars_that_are_narrow_are_lost(width, share):
    bar = box(20, 20, 60, 100) | box(120, 20, width, 100)
    assert shape.thin(bar) == pytest.approx(share, abs=0.008)
    assert shape.thin(box(0, 0, HEIGHT, 3)) == 1
    assert shape.thin(box(0, 0, HEIGHT, 60)) == 0  # the edge of the image rounds no corner


def test_what_is_thin_does_not_hang_on_how_the_mask_is_turned():
    slope = np.abs(Y - 0.4 * X - 30) < 3
    leaf = (disc(60) & disc(60, x=180)) | slope
    turned = [shape.thin(np.ascontiguousarray(np.rot90(leaf, times))) for times in range(4)]
    assert 0.05 < turned[0] < 0.5
    assert turned == turned[:1] * 4 and shape.thin(np.ascontiguousarray(leaf.T)) == turned[0]


# --- the photo ------------------------------------------------------------------------------------


def test_contrast_is_chi_square_of_the_colours_inside_and_around():
    mask = disc(40)
    left = X < 128
    assert appearance.contrast(painted(RED), mask) == 0
    assert appearance.contrast(painted(GREEN, (mask, RED)), mask) == pytest.approx(1)
    half = painted(GREEN, (mask & left, RED))  # ½ (½² / ½ + ½² / 1½)
    assert appearance.contrast(half, mask) == pytest.approx(1 / 3, abs=0.01)
    far = painted(WHITE, (disc(70), GREEN), (mask, RED))
    assert appearance.contrast(far, mask) == pytest.approx(1)
    # Only what lies within 16 pixels is the surround.
    assert appearance.contrast(painted(WHITE, (disc(40 + 17), RED)), mask) == 0
    assert appearance.contrast(painted(WHITE, (disc(40 + 12), RED)), mask) > 0.05


def test_spread_of_colours():
    mask, left = box(40, 64, 100, 128), X < 128
    image = painted((90, 90, 90), (mask & left, WHITE), (mask & ~left, BLACK))
    assert appearance.object_colours(image, mask) == pytest.approx(50, abs=0.01)  # L is 0 or 100
    assert appearance.background_colours(image, mask) == pytest.approx(0, abs=1e-3)
    quarter = painted(BLACK, (mask, GREEN), ((X >= 192) & ~mask, WHITE))
    share = ((X >= 192) & ~mask).sum() / (~mask).sum()
    assert appearance.background_colours(quarter, mask) == \
        pytest.approx(100 * math.sqrt(share * (1 - share)), abs=0.01)


@pytest.mark.parametrize("colour", [(90, 90, 90), (128, 128, 128), (200, 30, 30), (13, 77, 201)])
def test_of_one_colour_there_is_nothing(colour):
    """Not by rounding either, as images would be ranked and grouped by that."""
    values = measure(painted(colour), disc(40))
    names = ("object_colours", "background_colours", "gabor", "canny", "contrast")
    assert [values[name] for name in names] == [0] * 5


def test_edges_are_counted_once_for_each_step():
    stripes = painted(BLACK, ((X // 32) % 2 == 1, WHITE))  # 7 steps in a row of 256
    assert appearance.canny(stripes) == pytest.approx(7 / WIDTH, rel=0.03)
    assert appearance.canny(painted(RED)) == 0
    assert appearance.canny(painted((100,) * 3, (X > 99, (160,) * 3))) > 0
    assert appearance.canny(painted((100,) * 3, (X > 99, (130,) * 3))) == 0


def test_the_objects_own_edges_are_not_the_backgrounds():
    mask = box(0, 100, HEIGHT, 50)
    assert appearance.background_edges(painted(BLACK, (mask, WHITE)), mask) == 0
    step = painted(BLACK, (mask, WHITE), (X >= 200, WHITE))
    away = WIDTH - 50 - 2 * 4  # within 4 pixels of the object nothing counts
    assert appearance.background_edges(step, mask) == pytest.approx(1 / away, rel=0.05)


def test_gabor_energy_of_a_wave():
    """Each filter's gain for the wave is that of a Gaussian around its own frequency."""
    amplitude, wavelength = 0.3, 16
    wave = 0.5 + amplitude * np.cos(2 * np.pi * (X + 0.5) / wavelength)
    image = np.repeat(np.round(255 * wave)[..., None], 3, axis=2).astype(np.uint8)
    energy = 0
    for own, turn in itertools.product((8, 16, 32), range(4)):
        angle = math.pi * turn / 4
        for sign in (1, -1):
            apart = math.hypot(sign / wavelength - math.cos(angle) / own, math.sin(angle) / own)
            energy += (amplitude * math.exp(-2 * (math.pi * 0.56 * own * apart) ** 2)) ** 2
    assert appearance.gabor(image) == pytest.approx(100 * math.sqrt(energy / 12), rel=0.01)
    turned = np.ascontiguousarray(image.transpose(1, 0, 2))
    assert appearance.gabor(turned) == pytest.approx(appearance.gabor(image), rel=1e-3)
    assert appearance.gabor(painted(RED)) == pytest.approx(0, abs=1e-4)


# --- all of them ----------------------------------------------------------------------------------


def test_what_an_image_does_not_have_is_nan():
    image, mask = painted(RED), disc(50)

    def missing(values):
        return {name for name, value in values.items() if math.isnan(value)}

    of_photo = {name for name, a in ATTRIBUTES.items() if a.of_photo}
    of_object = {name for name, a in ATTRIBUTES.items() if a.of_object}
    assert missing(measure(image, mask)) == set()
    assert missing(measure(None, mask)) == of_photo
    assert missing(measure(image, np.zeros_like(mask))) == of_object
    assert missing(measure(image, np.ones_like(mask))) == {"contrast", "background_colours",
                                                           "background_edges"}
    assert math.isnan(appearance.gabor(image[:1]))
    tiny = np.zeros((2000, 2000), bool)
    tiny[7, 7] = True  # too small for the working size, but there is an object
    assert missing(measure(None, tiny)) == (of_photo | of_object) - {"size"}
    assert measure(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), bool))["size"] == 1


@pytest.mark.parametrize("image, mask", [
    (None, np.zeros((4, 4))), (None, np.zeros((4, 4, 1), bool)), (None, np.zeros((0, 4), bool)),
    (np.zeros((4, 4), np.uint8), np.zeros((4, 4), bool)),
    (np.zeros((4, 4, 3)), np.zeros((4, 4), bool))])
def test_other_arrays_are_refused(image, mask):
    with pytest.raises(ValueError, match="not "):
        measure(image, mask)


@pytest.mark.parametrize("scale", [0.5, 0.75, 2])
def test_another_size_changes_attributes_by_no_more_than_the_docs_tell(scale):
    """The bound is that of 95 of 100 real images at 0.5; of these drawn ones, the median keeps it,
    flags and counts do on most."""
    random, changes = np.random.default_rng(1), []
    for _ in range(8):
        image, mask = draw_pair(random)
        whole = (320, 400)
        image, mask = resized(image, whole), resized_mask(mask > 0, whole)
        size = round(scale * whole[0]), round(scale * whole[1])
        before, after = measure(image, mask), measure(resized(image, size),
                                                      resized_mask(mask, size))
        changes.append([abs(after[name] - before[name]) for name in ATTRIBUTES])
    typical = dict(zip(ATTRIBUTES, np.median(changes, axis=0), strict=True))
    assert {name for name, change in typical.items()
            if change > (0 if ATTRIBUTES[name].counts or ATTRIBUTES[name].kind == "flag"
                         else ATTRIBUTES[name].stable)} == set()


def test_values_do_not_depend_on_where_arrays_lie_in_memory():
    """Else figures would differ from one run to the next."""
    image, mask = draw_pair(np.random.default_rng(2))
    mask = mask > 0
    room = np.empty(image.size + 64, np.uint8)
    for offset in (1, 8, 13, 24, 33, 60):
        moved = room[offset:offset + image.size].reshape(image.shape)
        moved[...] = image
        for attribute in ATTRIBUTES.values():
            arrays = {"image": image, "mask": mask, "given": mask}
            first = attribute.compute(*(arrays[name] for name in attribute.needs))
            arrays["image"] = moved
            assert attribute.compute(*(arrays[name] for name in attribute.needs)) == first
    masks = [np.pad(mask, (0, n))[:mask.shape[0], :mask.shape[1]] for n in range(6)]
    assert len({shape.complexity(np.pad(own, 1)) for own in masks}) == 1


def test_the_docs_have_the_table():
    table = definitions_table()
    assert table in (DOCS / "attributes.md").read_text(encoding="utf-8")
    assert {line.count("|") for line in table.splitlines()} == {8}  # none within a cell
    assert SIDE == 256


# --- statistics -----------------------------------------------------------------------------------


def test_ranks_share_ties():
    np.testing.assert_array_equal(statistics.ranks(np.array([3, 1, 3, 2, 3.0])), [4, 1, 4, 2, 4])


def test_correlations_by_hand():
    x, y = np.array([1, 2, 3, 4.0]), np.array([1, 2, 2, 9.0])
    # Deviations -1.5 -.5 .5 1.5 and -2.5 -1.5 -1.5 5.5: 12 / √(5 · 41).
    assert statistics.pearson(x, y) == pytest.approx(12 / math.sqrt(205))
    # Ranks of y: 1, 2.5, 2.5, 4: 4.5 / √(5 · 4.5).
    assert statistics.spearman(x, y) == pytest.approx(math.sqrt(0.9))
    assert statistics.spearman(x, -np.exp(x)) == pytest.approx(-1)
    for flat in (np.full(4, 0.1), np.full(4, 1 / 3)):
        assert math.isnan(statistics.pearson(x, flat))
    assert math.isnan(statistics.pearson(x[:2], y[:2]))
    rounded = 1 - 1e-14 * x  # as Sm of perfect maps
    assert math.isnan(statistics.pearson(x, rounded))
    assert math.isnan(statistics.spearman(x, rounded))
    assert statistics.pearson(x, 1 - 1e-7 * x) == pytest.approx(-1, abs=1e-5)


def test_correlations_are_scipys():
    scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is not installed")
    random = np.random.default_rng(0)
    x = random.integers(0, 6, 50).astype(float)
    y = x + random.normal(0, 3, 50).round()
    assert statistics.pearson(x, y) == pytest.approx(scipy_stats.pearsonr(x, y)[0])
    assert statistics.spearman(x, y) == pytest.approx(scipy_stats.spearmanr(x, y)[0])


def members(name: str, values: list) -> list[list[int]]:
    groups = statistics.groups_of(ATTRIBUTES[name], np.array(values, dtype=float))
    return [group.members.tolist() for group in groups]


def test_quartiles_part_no_equal_values():
    assert members("size", [0.8, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]) == [[1, 2], [3, 4], [5, 6],
                                                                         [0, 7]]
    assert members("objects", [1, 1, 1, 1, 1, 1, 2, 3]) == [[0, 1, 2, 3, 4, 5], [6, 7]]
    assert members("holes", [0, 0, 0, 0]) == [[0, 1, 2, 3]]
    assert members("size", [0.1, math.nan, 0.3]) == [[0], [2]]
    assert members("size", [math.nan]) == []


def test_flags_part_no_from_yes():
    assert members("border", [1, 0, 1, math.nan]) == [[1], [0, 2]]
    groups = statistics.groups_of(ATTRIBUTES["border"], np.ones(3))
    assert [(group.label, len(group.members)) for group in groups] == [("yes", 3)]


def test_intervals_of_means():
    random = np.random.default_rng(3)
    scores = random.normal(2, 1, (400, 2)) * (1, 3)
    low, high = statistics.mean_interval(scores)
    error = scores.std(axis=0) / 20
    np.testing.assert_allclose((low + high) / 2, scores.mean(axis=0), atol=0.1 * error.max())
    np.testing.assert_allclose(high - low, 2 * 1.96 * error, rtol=0.08)
    np.testing.assert_array_equal(statistics.mean_interval(scores), [low, high])
    assert np.isnan(statistics.mean_interval(np.ones((1, 1)))).all()  # which tells of no other
