"""Saliency and edges from sets of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from data import find_pairs
from data.joint import find_edge_pairs, read_list
from data.loader import training_loader
from utils.config import default_config
from utils.errors import UserError

from .made import data_config, same_batches

TARGETS = ("mask", "edge")


@pytest.fixture
def edge_list(tmp_path):
    """A list of four images, whose brightness is their number × 40, and of their edge maps."""
    edge = np.zeros((40, 50), np.uint8)
    edge[:, 10:20], edge[:, 30:40] = 90, 200
    for folder in ("data", "gt"):
        (tmp_path / folder).mkdir()
    for number in range(4):
        Image.new("RGB", (50, 40), (40 * number,) * 3).save(tmp_path / f"data/{number}.png")
        Image.fromarray(edge).save(tmp_path / f"gt/{number}_edge.png")
    path = tmp_path / "pairs.lst"
    path.write_text("".join(f"data/{number}.png gt/{number}_edge.png\n" for number in range(4)))
    return path


def run_config(root, **changes):
    config = default_config()
    config.data = data_config(root=str(root), flip=0.5, mask_resize="nearest", **changes)
    return config


def batches(config, pairs, edges, start: int = 0) -> list[dict]:
    loader = training_loader(pairs, config.data, 3, seed=7, targets=TARGETS, edges=edges)
    loader.set_epoch(2, start)
    return list(loader)


def brightness(batch) -> list[int]:
    """The numbers of the edge images in a batch."""
    pixels = batch["edge_image"] * 0.224 + 0.456
    return (pixels[:, 1].mean((1, 2)) * 255 / 40).round().int().tolist()


def test_pairs_of_the_longer_set_meet_those_of_the_shorter_by_their_number(made_sets, edge_list):
    pairs = find_pairs("TINY-TR", made_sets)
    config = run_config(edge_list.parent, edge_train=[edge_list.name])
    edges = find_edge_pairs(config)
    epoch = batches(config, pairs, edges)
    numbers = {int(name): edge for batch in epoch
               for name, edge in zip(batch["name"], brightness(batch), strict=True)}
    assert numbers == {number: number % 4 for number in range(10)}
    fewer = batches(config, pairs[:3], edges)
    assert sorted(name for batch in fewer for name in batch["name"]) == ["00", "00", "01", "02"]
    assert same_batches(epoch[1:], batches(config, pairs, edges, start=1))


def test_images_of_both_sets_keep_their_own_sizes(made_sets, edge_list):
    config = run_config(edge_list.parent, edge_train=[edge_list.name])
    config.data.size = "native"
    pairs = find_pairs("TINY-TR", made_sets)
    for batch in batches(config, pairs, find_edge_pairs(config)):
        for image, mask, other, edge in zip(*(batch[key] for key in (
                "image", "mask", "edge_image", "edge")), strict=True):
            assert image.shape[2:] == mask.shape[2:] != (40, 50)
            assert other.shape == (1, 3, 40, 50) and edge.shape == (1, 1, 40, 50)


def test_edges_are_not_flipped_and_are_hard_above_one_half(made_sets, edge_list):
    config = run_config(edge_list.parent, edge_train=[edge_list.name])
    batch = batches(config, find_pairs("TINY-TR", made_sets), find_edge_pairs(config))[0]
    values = batch["edge"]
    assert values.unique().tolist() == pytest.approx([0, 90 / 255, 1])
    left, right = values[..., :16], values[..., 16:]
    assert left.max() < 0.5 < right.max()
    assert torch.equal(values[0], values[1])


def test_a_folder_of_images_and_edge_maps_is_a_set(edge_list):
    folders = f"{edge_list.parent}/data:{edge_list.parent}/gt"
    by_folder, by_list = (find_edge_pairs(run_config(edge_list.parent, edge_train=[spec]))
                          for spec in (folders, edge_list.name))
    assert [pair.files for pair in by_folder] == [pair.files for pair in by_list]


def test_a_limit_holds_for_both_sets(edge_list, capsys):
    """An epoch is as long as the longer one."""
    config = run_config(edge_list.parent, edge_train=[edge_list.name], limit=2)
    assert [pair.image.stem for pair in find_edge_pairs(config)] == ["0", "2"]
    assert "edges: 2 pairs of their own to learn from (data.limit=2 of 4)" in \
        capsys.readouterr().out


def test_sets_that_cannot_be_used_are_named(made_sets, edge_list):
    root = edge_list.parent
    missing = find_edge_pairs, run_config(root, edge_train=["HED/pairs.lst"])
    twice = find_edge_pairs, run_config(root, edge_train=[edge_list.name], edges="mask")
    with_loss = run_config(root, edge_train=[edge_list.name])
    with_loss.val.watch, with_loss.val.fraction = "loss", 0.1
    for (function, config), message in ((missing, r"HED/pairs.lst: No such file(.|\n)*"
                                         r"data.edge_train=\[\] data.edges=mask"),
                                        (twice, "two sources of edges"),
                                        ((find_edge_pairs, with_loss), "take val.watch=MAE")):
        with pytest.raises(UserError, match=message):
            function(config)
    # Editors of Windows begin files with a mark.
    edge_list.write_text("data/0.png gt/0_edge.png\r\n", encoding="utf-8-sig")
    assert [pair.name for pair in read_list(edge_list)] == ["data/0"]
    edge_list.write_text("data/0.png gt/0_edge.png\ndata/1.png\ndata/2.png gt/2.png\n")
    with pytest.raises(UserError, match=r"line 2 names 1 file:(.|\n)*line 3: no file .*gt/2.png"):
        read_list(edge_list)
    config = run_config(made_sets)
    pairs = find_pairs("TINY-TR", made_sets)
    with pytest.raises(UserError, match="no loss has the target edge"):
        training_loader(pairs, config.data, 3, 7, targets=("mask",), edges=pairs)
