"""The cache: what it gives is what the files give, within its bounds."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import data.cache
import data.layers
import data.loader
from data import find_pairs
from data.edges import find_masks
from data.fingerprint import fingerprint
from data.loader import Draw, evaluation_loader, training_loader
from data.transforms import denormalise
from utils.choices import IMAGE_RESIZES
from utils.errors import UserError
from utils.world import World

from .made import data_config, same_batches
from .mask_codings import indexed, with_void


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("full_before", [False, True])
def test_cached_samples_equal_decoded_ones(made_sets, tmp_path, workers, full_before):
    pairs = find_pairs("TINY-TR", made_sets)
    moves = {"flip": 0.5, "crop": 0.5, "scales": [0.75, 1.0], "size": 64, "workers": workers}
    expected = [epoch_of(pairs, number, cache="none", **moves) for number in (1, 2)]
    for cache in ("memory", str(tmp_path)):
        loader = training_loader(pairs, data_config(cache=cache, **moves), batch=3, seed=7)
        if full_before:
            loader.data.require_sound("pairs")
        for number in (1, 2):
            loader.set_epoch(number)
            assert same_batches(expected[number - 1], list(loader))


@pytest.mark.parametrize("method", IMAGE_RESIZES)
def test_training_sees_the_images_that_prediction_sees(made_sets, method):
    """With their fractions, where the resize gives fractions; decoded and cached."""
    pairs = find_pairs("TINY-TR", made_sets)
    config = data_config(image_resize=method, size=50)
    predicted = evaluation_loader(pairs, config, len(pairs))
    (expected,) = list(predicted)
    pixels = 255 * denormalise(expected["image"], config.mean, config.std)
    assert bool(((pixels - pixels.round()).abs() > 0.1).any()) == method.startswith("skimage")
    loader = training_loader(pairs, config, len(pairs), seed=0)
    for _ in range(2):
        (batch,) = list(loader)
        order = [int(index) for index in batch["index"]]
        assert torch.equal(batch["image"], expected["image"][order])
    # Changes of colours take bytes.
    changed = data_config(image_resize=method, size=50, augment=[{"brightness": {"p": 1}}])
    (batch,) = list(training_loader(pairs, changed, len(pairs), seed=0))
    pixels = 255 * denormalise(batch["image"], config.mean, config.std)
    assert torch.allclose(pixels, pixels.round(), atol=1e-3)


def epoch_of(pairs, number: int, **changes) -> list[dict]:
    loader = training_loader(pairs, data_config(**changes), batch=3, seed=7)
    loader.set_epoch(number)
    return list(loader)


def image_of(samples, index: int) -> torch.Tensor:
    return samples[Draw(index, (32, 32), seed=0)]["image"]


@pytest.fixture
def decodings(monkeypatch) -> list[str]:
    """Stems of the images that are decoded."""
    stems = []
    real = data.layers.decode_image
    monkeypatch.setattr(data.layers, "decode_image",
                        lambda path: (stems.append(path.stem), real(path))[1])
    return stems


def test_names_that_are_not_utf_8_are_kept_too(sets, tmp_path, decodings):
    """And tell pairs apart; their folder's name is as strange."""
    name = os.fsdecode("图集".encode("gbk"))
    (sets / "TINY-TE").rename(sets / name)
    for folder, kind in (("images", ".jpg"), ("masks", ".png")):
        path = sets / name / folder / f"00{kind}"
        path.rename(path.with_name(name + kind))
    pairs = find_pairs(str(sets / name), sets)
    for _ in range(2):
        loader = training_loader(pairs, data_config(cache=str(tmp_path / name)), batch=3, seed=0)
        assert name in [stem for batch in loader for stem in batch["name"]]
    assert len(decodings) == len(pairs)
    assert fingerprint(pairs, World()) != fingerprint(pairs[::-1], World())


