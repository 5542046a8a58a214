"""Edge maps: from files, made of the mask or the image, dilated and resized."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from data import find_pairs
from data.edges import dilate, edge_source, find_masks, image_edges, mask_edges
from data.layers import decode_pair, squash
from data.loader import training_loader
from data.masks import decode_mask
from data.pairing import Pair
from utils.config import merge_config
from utils.errors import UserError

from .made import data_config, options_of


def square(side: int = 12, start: int = 4, end: int = 8) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    mask[start:end, start:end] = 255
    return mask


def edges_of(pairs, **changes) -> dict[str, torch.Tensor]:
    """Name → edges, of an epoch of training."""
    loader = training_loader(pairs, data_config(**changes), batch=3, seed=0)
    loader.data.require_sound("pairs")
    return {name: edge for batch in loader
            for name, edge in zip(batch["name"], batch["edge"], strict=True)}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(edge, second[name])
                                                 for name, edge in first.items())


def write_edges(folder: Path, value: int = 77, size: tuple[int, int] | None = None) -> None:
    """An edge map of one grey beside each mask of a set."""
    name = "Edge" if value == 77 else "edges"
    (folder / name).mkdir()
    for mask in (folder / "masks").iterdir():
        Image.new("L", size or Image.open(mask).size, value).save(folder / name / mask.name)


def test_the_band_is_two_pixels_wide_one_on_each_side():
    edges = mask_edges(square(), "mask")
    assert edges.dtype == np.uint8
    assert edges.shape == (12, 12)
    assert edges[6].tolist() == [0, 0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 0]
    assert edges[:, 6].tolist() == edges[6].tolist()
    assert edges[3, 3] == 0  # central differences do not see the corner's neighbour
    assert edges[4, 4] == edges[3, 4] == edges[4, 3] == 255


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9),
                     elements=st.sampled_from([0, 127, 128, 255])))
def test_the_band_is_where_numpys_gradient_is_not_zero(mask):
    down, across = np.gradient((mask > 127).astype(float))
    assert (mask_edges(mask, "mask") == np.where(down ** 2 + across ** 2 != 0, 255, 0)).all()


def test_masks_without_an_outline_have_no_edges():
    for kind in ("mask", "mask_canny"):
        for level in (0, 127, 128, 255):
            assert not mask_edges(np.full((6, 8), level, np.uint8), kind).any()
    column = np.array([[0], [0], [255], [255]], np.uint8)  # too narrow for np.gradient
    assert mask_edges(column, "mask").ravel().tolist() == [0, 255, 255, 0]


def test_canny_draws_a_closed_line_one_pixel_wide():
    mask = square(40, 10, 30)
    edges = mask_edges(mask, "mask_canny")
    assert edges.dtype == np.uint8
    assert set(np.unique(edges)) == {0, 255}
    assert np.count_nonzero(edges[20]) == np.count_nonzero(edges[:, 20]) == 2
    assert cv2.floodFill(edges.copy(), None, (20, 20), 9)[0] < edges.size / 2  # it does not leak
    grey = np.where(mask > 0, 200, 100).astype(np.uint8)
    assert (mask_edges(grey, "mask_canny") == edges).all()


def test_dilation_makes_a_square_of_each_pixel():
    point = np.zeros((9, 9), np.uint8)
    point[4, 4] = 200
    assert dilate(point, 1) is point
    disc = dilate(point, 5)
    assert (disc[2:7, 2:7] == 200).all()
    assert np.count_nonzero(disc) == 25
    point[4, 4], point[0, 0] = 0, 200
    assert np.count_nonzero(dilate(point, 5)) == 9


def test_edges_are_dilated_at_the_original_resolution(made_sets):
    pair = find_pairs("TINY-TR", made_sets)[0]
    mask = decode_mask(pair.mask)
    thin, thick = (decode_pair(pair, ["image", "mask", "edge"],
                               options_of(edges="mask", edge_dilate=side))["edge"]
                   for side in (1, 5))
    assert thin.shape == thick.shape == mask.shape
    assert (thin == mask_edges(mask, "mask")).all()
    assert (thick == cv2.dilate(thin, np.ones((5, 5)))).all()
    assert (edges_of([pair], edges="mask", edge_dilate=5)[pair.name]
            >= edges_of([pair], edges="mask")[pair.name]).all()
    expected = Image.fromarray(thick).resize((32, 32), Image.Resampling.BILINEAR)
    edge = edges_of([pair], edges="mask", edge_dilate=5)[pair.name][0]
    assert np.allclose(edge.numpy(), np.asarray(expected) / 255, atol=1e-6)


@pytest.mark.parametrize("soft", [True, False])
def test_edges_of_squashed_masks_are_hard_and_surround_the_mask_of_the_sample(made_sets, soft):
    loader = training_loader(find_pairs("TINY-TR", made_sets), data_config(
        edges="mask_squashed", soft_mask=soft, flip=0.5, scales=[1, 2]), batch=3, seed=0)
    loader.data.require_sound("pairs")
    for batch in loader:
        for mask, edge in zip(batch["mask"][:, 0], batch["edge"][:, 0], strict=True):
            band = mask_edges((255 * mask.numpy()).round().astype(np.uint8), "mask")
            assert (255 * edge.numpy() == band).all() and band.any()


def test_edges_of_squashed_masks_are_those_that_scrn_learns(golden):
    arrays = np.load(golden.folder / "losses_zoo_b_inputs.npz")
    options = options_of(edges="mask_squashed", soft_mask=True)
    for mask, expected in zip(arrays["mask"][:, 0], arrays["edge"], strict=True):
        squashed = squash({"edge": (255 * mask).astype(np.uint8)}, mask.shape, options)
        assert (squashed["edge"].numpy() == 255 * expected).all()


def test_files_beside_the_masks_are_found(sets):
    with pytest.raises(UserError, match=r"TINY-TR: no folder edges or edge beside the masks; "
                                        r"data\.edges=mask or mask_canny makes"):
        find_masks("TINY-TR", sets, "files")
    write_edges(sets / "TINY-TR")
    two_folders = f"{sets}/TINY-TR/images:{sets}/TINY-TR/masks"
    for spec in ("TINY-TR", str(sets / "TINY-TR"), two_folders):
        for edges in ("files", "auto"):
            pairs = find_masks(spec, sets, edges)
            assert edge_source(edges, pairs) == "files"
            assert all(pair.edge.stem == pair.name == pair.mask.stem for pair in pairs)
    edges = edges_of(pairs, edges="files")
    assert len(edges) == 10
    assert all(((edge * 255).round() == 77).all() for edge in edges.values())
    assert all(pair.edge is None for pair in find_masks("TINY-TR", sets, "mask"))


def test_auto_takes_files_if_every_set_has_them(sets):
    write_edges(sets / "TINY-TR")
    both = [pair for name in ("TINY-TR", "TINY-TE") for pair in find_masks(name, sets, "auto")]
    assert edge_source("auto", both) == "mask"
    assert edge_source("auto", both[:10]) == "files"
    assert same(edges_of(both, edges="auto"), edges_of(both, edges="mask"))
    with pytest.raises(UserError, match=r"TINY-TE: no folder edges"):
        find_masks("TINY-TE", sets, "files")


def test_images_without_an_edge_file_are_listed(sets):
    write_edges(sets / "TINY-TR")
    for number in (3, 5):
        (sets / f"TINY-TR/Edge/{number:02d}.png").unlink()
    for edges in ("files", "auto"):
        with pytest.raises(UserError, match=r"2 in all[\s\S]*03\.jpg[\s\S]*05\.jpg[\s\S]*"
                                            r"data\.edges=mask"):
            find_masks("TINY-TR", sets, edges)


def test_each_class_of_a_set_has_its_own_edges(tmp_path, capsys):
    for kind in ("Butterfly", "Giraffe"):
        for part, suffix in (("Src", "jpg"), ("Src", "png"), ("Edge", "png")):
            (tmp_path / f"THUR15K/{kind}/{part}").mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 6)).save(tmp_path / f"THUR15K/{kind}/{part}/{kind}1.{suffix}")
    pairs = find_masks("THUR15K", tmp_path, "files")
    assert [pair.edge.parent.parent.name for pair in pairs] == ["Butterfly", "Giraffe"]
    assert "THUR15K: 2 pairs here, the published set has 6232" in capsys.readouterr().out


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_edge_files_of_another_size_or_unreadable_are_listed(sets, cache):
    write_edges(sets / "TINY-TR", size=(7, 7))
    (sets / "TINY-TR/Edge/04.png").write_bytes(b"no image")
    loader = training_loader(find_masks("TINY-TR", sets, "files"),
                             data_config(edges="files", cache=cache), batch=3, seed=0)
    with pytest.raises(UserError, match=r"10 in all[\s\S]*sizes differ.*Edge.*00\.png is 7×7"
                                        r"[\s\S]*04\.png: cannot be decoded"):
        loader.data.require_sound("pairs")


@pytest.mark.parametrize("edges", ["mask", "mask_squashed", "files"])
def test_edges_survive_caches_and_loader_processes(sets, tmp_path, edges):
    write_edges(sets / "TINY-TR", value=200)
    pairs = find_masks("TINY-TR", sets, edges)
    options = {"edges": edges, "flip": 0.5, "crop": 0.5, "edge_dilate": 3,
               "augment": ["moves_tones_blurs", "rotate"]}
    expected = edges_of(pairs, cache="none", **options)
    for cache in ("memory", str(tmp_path / "kept")):
        assert same(expected, edges_of(pairs, cache=cache, **options))
    assert same(expected, edges_of(pairs, cache=str(tmp_path / "kept"), workers=2, **options))
    assert torch.stack(list(expected.values())).max() > 0.7


def test_a_cache_is_not_read_under_other_options(sets, tmp_path):
    write_edges(sets / "TINY-TR", value=200)
    pairs = find_masks("TINY-TR", sets, "files")
    for options in ({"edges": "mask"}, {"edges": "mask_canny"}, {"edges": "files"},
                    {"edges": "mask", "edge_dilate": 5}, {"edges": "mask_squashed"},
                    {"edges": "mask", "mask_resize": "nearest"}):
        fresh = edges_of(pairs, cache="none", **options)
        assert same(fresh, edges_of(pairs, cache=str(tmp_path / "kept"), **options))


def test_soft_masks_do_not_change_their_edges(made_sets):
    pairs = find_pairs("TINY-TR", made_sets)
    assert same(edges_of(pairs, edges="mask"), edges_of(pairs, edges="mask", soft_mask=True))


def test_pairs_without_what_edges_come_from_are_named():
    photo, weak = Pair("a", Path("a.jpg")), Pair("b", Path("b.jpg"), scribble=Path("b.png"))
    with pytest.raises(UserError, match=r"data\.edges=mask: 1 pair has no mask file.*b\.jpg"):
        edge_source("mask", [weak])
    with pytest.raises(UserError, match=r"data\.edges=files: 2 pairs have no edge file.*a\.jpg"):
        edge_source("files", [photo, weak])
    assert edge_source("auto", [weak]) == "canny"
    assert edge_source("sobel", [photo]) == "sobel"


@pytest.mark.parametrize("changes, rule", [
    ({"edges": "band"}, "one of none, auto, files, mask, mask_squashed, mask_canny, canny, sobel"),
    ({"edges": "mask", "target": "scribble"}, "no masks to make edges of"),
    ({"edges": "mask_canny", "target": "scribble"}, "no masks to make edges of"),
    ({"edges": "mask_squashed", "target": "scribble"}, "no masks to make edges of"),
    ({"edge_dilate": 0}, "data.edge_dilate = 0: must be odd"),
    ({"edge_dilate": 4}, "odd, 1 or more"),
    ({"mask_resize": "cubic"}, "bilinear or nearest")])
def test_wrong_values_are_refused(changes, rule):
    with pytest.raises(UserError) as error:
        merge_config({"data": changes})
    assert rule in str(error.value)
    assert merge_config({"data": {"edges": "files"}}).data.edges == "files"


def test_made_edges_follow_the_outline():
    pixels = np.full((40, 60, 3), 90, np.uint8)
    pixels[10:30, 20:40] = 160
    for kind in ("canny", "sobel"):
        edges = image_edges(Image.fromarray(pixels), kind)
        assert edges.shape == (40, 60) and edges.dtype == np.uint8
        assert edges[20, 18:22].max() > 200 and edges[9:12, 30].max() > 200
        assert edges[20, 25:35].max() == 0 and edges[:5].max() == 0
