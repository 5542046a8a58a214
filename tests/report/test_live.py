"""A camera shown live, with a made camera and a made window."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from report import live
from report.live import camera_in, show_camera, side_by_side
from utils.errors import UserError
from utils.world import World

SIZE = (24, 32)


class Camera:
    """A camera that gives so many frames, each of another grey, with a red box."""

    def __init__(self, frames: int, opens: bool = True):
        self.left, self.opens, self.settings, self.released = frames, opens, {}, False

    def isOpened(self) -> bool:
        return self.opens

    def set(self, key: int, value: float) -> None:
        self.settings[key] = value

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.left == 0:
            return False, None
        self.left -= 1
        frame = np.full((*SIZE, 3), 10 * self.left, np.uint8)
        frame[8:16, 8:16] = 0, 0, 250  # BGR
        return True, frame

    def release(self) -> None:
        self.released = True


class Window:
    """What OpenCV's functions for windows do, for a window in which these keys are pressed."""

    def __init__(self, keys: list[int], visible: float = 1.0):
        self.keys, self.visible, self.shown, self.titles, self.closed = keys, visible, [], [], False

    def patch(self, monkeypatch, camera: Camera) -> Window:
        for name, function in {
                "VideoCapture": lambda number: camera, "namedWindow": lambda name, flags: None,
                "imshow": lambda name, picture: self.shown.append(picture),
                "waitKey": lambda wait: self.keys.pop(0) if self.keys else -1,
                "getWindowProperty": lambda name, key: self.visible,
                "setWindowTitle": lambda name, title: self.titles.append(title),
                "destroyAllWindows": lambda: setattr(self, "closed", True)}.items():
            monkeypatch.setattr(cv2, name, function)
        monkeypatch.setenv("DISPLAY", ":0")
        return self


def red(frame: np.ndarray) -> np.ndarray:
    """A map that is 1 where an RGB frame is red."""
    return (frame[..., 0].astype(int) - frame[..., 2] > 100).astype(np.float32)


@pytest.mark.parametrize("key", [27, ord("q"), ord("q") + 256])
def test_frames_and_their_maps_are_shown_until_a_key_ends_it(key, monkeypatch):
    camera = Camera(9)
    window = Window([-1, ord("x"), key]).patch(monkeypatch, camera)
    assert show_camera(red, 0, ["white"]) == 3 == len(window.shown)
    assert camera.settings == {cv2.CAP_PROP_BUFFERSIZE: 1} and camera.released and window.closed
    assert len(window.titles) == 2 and "camera 0: " in window.titles[0]
    for number, picture in enumerate(window.shown):
        frame, levels, white = np.split(picture, 3, axis=1)
        assert frame[0, 0].tolist() == [10 * (8 - number)] * 3
        assert frame[10, 10].tolist() == [0, 0, 250]
        assert levels[10, 10].tolist() == [255] * 3 and levels[0, 0].tolist() == [0] * 3
        assert white[10, 10].tolist() == [0, 0, 250] and white[0, 0].tolist() == [255] * 3


def test_closing_the_window_ends_it_and_a_camera_that_stops_is_an_error(monkeypatch):
    window = Window([], visible=0.0).patch(monkeypatch, Camera(9))
    assert show_camera(red, 0, []) == 1 == len(window.shown)
    camera = Camera(2)
    window = Window([]).patch(monkeypatch, camera)
    with pytest.raises(UserError, match=r"camera 1 gives no frame after 2; is it unplugged"):
        show_camera(red, 1, [])
    assert camera.released and window.closed


def test_what_is_missing_is_named_with_its_remedy(monkeypatch):
    window = Window([]).patch(monkeypatch, Camera(0, opens=False))
    with pytest.raises(UserError, match=r"--input 3: camera 3 cannot be opened; is it plugged in"):
        show_camera(red, 3, [])
    assert window.closed

    def headless(name, flags):
        raise cv2.error("The function is not implemented. Rebuild the library")

    monkeypatch.setattr(cv2, "namedWindow", headless)
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: headless("", 0))
    with pytest.raises(UserError, match=r"pip uninstall opencv-python-headless, then pip install"):
        show_camera(red, 0, [])
    monkeypatch.setattr(live.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"no display .neither DISPLAY nor WAYLAND_DISPLAY is set"):
        show_camera(red, 0, [])


def test_a_number_is_a_camera_unless_a_file_is_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert camera_in(["0"], [], World()) == 0 and camera_in(["12"], ["blur"], World()) == 12
    assert camera_in([], [], World()) is camera_in(["a.jpg", "*"], [], World()) is None
    (tmp_path / "7").mkdir()
    assert camera_in(["7"], [], World()) is None
    for words, kinds, world, message in (
            (["0", "a.jpg"], [], World(), "camera 0 is shown alone"),
            (["0"], [], World(1, 2), "without torchrun"),
            (["0"], ["cutout"], World(), "no transparency; --save white")):
        with pytest.raises(UserError, match=message):
            camera_in(words, kinds, world)


def test_maps_are_shown_in_bytes():
    frame = np.zeros((*SIZE, 3), np.uint8)
    assert side_by_side(frame, np.full(SIZE, 0.4999, np.float32), [])[0, -1].tolist() == [127] * 3