def test_files_are_decoded_once_until_they_change(sets, tmp_path, decodings):
    pairs = find_pairs("TINY-TR", sets)
    for cache in ("memory", str(tmp_path / "kept")):
        loader = training_loader(pairs, data_config(cache=cache), batch=3, seed=0)
        loader.data.require_sound("pairs")
        for number in range(3):
            loader.set_epoch(number)
            list(loader)
        assert sorted(decodings) == [pair.name for pair in pairs]
        before = image_of(loader.data, 4)
        picture = Image.open(pairs[4].image).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        picture.save(pairs[4].image, quality=80)
        decodings.clear()
        assert not torch.equal(image_of(loader.data, 4), before)
        assert decodings == ["04"]
        decodings.clear()
    again = training_loader(pairs, data_config(cache=str(tmp_path / "kept")), batch=3, seed=0)
    again.data.require_sound("pairs")  # another run, the same folder
    list(again)
    assert decodings == []


def test_another_coding_of_the_masks_is_decoded_again(sets, tmp_path, decodings):
    for path in sorted((sets / "TINY-TR/masks").iterdir()):
        inside = np.array(Image.open(path)) > 128
        indexed(with_void(inside, 5, 0, 255)).save(path)
    means = []
    for void in ("background", "foreground", "background"):
        config = data_config(cache=str(tmp_path / "kept"), mask_void=void)
        loader = training_loader(find_masks("TINY-TR", sets, options=config), config, 10, seed=0)
        loader.data.require_sound("pairs")
        means.append(next(iter(loader))["mask"].mean().item())
    assert means[0] == means[2] < means[1]
    assert len(decodings) == 30  # the file keeps one coding


def test_a_damaged_record_is_decoded_again(made_sets, tmp_path, decodings):
    pairs = find_pairs("TINY-TR", made_sets)
    config = data_config(cache=str(tmp_path))
    expected = training_loader(pairs, config, batch=3, seed=0).data
    expected.require_sound("pairs")
    (file,) = tmp_path.glob("*.samples")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    decodings.clear()
    again = training_loader(pairs, config, batch=3, seed=0).data
    assert all(torch.equal(image_of(again, i), image_of(expected, i)) for i in range(len(pairs)))
    assert len(decodings) == 1


def test_the_cache_keeps_to_its_bounds(made_sets, tmp_path, decodings, capsys):
    pairs = find_pairs("TINY-TR", made_sets)
    record = 4 * 32 * 32 + 40
    config = data_config(cache=str(tmp_path), cache_gb=4.5 * record / 1e9)
    loader = training_loader(pairs, config, batch=3, seed=0)
    assert "4 of 10 pairs fit" in capsys.readouterr().err
    loader.data.require_sound("pairs")
    assert len(decodings) == 4
    decodings.clear()
    assert len({name for batch in loader for name in batch["name"]}) == 10
    assert len(decodings) == 6
    for size in (32, 64, 96):  # other sizes: other files, of which the older ones go
        training_loader(pairs, data_config(cache=str(tmp_path), cache_gb=1e-4, size=size), 3, 0)
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1e5


@pytest.mark.parametrize("cache, before", [("none", 0), ("folder", 0),
                                           ("memory", 10 * (32 + 4 * 32 * 32))])
def test_the_memory_that_a_cache_will_take_is_known(made_sets, tmp_path, cache, before):
    """A header of 32 bytes, and four planes."""
    config = data_config(cache=str(tmp_path) if cache == "folder" else cache)
    loader = training_loader(find_pairs("TINY-TR", made_sets), config, 3, 0)
    assert loader.data.cache_to_come == before
    loader.data.require_sound("pairs")
    assert loader.data.cache_to_come == 0


def test_a_cache_without_room_says_so(made_sets, tmp_path, monkeypatch):
    pairs = find_pairs("TINY-TR", made_sets)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(data.cache.os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"data\.cache.*No space left.*Lower data\.cache_gb"):
        training_loader(pairs, data_config(cache=str(tmp_path)), batch=3, seed=0)


