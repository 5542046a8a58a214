"""Images at their own sizes: what reaches the network, what is cached, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import model
from data import find_pairs
from data.cache import _HEADER
from data.decode import decode_image
from data.loader import evaluation_loader, training_loader
from data.masks import mask_of
from data.native import of_one_size, own_sizes, require_one_by_one, require_sizes
from data.pairing import Pair
from data.transforms import normalise
from utils.config import default_config
from utils.errors import UserError

from .made import data_config, save


def loader_of(pairs, batch=4, start=0, **changes):
    loader = training_loader(pairs, data_config(size="native", **changes), batch, seed=3)
    loader.set_epoch(1, start)
    return loader


def same(first: list[dict], second: list[dict]) -> bool:
    return len(first) == len(second) and all(
        a["name"] == b["name"] and all(
            torch.equal(x, y) for layer in ("image", "mask", "edge")
            for x, y in zip(a[layer], b[layer], strict=True))
        for a, b in zip(first, second, strict=True))


def test_layers_keep_the_bytes_of_the_files(made_sets):
    pairs = find_pairs("TINY-TR", made_sets)
    config = data_config(size="native", edges="mask", soft_mask=True)
    (batch,) = training_loader(pairs, config, 10, seed=0)
    assert len({image.shape for image in batch["image"]}) > 1
    for index, image, mask, edge, size in zip(*(batch[key] for key in (
            "index", "image", "mask", "edge", "size")), strict=True):
        pixels = torch.from_numpy(np.array(decode_image(pairs[index].image))).permute(2, 0, 1)
        assert torch.equal(image[0], normalise(pixels, config.mean, config.std))
        assert torch.equal((mask[0, 0] * 255).byte(),
                           torch.from_numpy(mask_of(pairs[index]).values))
        assert image.shape[-2:] == mask.shape[-2:] == edge.shape[-2:] == size
        assert set(edge.unique().tolist()) == {0.0, 1.0}


def test_an_epoch_repeats_and_resumes_with_and_without_a_cache(made_sets, tmp_path):
    pairs, changes = find_pairs("TINY-TR", made_sets), {
        "edges": "mask", "flip": 0.5, "crop": 0.5,
        "augment": [{"rotate": {"p": 1}}, "turn", "crop_sides"]}
    plain = list(loader_of(pairs, cache="none", **changes))
    sizes = dict(zip((pair.name for pair in pairs), own_sizes(pairs), strict=True))
    assert all(image.shape[-2:] == sizes[name] for batch in plain
               for name, image in zip(batch["name"], batch["image"], strict=True))
    for more in ({"cache": "memory"}, {"cache": str(tmp_path)}, {"workers": 2}):
        loader = loader_of(pairs, **changes, **more)
        loader.data.require_sound("TINY-TR")
        assert same(plain, list(loader)), more
        assert same(plain[1:], list(loader_of(pairs, start=1, **changes, **more))), more


def test_the_cache_counts_the_bytes_of_each_image(made_sets, tmp_path, capsys):
    pairs = find_pairs("TINY-TR", made_sets)
    records = [_HEADER.size + 4 * height * width for height, width in own_sizes(pairs)]
    for spare, kept in ((0, 4), (-1, 3)):
        config = data_config(size="native", cache=str(tmp_path),
                             cache_gb=(sum(records[:4]) + spare + 0.5) / 1e9)
        data = training_loader(pairs, config, 4, seed=0).data
        assert f"{kept} of 10 pairs fit" in capsys.readouterr().err
        data.require_sound("TINY-TR")
        assert [data._cache.holds(index) for index in range(10)] == [n < kept for n in range(10)]
        assert data._cache.path.stat().st_size == sum(records[:kept])


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=40), st.integers(1, 5))
def test_batches_have_one_size_and_hold_each_image_once(sizes, batch):
    batches = of_one_size(sizes, batch)
    assert sorted(index for each in batches for index in each) == list(range(len(sizes)))
    assert all(len({sizes[index] for index in each}) == 1 and len(each) <= batch
               and each == sorted(each) for each in batches)
    assert [each[0] for each in batches] == sorted(each[0] for each in batches)
    assert len(batches) == sum(-(-sizes.count(size) // batch) for size in set(sizes))


def test_evaluation_batches_hold_the_tensors_of_batches_of_one(made_sets, tmp_path):
    names = [pair.image for pair in find_pairs("TINY-TR", made_sets)]
    for number, image in enumerate(names):
        picture = Image.open(image).resize((40, 50) if number % 3 else (50, 40))
        save(tmp_path / f"{number}.png", np.asarray(picture))
    pairs = [Pair(str(number), tmp_path / f"{number}.png") for number in range(10)]
    batched, alone = (list(evaluation_loader(pairs, data_config(size="native"), batch))
                      for batch in (4, 1))
    assert [batch["index"] for batch in batched] == [[0, 3, 6, 9], [1, 2, 4, 5], [7, 8]]
    of_index = {batch["index"][0]: batch for batch in alone}
    for batch in batched:
        for number, index in enumerate(batch["index"]):
            assert torch.equal(batch["image"][number], of_index[index]["image"][0])
            assert batch["size"][number] == of_index[index]["size"][0]


def test_an_own_size_is_upright_and_masks_that_nearly_fit_are_brought_to_it(tmp_path, capsys):
    image = save(tmp_path / "a.jpg", np.zeros((60, 90, 3), np.uint8), 6)
    mask = save(tmp_path / "a.png", np.full((90, 61), 255, np.uint8))
    loader = training_loader([Pair("a", image, mask)], data_config(size="native"), 1, seed=0)
    loader.data.require_sound("SET")
    assert "masks are brought to the images' sizes" in capsys.readouterr().err
    (batch,) = loader
    assert loader.data.usual_size == (90, 60)
    assert batch["image"][0].shape == (1, 3, 90, 60) and batch["mask"][0].shape == (1, 1, 90, 60)


def test_files_without_a_readable_header_are_listed_with_all_others(sets, tmp_path):
    for number in (2, 5):
        (sets / f"TINY-TR/images/{number:02d}.jpg").write_bytes(b"no image")
    data = training_loader(find_pairs("TINY-TR", sets), data_config(size="native"), 4, 0).data
    with pytest.raises(UserError, match=r"(?s)2 in all.*02\.jpg.*05\.jpg"):
        data.require_sound("TINY-TR")


@pytest.mark.parametrize("group, key, value, message", [
    ("data", "scales", [0.75, 1.0], r"data\.scales must be \[1\]"),
    ("train", "accumulate", 3, r"train\.accumulate must be 4, as train\.batch"),
    ("train", "sync_norm", True, r"train\.sync_norm must be false")])
def test_training_one_by_one_asks_for_what_goes_with_it(group, key, value, message):
    config = default_config()
    config.data.size, config.train.batch, config.train.accumulate = "native", 4, 4
    require_one_by_one(config)
    config[group][key] = value
    with pytest.raises(UserError, match=message):
        require_one_by_one(config)
    config.data.size = 64
    require_one_by_one(config)


def test_images_that_a_network_does_not_take_are_listed(tmp_path):
    pairs = [Pair(name, save(tmp_path / f"{name}.png", np.zeros((*size, 3), np.uint8)))
             for name, size in (("a", (113, 113)), ("b", (112, 400)), ("c", (200, 30)))]
    check = model.network_class("poolnet_vgg").require_size
    with pytest.raises(UserError, match=r"(?s)2 in all.*b\.png: PoolNet takes images of at least "
                                        r"113 pixels a side, not 112×400.*c\.png.*data\.size"):
        require_sizes(pairs, "native", check)
    require_sizes(pairs, 352, check)
    require_sizes(pairs[:1], "native", check)
