"""LDF's body and detail, made of masks and read from maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data import decode_mask
from data.decoupling import body_of, detail_of, with_maps
from data.edges import find_masks
from data.loader import training_loader
from utils.errors import UserError

from .made import data_config, save


def test_body_and_detail_are_the_released_ones(shared):
    arrays = np.load(shared / "golden/losses_zoo_b_inputs.npz")
    for mask, body, detail in zip(*(np.rint(arrays[name][:, 0] * 255).astype(np.uint8)
                                    for name in ("mask", "body", "detail")), strict=True):
        ours = body_of(mask, "released")
        assert (ours == body).all()
        assert (detail_of(mask, ours) == detail).all()


@pytest.mark.parametrize("kind", ["released", "paper"])
def test_masks_of_one_value_have_a_body_and_no_detail(kind):
    for value in (0, 255):
        mask = np.full((9, 7), value, np.uint8)
        body = body_of(mask, kind)
        assert (body == mask).all()
        assert not detail_of(mask, body).any()


def test_the_released_body_reaches_beyond_the_mask_and_the_papers_does_not():
    mask = np.zeros((41, 41), np.uint8)
    mask[10:31, 10:31] = 255
    released, paper = (body_of(mask, kind) for kind in ("released", "paper"))
    assert (released[8:33, 8:33] > 0).all() and not released[:8].any()
    assert not paper[mask == 0].any()
    # 11 pixels from the middle to the first black one, linearly.
    assert paper[20, 10:21].tolist() == [255 * step // 11 for step in range(1, 12)]
    assert (detail_of(mask, paper) + paper == mask).all()


def test_a_detail_without_a_body_is_the_same(made_sets):
    pairs = find_masks("TINY-TR", made_sets)
    both, alone = (next(iter(training_loader(pairs, data_config(), 4, 0, targets=targets)))
                   for targets in (["mask", "body", "detail"], ["mask", "detail"]))
    assert "body" not in alone
    assert torch.equal(both["detail"], alone["detail"])
    assert both["body"].dtype == torch.float32
    assert 0.5 < both["body"].max() <= 1


def test_maps_of_a_first_network_take_the_place_of_the_labels(made_sets, tmp_path):
    pairs = find_masks("TINY-TR", made_sets)
    for pair in pairs:
        height, width = decode_mask(pair.mask).shape
        save(tmp_path / "TINY-TR" / f"{pair.name}.png", np.full((height, width), 51, np.uint8))
    options = data_config(body=str(tmp_path))
    with_files = find_masks("TINY-TR", made_sets, options=options, maps=True)
    batch, made = (next(iter(training_loader(each, options, 4, 0,
                                             targets=["mask", "body", "detail"])))
                   for each in (with_files, pairs))
    assert torch.allclose(batch["body"], torch.tensor(0.2))
    assert torch.equal(batch["detail"], made["detail"])  # of the mask, not of the map
    (tmp_path / "TINY-TR" / f"{pairs[0].name}.png").unlink()
    with pytest.raises(UserError, match=rf"body maps do not pair up(.|\n)*{pairs[0].image}"):
        with_maps(pairs, "TINY-TR", options)
    with pytest.raises(UserError, match=r"no folder .*OTHER.*--data OTHER test\.output=body"):
        with_maps(pairs, "OTHER", options)


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_a_damaged_map_of_a_first_network_is_named_before_training(made_sets, tmp_path, cache):
    for pair in find_masks("TINY-TR", made_sets):
        save(tmp_path / "TINY-TR" / f"{pair.name}.png", decode_mask(pair.mask))
    options = data_config(body=str(tmp_path), detail=str(tmp_path), cache=cache)
    pairs = find_masks("TINY-TR", made_sets, options=options, maps=True)
    data = training_loader(pairs, options, 4, 0, targets=["mask", "body", "detail"]).data
    data.require_sound("training data")
    pairs[3].body.write_bytes(pairs[3].body.read_bytes()[:-20])
    with pytest.raises(UserError, match=rf"{pairs[3].body}: .*the file is cut short"):
        data.require_sound("training data")


def test_labels_of_masks_with_void_pixels_are_refused(made_sets):
    pairs = find_masks("TINY-TR", made_sets)
    with pytest.raises(UserError, match="layer detail is made of the whole mask"):
        training_loader(pairs, data_config(), 4, 0, targets=["mask", "void", "detail"])