def test_a_file_that_changes_while_it_is_read_is_read_again(sets, tmp_path, monkeypatch):
    pairs = find_pairs("TINY-TR", sets)
    loader = training_loader(pairs, data_config(cache=str(tmp_path / "kept")), batch=3, seed=0)
    real, red = data.layers.decode_image, Image.new("RGB", (64, 64), (200, 0, 0))

    def decode_then_change(path):
        image = real(path)
        red.resize(image.size).save(path)
        return image

    monkeypatch.setattr(data.layers, "decode_image", decode_then_change)
    image_of(loader.data, 0)
    monkeypatch.setattr(data.layers, "decode_image", real)
    assert abs(int(image_of(loader.data, 0)[0].float().mean()) - 200) < 5


def test_a_file_that_vanishes_is_named(sets):
    pairs = find_pairs("TINY-TR", sets)
    loader = training_loader(pairs, data_config(), batch=3, seed=0)
    loader.data.require_sound("pairs")
    pairs[0].image.unlink()
    with pytest.raises(UserError, match=r"00\.jpg: cannot be decoded \(no such file\)"):
        image_of(loader.data, 0)


def test_a_lower_bound_shortens_the_file(made_sets, tmp_path):
    pairs = find_pairs("TINY-TR", made_sets)
    for gigabytes in (1, 2e-5):
        config = data_config(cache=str(tmp_path), cache_gb=gigabytes)
        training_loader(pairs, config, 3, 0).data.require_sound("pairs")
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2e4


def test_a_run_with_a_lower_bound_does_not_shorten_the_file_of_another(made_sets, tmp_path):
    """What is mapped beyond a file's end kills the process that reads it."""
    pairs = find_pairs("TINY-TR", made_sets)
    whole = training_loader(pairs, data_config(cache=str(tmp_path)), 3, 0).data
    (path,) = tmp_path.iterdir()
    with path.open("rb") as mapped:
        training_loader(pairs, data_config(cache=str(tmp_path), cache_gb=2e-5), 3, 0)
        assert os.fstat(mapped.fileno()).st_size == 10 * (32 + 4 * 32 * 32)
    assert image_of(whole, 9).shape == (3, 32, 32)


def test_another_run_may_make_room_at_the_same_time(made_sets, tmp_path, monkeypatch):
    (tmp_path / "old.samples").write_bytes(bytes(100))
    real = Path.glob

    def found_then_removed(folder, pattern):
        files = list(real(folder, pattern))
        for file in files:
            file.unlink(missing_ok=True)
        return files

    monkeypatch.setattr(Path, "glob", found_then_removed)
    config = data_config(cache=str(tmp_path), cache_gb=1e-4)
    assert training_loader(find_pairs("TINY-TR", made_sets), config, 3, 0).data.cache_to_come == 0


def test_without_a_fork_there_is_no_cache_in_memory(made_sets, monkeypatch, capsys):
    monkeypatch.setattr(data.cache, "_CAN_FORK", False)
    pairs = find_pairs("TINY-TR", made_sets)
    assert not training_loader(pairs, data_config(workers=1), 3, 0).data.fork_only
    assert "data.cache=FOLDER" in capsys.readouterr().err
    assert training_loader(pairs, data_config(workers=0), 3, 0).data.fork_only


def test_all_bad_files_are_listed_with_and_without_a_cache(sets):
    pairs = find_pairs("TINY-TR", sets)
    pairs[2].image.write_bytes(b"no image")
    Image.new("L", (7, 7)).save(pairs[5].mask)
    for cache in ("memory", "none"):
        loader = training_loader(pairs, data_config(cache=cache), batch=3, seed=0)
        with pytest.raises(UserError, match=r"2 in all[\s\S]*02\.jpg[\s\S]*sizes differ.*05\.jpg"):
            loader.data.require_sound("pairs")
