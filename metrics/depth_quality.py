"""Quality of a depth map, judged by its colour image, without a true depth.

After Le, Jung and Won, "A new depth image quality metric using a pair of color and depth images",
Multimedia Tools and Applications 2016. Its text is closed. What is known of it: the local
distortion is taken differently at edge pixels and at other pixels of the depth map, at the others
as the residual of a pixel against the mean of two opposite neighbours, over directions; each is
weighted by the Gabor response of the colour image there, and the sum is the score. All formulas and
constants here are this repository's own, so these are not the paper's numbers; docs/depth.md says
what they are for, and measures them.

    d  depth divided by its spread, four times its mean distance from its median (the range, where
       depths are spread evenly), of the valid pixels
    g  Gabor response of the colours across the depth's gradient, as a share of the strongest of
       all directions within RADIUS: how likely a colour edge runs as the depth's does, in [0, 1)
    w  (1 − g)⁴, the weight of what the colours do not explain
    R  range of d within RADIUS: near an edge, the height of its step
    h  2 R less the range of d within 2 RADIUS: the step's height without the slope beside it, as a
       slope's range doubles with the distance, and a step's does not
    k  whether a pixel is an edge pixel: 0 up to an h of the first of EDGE, 1 from the second on,
       and between them in proportion
    s  steepest slope of d between two opposite neighbours, over four directions, as a share of R
    t  distance of d from the lowest or the highest d within RADIUS, whichever is nearer, as a share
       of R, where s > STEEP; 0 elsewhere
    r² square of the residual of d against their mean, averaged over the directions

    edges² = mean over the pixels of k · (t² + w · s²)
    residuals² = mean over the pixels of w · r²
    score = edges + residuals

t is large in ramps: a blurred step spends pixels between its two levels. s is large in steps, so
that w tells one upon a colour edge, which costs nearly nothing, from one beside it (misaligned) or
without it (blocks). Both are shares of the step's height, which coarse levels round up or down.
r is what noise, blocks and coarse levels leave on surfaces; at true edges w takes it away.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

RADIUS = 8  # pixels around a pixel in which the depth's range and the strongest response are taken
EDGE = 0.15, 0.35  # shares of the depth's spread, from which on a step counts, and counts fully
POWER = 4  # of the weight
STEEP = 1 / 20  # share of R within a pixel
#: Offset to one of two opposite neighbours; the second is as far on the other side.
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
SMOOTH = 2.0  # deviation, in pixels, of the Gaussian before the depth's gradient
ORIENTATIONS = 8  # of the Gabor filters
WAVELENGTH, SIGMA, ASPECT = 5.0, 2.5, 0.5  # in pixels, pixels, and length to width
FAINT = 0.01  # a Gabor response, of colours in [0, 1], that a textureless region has by its noise


@dataclass(frozen=True)
class DepthQuality:
    """What ``depth_quality`` gives, all as shares of 1.

    Attributes:
        score: the sum of the two parts, each a share of the depth's spread; lower is better.
        edges: what edge pixels alone have: ramps, and steps without a colour edge.
        residuals: what all pixels have, edge pixels too.
        valid: the share of the image's pixels that were judged.
    """

    score: float
    edges: float
    residuals: float
    valid: float


def depth_quality(color: np.ndarray, depth: np.ndarray,
                  invalid: float | None = 0) -> DepthQuality:
    """The quality of a depth map, the better the lower; see the module's docstring.

    A factor on the depth, an offset that moves no valid pixel to ``invalid``, and an exchange of
    near and far do not change it.

    Args:
        color: uint8 (H, W, 3), or grey (H, W).
        depth: (H, W), of any integers or floats.
        invalid: the value of pixels without depth, which are left out with every pair of neighbours
            that touches them; None where every value is a depth. NaN and infinity are left out
            always.

    Raises:
        ValueError: shapes or types that do not fit; no valid depth, or nothing but one value of it.
    """
    require_pair(color, depth)
    values = depth.astype(np.float64)  # bytes would overflow in differences
    valid = np.isfinite(values) if invalid is None else np.isfinite(values) & (values != invalid)
    values = np.where(valid, values, 0) / spread(values[valid])
    slope, residual, judged = local_distortion(values, valid)
    if not judged.any():
        raise ValueError("no valid pixel lies between two valid neighbours, so that none is judged")
    lowest, highest = local_extremes(values, valid, RADIUS)
    farther = local_extremes(values, valid, 2 * RADIUS)
    around = highest - lowest
    step = 2 * around - (farther[1] - farther[0])
    is_edge = np.clip((step - EDGE[0]) / (EDGE[1] - EDGE[0]), 0, 1)
    around = np.maximum(around, EDGE[0])  # lower ones do not count, and may be 0
    ramp = np.where(slope > STEEP * around, np.minimum(values - lowest, highest - values), 0)
    weight = (1 - color_edges(color, orientation(values, valid))) ** POWER
    edges = np.sqrt((is_edge * (ramp**2 + weight * slope**2) / around**2)[judged].mean())
    residuals = np.sqrt((weight * residual)[judged].mean())
    return DepthQuality(float(edges + residuals), float(edges), float(residuals),
                        float(judged.mean()))


def require_pair(color: np.ndarray, depth: np.ndarray) -> None:
    """Raises:
        ValueError: not an image and a depth map of one size.
    """
    if color.dtype != np.uint8 or color.ndim not in (2, 3) or color.shape[2:] not in ((), (3,)):
        raise ValueError(f"an image is uint8 of shape (H, W, 3) or (H, W), not {color.dtype} "
                         f"{color.shape}")
    if depth.ndim != 2 or depth.dtype.kind not in "uif":
        raise ValueError(f"a depth map is (H, W) of integers or floats, not {depth.dtype} "
                         f"{depth.shape}")
    if color.shape[:2] != depth.shape:
        raise ValueError(f"sizes differ: the image is {color.shape[:2]}, its depth {depth.shape}")


def spread(values: np.ndarray) -> float:
    """Four times the mean distance of depths (N,) from their median. It hardly moves when they are
    rounded to few levels, as quantiles do.

    Raises:
        ValueError: no values, or only one.
    """
    if values.size == 0:
        raise ValueError("no valid depth: every pixel is marked as invalid")
    width = 4 * float(np.abs(values - np.median(values)).mean())
    if width == 0:
        raise ValueError(f"the depth is {values[0]:g} everywhere, which tells nothing")
    return width


def local_distortion(depth: np.ndarray,
                     valid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth (H, W) → the steepest slope and the mean square of the residuals, both (H, W), and
    which pixels have any pair of opposite neighbours that are valid with it."""
    slope, residual, pairs = np.zeros(depth.shape), np.zeros(depth.shape), np.zeros(depth.shape)
    rows, columns = depth.shape
    for down, right in DIRECTIONS:
        side = abs(right)

        def shifted(array: np.ndarray, way: int, down=down, right=right, side=side) -> np.ndarray:
            """The pixels that have both neighbours (0), or these neighbours (1 and -1)."""
            top, left = down + way * down, side + way * right
            return array[top:top + max(rows - 2 * down, 0), left:left + max(columns - 2 * side, 0)]

        whole = shifted(valid, -1) & shifted(valid, 0) & shifted(valid, 1)
        before, here, after = (shifted(depth, way) for way in (-1, 0, 1))
        steep = np.abs(after - before) / (2 * np.hypot(down, right)) * whole
        shifted(residual, 0)[...] += ((before + after) / 2 - here) ** 2 * whole
        shifted(pairs, 0)[...] += whole
        np.maximum(shifted(slope, 0), steep, out=shifted(slope, 0))
    return slope, residual / np.maximum(pairs, 1), pairs > 0


