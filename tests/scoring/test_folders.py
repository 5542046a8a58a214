"""A folder scored against its masks: devices, cores, digests, and what is wrong with files."""

from __future__ import annotations

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from data import Pair
from scoring import ScoringOptions, folders, score_folder
from tests.maps import DEVICES, reference
from utils.errors import UserError


@pytest.fixture
def pairs(sets) -> list[Pair]:
    return [Pair(path.stem, None, path) for path in sorted((sets / "TINY-TR/masks").iterdir())]


@pytest.fixture
def maps(pairs, tmp_path):
    """Ten maps, duller than the truth of TINY-TR."""
    folder = tmp_path / "maps"
    folder.mkdir()
    for pair in pairs:
        Image.fromarray(np.array(Image.open(pair.mask)) // 2 + 40).save(folder / pair.mask.name)
    return sorted(folder.iterdir())


def test_a_device_scores_folders_the_same(maps, pairs):
    on_cpu = score_folder(maps, pairs)
    on_device = score_folder(maps, pairs, options=ScoringOptions(device="cpu:0"))
    assert on_cpu.evaluator.images == 10
    assert on_device.evaluator.compute() == pytest.approx(on_cpu.evaluator.compute(), abs=1e-12)
    assert on_device.evaluator.per_image.keys() == on_cpu.evaluator.per_image.keys()
    assert on_device.content == on_cpu.content


def test_chunks_of_any_length_score_the_same(maps, pairs, monkeypatch):
    for pair in (pairs[1], pairs[4], pairs[5]):
        Image.new("L", Image.open(pair.mask).size).save(pair.mask)
    whole = score_folder(maps, pairs).evaluator
    monkeypatch.setattr(folders, "_CHUNK", 3)
    result = score_folder(maps, pairs)
    assert result.empty == 3
    chunks = result.evaluator
    assert list(chunks.per_image.items()) == list(whole.per_image.items())
    assert chunks.compute() == pytest.approx(whole.compute(), abs=1e-12)


def test_threads_are_as_many_as_the_container_may_use(maps, pairs, monkeypatch, tmp_path):
    (tmp_path / "cpu.max").write_text("300000 100000")
    monkeypatch.setattr("utils.machine._CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    threads = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, number):
            threads.append(number)
            super().__init__(number)

    monkeypatch.setattr(folders, "ThreadPoolExecutor", Pool)
    assert score_folder(maps, pairs).evaluator.images == 10
    assert threads == [3]


def test_content_is_of_maps_masks_and_names(maps, pairs):
    def digest(*contents: bytes) -> bytes:
        total = hashlib.blake2b(digest_size=16)
        for content in contents:
            total.update(len(content).to_bytes(8, "little") + content)
        return total.digest()

    total = hashlib.blake2b(digest_size=16)
    for path, pair in zip(maps, pairs, strict=True):
        total.update(os.fsencode(pair.name) + b"\0"
                     + digest(b"", path.read_bytes(), pair.mask.read_bytes()))
    assert score_folder(maps, pairs).content == total.hexdigest()  # as rows of before have it
    pixels = np.array(Image.open(pairs[3].mask))
    pixels[0, 0] ^= 255
    Image.fromarray(pixels).save(pairs[3].mask)
    assert score_folder(maps, pairs).content != total.hexdigest()


def test_content_tells_how_a_mask_is_turned(maps, pairs, tmp_path):
    before = score_folder(maps[:1], pairs[:1]).content
    exif = Image.Exif()
    contents = []
    for turn in (1, 3):
        exif[0x0112] = turn
        image = tmp_path / f"{turn}.png"
        Image.new("RGB", Image.open(pairs[0].mask).size).save(image, exif=exif)
        pair = Pair(pairs[0].name, image, pairs[0].mask)
        contents.append(score_folder(maps[:1], [pair]).content)
    assert contents[0] == before != contents[1]


def test_a_file_that_may_not_be_read_is_listed(maps, pairs, monkeypatch):
    def denied(path):
        if path == maps[2]:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    original = type(maps[2]).read_bytes
    monkeypatch.setattr(type(maps[2]), "read_bytes", denied)
    result = score_folder(maps, pairs)
    assert result.problems == [f"{maps[2]}: Permission denied"]
    assert (result.evaluator.images, result.expected, len(result.digests)) == (9, 10, 9)


@pytest.mark.parametrize("device", DEVICES)
def test_a_measure_without_its_package_is_the_users_error(maps, pairs, monkeypatch, device):
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    with pytest.raises(UserError, match="pip install scikit-image"):
        score_folder(maps, pairs, options=ScoringOptions(device, measures=("HCE",)))


def test_maps_of_the_released_wssa_weights(shared):
    """16 of the 1000; docs/evaluation.md has the scores of all."""
    maps = shared / "data/mini/maps/WSSA/ECSSD"
    masks = shared / "data/mini/ECSSD/ground_truth_mask"
    result = score_folder(maps.glob("*.png"), [Pair(path.stem, None, path)
                                               for path in sorted(masks.glob("*.png"))])
    assert (result.problems, result.evaluator.images) == ([], 16)
    each = [reference(*(np.array(Image.open(folder / path.name).convert("L"))
                        for folder in (maps, masks))) for path in sorted(maps.glob("*.png"))]
    row = result.evaluator.compute()
    for name in ("MAE", "adpF", "wF", "Sm", "adpE"):
        assert row[name] == pytest.approx(np.mean([numbers[name] for numbers in each]), abs=1e-12)
    for name in ("F", "E"):
        curve = np.mean([numbers[name] for numbers in each], axis=0)
        assert row[f"max{name}"] == pytest.approx(curve.max(), abs=1e-12)
        assert row[f"mean{name}"] == pytest.approx(curve.mean(), abs=1e-12)


def test_profiles_that_lack_a_measure_are_scored_without_it():
    options = ScoringOptions(measures=("MAE", "F", "E", "AUC"))
    assert options.under("tracer").measures == ("MAE", "F")


def test_of_a_large_pair_the_sizes_are_compared_before_pixels_are_decoded(maps, pairs, monkeypatch):
    width, height = Image.open(pairs[2].mask).size
    Image.new("L", (width + 3, height)).save(maps[2])
    small = score_folder(maps, pairs).problems
    decoded, read_map = [], folders.read_map
    monkeypatch.setattr(folders, "LARGE", 10)
    monkeypatch.setattr(folders, "read_map", lambda path: (decoded.append(path), read_map(path))[1])
    result = score_folder(maps, pairs)
    assert result.problems == small == [
        f"{maps[2]} is {width + 3}×{height}, its mask {width}×{height}: --resize brings it to the "
        "mask's size"]
    assert maps[2] not in decoded and len(decoded) == result.evaluator.images == 9
