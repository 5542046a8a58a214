"""Films in, films out; and a camera, of which nothing is kept."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest

from report.cutouts import KINDS
from report.film import Film, film_writer, is_film, predict_film
from tests.report.test_live import Camera, Window
from tests.small_runs import predict
from utils.errors import UserError

RATE, SIZE, COUNT = 12.0, (48, 64), 7


@pytest.fixture
def film(tmp_path):
    """A box that moves to the right over grey."""
    with film_writer(tmp_path / "box.mp4", RATE, SIZE) as add:
        for number in range(COUNT):
            frame = np.full((*SIZE, 3), 90, np.uint8)
            frame[16:32, 4 * number:4 * number + 16] = 250, 40, 20
            add(frame)
    return tmp_path / "box.mp4"


def red(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Maps that are 1 where a frame is red."""
    assert 1 <= len(frames) <= 3
    return [(frame[..., 0].astype(int) - frame[..., 2] > 100).astype(float) for frame in frames]


def test_every_frame_has_its_map_at_the_films_rate_and_size(film, tmp_path):
    written = predict_film(red, 3, film, tmp_path / "out/m/input", ["overlay", "white"])
    assert written == [tmp_path / f"out/m/{folder}input/box.mp4"
                       for folder in ("", "_overlay/", "_white/")]
    for path in written:
        made = Film(path)
        assert (made.rate, made.size, made.count) == (RATE, SIZE, COUNT)
        frames = list(made.frames())
        assert len(frames) == COUNT
        made.close()
    maps = [frame.mean(axis=2) for frame in Film(written[0]).frames()]
    for number, levels in enumerate(maps):  # lossy, so that only the middle of the box is certain
        box = levels[20:28, 4 * number + 4:4 * number + 12]
        assert box.mean() > 200 and levels[40:].max() < 60
    white = next(Film(written[2]).frames())
    assert white[40:, 30:].mean() > 245 and white[24, 8, 2] < 90


def test_films_that_cannot_be_made_or_read_are_named_and_leave_nothing(film, tmp_path, capsys):
    with pytest.raises(UserError, match="without transparency; --save white"):
        predict_film(red, 3, film, tmp_path / "out", ["cutout"])
    (tmp_path / "no.mp4").write_bytes(b"no film at all")
    with pytest.raises(UserError, match=r"no.mp4: not a film that OpenCV reads"):
        predict_film(red, 3, tmp_path / "no.mp4", tmp_path / "out", [])

    def broken(frames):
        raise UserError("broken")

    with pytest.raises(UserError, match="broken"):
        predict_film(broken, 3, film, tmp_path / "out", ["white"])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()
                and path not in (film, tmp_path / "no.mp4")]
    assert is_film(str(film)) and not is_film("nowhere.mp4") and not is_film(str(tmp_path))


def test_a_film_of_fewer_frames_than_it_says_is_named(film, monkeypatch, capsys):
    cut = Film(film)
    cut.count = 9
    assert len(list(cut.frames())) == COUNT
    assert f"note: {film}: 7 of 9 frames can be read" in capsys.readouterr().err


@pytest.mark.parametrize("rate", [119.9731, 59.94006, 23.976])
def test_odd_sides_and_fast_films_are_written(tmp_path, rate):
    with film_writer(tmp_path / "a.mp4", round(rate, 2 if rate > 65 else 6), (49, 65)) as add:
        add(np.full((49, 65, 3), 200, np.uint8))
    made = Film(tmp_path / "a.mp4")
    assert made.size == (50, 66) and made.rate == pytest.approx(rate, abs=0.01)
    assert next(made.frames())[-1, -1].min() > 180


def test_a_film_of_which_frames_are_missing_is_not_kept(tmp_path, monkeypatch):
    """OpenCV writes to a full disk without a word, and leaves out frames of another size."""
    with pytest.raises(UserError, match=r"only 1 of 2 frames could be written; is the disk full"), \
            film_writer(tmp_path / "a.mp4", RATE, SIZE) as add:
        add(np.zeros((*SIZE, 3), np.uint8))
        add(np.zeros((20, 20, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_test_py_takes_films_beside_photos(trained, film, made_sets, tmp_path, capsys):
    photo = made_sets / "TINY-TE/images/00.jpg"
    assert predict(trained, tmp_path / "out", "--input", str(film), str(photo), "--save",
                   "blur") == 0
    out = tmp_path / "out/trial"
    assert "box.mp4 without its sound" in capsys.readouterr().out
    for path in (out / "input/box.mp4", out / "_blur/input/box.mp4", out / "input/00.png",
                 out / "_blur/input/00.png"):
        assert path.stat().st_size > 0
    before = (out / "input/box.mp4").read_bytes()
    assert predict(trained, tmp_path / "out", "--input", str(film)) == 2
    assert "box.mp4 is there already" in capsys.readouterr().err
    assert (out / "input/box.mp4").read_bytes() == before
    assert predict(trained, tmp_path / "alone", "--input", f"{film.parent}/*.mp4", "--show") == 0
    assert "--show and --limit are for photos" in capsys.readouterr().err
    origin = json.loads((tmp_path / "alone/trial/origin.json").read_text())
    assert origin["input"]["finished"] and origin["input"]["checkpoint"] == str(trained)
    other = tmp_path / "box.avi"
    other.write_bytes(film.read_bytes())
    assert predict(trained, tmp_path / "x", "--input", str(film), str(other)) == 2
    assert "two of them share one" in capsys.readouterr().err


def test_a_stop_leaves_no_half_of_a_film(trained, film, tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, "white", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit, match="143"):
        predict(trained, tmp_path / "out", "--input", str(film), "--save", "white")
    assert not list((tmp_path / "out").rglob("*.mp4"))


def test_test_py_shows_a_camera(trained, tmp_path, monkeypatch, capsys):
    camera = Camera(3)
    window = Window([-1, ord("q")]).patch(monkeypatch, camera)
    monkeypatch.chdir(tmp_path)
    assert predict(trained, tmp_path / "out", "--input", "0", "--save", "overlay") == 0
    assert [picture.shape for picture in window.shown] == [(24, 96, 3)] * 2
    assert "Escape or q ends it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert predict(trained, tmp_path / "out", "--input", "0", "a.jpg") == 2
    assert "camera 0 is shown alone" in capsys.readouterr().err