def local_extremes(depth: np.ndarray, valid: np.ndarray,
                   radius: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest valid depth (H, W) in the square around each pixel."""
    low, high = depth[valid].min(), depth[valid].max()
    return (cv2.erode(np.where(valid, depth, high), square(radius)),
            cv2.dilate(np.where(valid, depth, low), square(radius)))


def square(radius: int) -> np.ndarray:
    """All pixels that are at most so far away in both directions."""
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)


def orientation(depth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The direction of the smoothed depth's gradient, as the number (H, W) of the Gabor filter
    that responds most to a colour edge of this direction."""
    known = cv2.GaussianBlur(valid.astype(np.float64), (0, 0), SMOOTH)
    smooth = cv2.GaussianBlur(depth * valid, (0, 0), SMOOTH) / np.maximum(known, 1e-6)
    angle = np.arctan2(cv2.Sobel(smooth, -1, 0, 1), cv2.Sobel(smooth, -1, 1, 0))
    return np.round(angle / np.pi * ORIENTATIONS).astype(int) % ORIENTATIONS


def color_edges(color: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """An image, and the number of a Gabor filter for each pixel (H, W) → how likely a colour edge
    of this filter's direction is there, (H, W) in [0, 1)."""
    responses = gabor_responses(color)
    strongest = cv2.dilate(responses.max(axis=0), square(RADIUS))
    return np.take_along_axis(responses, numbers[None], axis=0)[0] / (strongest + FAINT)


def gabor_responses(color: np.ndarray) -> np.ndarray:
    """An image uint8 (H, W) or (H, W, 3) → the amplitude of its Gabor responses, of the strongest
    channel, float32 (ORIENTATIONS, H, W). Two filters a quarter of a period apart give it, so that
    it does not depend on where in the period an edge lies."""
    pixels = color.astype(np.float32) / 255
    responses = np.zeros((ORIENTATIONS, *color.shape[:2]), np.float32)
    for number in range(ORIENTATIONS):
        even, odd = (cv2.filter2D(pixels, -1, gabor_kernel(number * np.pi / ORIENTATIONS, phase),
                                  borderType=cv2.BORDER_REFLECT) for phase in (0, np.pi / 2))
        amplitude = np.hypot(even, odd)
        responses[number] = amplitude if color.ndim == 2 else amplitude.max(axis=2)
    return responses


def gabor_kernel(angle: float, phase: float) -> np.ndarray:
    """A Gabor filter, float32, without a mean, whose absolute values add up to 1."""
    side = 6 * int(np.ceil(SIGMA)) + 1
    kernel = cv2.getGaborKernel((side, side), SIGMA, angle, WAVELENGTH, ASPECT, phase, cv2.CV_32F)
    kernel -= kernel.mean()
    return kernel / np.abs(kernel).sum()
