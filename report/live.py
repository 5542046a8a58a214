"""A camera shown live: each frame beside its saliency map, in a window."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from utils.errors import UserError
from utils.world import World

from .cutouts import KINDS

_TITLE = "saliency"
_QUIT = (27, ord("q"))  # Escape, q
_SLOWLY = 0.9  # of the mean time of a frame, that the past counts


def camera_in(words: Sequence[str], kinds: Sequence[str], world: World) -> int | None:
    """The camera that --input names by its number, where that is no file's name; None for others.

    Raises:
        UserError: it is named beside other words or in several processes, or one of these ``kinds``
            of pictures has no place in a window.
    """
    cameras = [word for word in words if word.isdecimal() and not Path(word).exists()]
    if not cameras:
        return None
    if len(words) > 1:
        raise UserError(f"--input {' '.join(words)}: camera {cameras[0]} is shown alone; predict "
                        "the others in a run of their own")
    if world.size > 1:
        raise UserError("--input: a camera is shown by one process; run test.py without torchrun")
    if "cutout" in kinds:
        raise UserError("--save cutout: a window has no transparency; --save white puts the object "
                        "before white")
    return int(cameras[0])


def require_window(camera: int) -> None:
    """Open the window in which a camera is shown.

    Raises:
        UserError: there is no display, or this OpenCV has no windows.
    """
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY")
                                                 or os.environ.get("WAYLAND_DISPLAY")):
        # OpenCV's windows end the whole process where there is no display.
        raise UserError(f"--input {camera}: a camera is shown in a window, and there is no display "
                        "(neither DISPLAY nor WAYLAND_DISPLAY is set); run it in a desktop "
                        "session or through ssh -X, or record a film and give that to --input")
    try:
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL)
    except cv2.error:
        raise UserError(f"--input {camera}: a camera is shown in a window, which "
                        "opencv-python-headless does not have; pip uninstall "
                        "opencv-python-headless, then pip install opencv-python") from None


@contextmanager
def _opened(camera: int) -> Iterator[cv2.VideoCapture]:
    """The camera's capture, released when the block ends.

    Raises:
        UserError: it cannot be opened.
    """
    capture = cv2.VideoCapture(camera)
    try:
        if not capture.isOpened():
            devices = sorted(str(path) for path in Path("/dev").glob("video*"))
            where = f"; cameras of this machine: {', '.join(devices)}" if devices else ""
            raise UserError(f"--input {camera}: camera {camera} cannot be opened; is it plugged "
                            "in, not in use by another program, and allowed to be read?" + where)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # frames that waited would be shown late
        yield capture
    finally:
        capture.release()


def show_camera(predict: Callable[[np.ndarray], np.ndarray], camera: int,
                kinds: Sequence[str]) -> int:
    """Show a camera's frames, their maps, and pictures of these ``kinds`` side by side until
    Escape or q is pressed or the window is closed. Nothing is written. Returns how many frames.

    Args:
        predict: a frame, RGB uint8 (H, W, 3) → its map, float (H, W) in [0, 1].

    Raises:
        UserError: see ``require_window``; the camera cannot be opened, or stops giving frames.
    """
    require_window(camera)
    count, seconds = 0, 0.0
    try:
        with _opened(camera) as capture:
            print(f"camera {camera}: Escape or q ends it; nothing is written", file=sys.stderr)
            while True:
                start = time.perf_counter()
                decoded, frame = capture.read()
                if not decoded:
                    raise UserError(f"--input {camera}: camera {camera} gives no frame after "
                                    f"{count}; is it unplugged, or used by another program?")
                cv2.imshow(_TITLE, side_by_side(frame, predict(frame[..., ::-1]), kinds))
                count += 1
                if cv2.waitKey(1) & 255 in _QUIT or \
                        cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1:
                    return count
                last = time.perf_counter() - start
                seconds = last if count == 1 else _SLOWLY * seconds + (1 - _SLOWLY) * last
                cv2.setWindowTitle(_TITLE, f"camera {camera}: {1 / seconds:.1f} frames a second")
    finally:
        cv2.destroyAllWindows()


def side_by_side(frame: np.ndarray, saliency: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    """A frame, BGR uint8 (H, W, 3), its map, float (H, W) in [0, 1], and pictures of both, as one
    picture for OpenCV: BGR uint8 (H, W × (2 + number of ``kinds``), 3)."""
    levels = np.round(255 * saliency).astype(np.uint8)
    panels = [KINDS[kind](frame[..., ::-1], levels)[..., ::-1] for kind in kinds]
    return np.hstack([frame, np.repeat(levels[..., None], 3, axis=2), *panels])
