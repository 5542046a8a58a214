"""Masks in every coding: training and scoring read the same, or what is not certain is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data import mask_files
from data.coding import SAMPLE, decide, with_coding
from data.edges import find_masks
from data.layers import decode_pair, finish, squash
from data.masks import CodingError, MaskCoding, decode_mask, read_mask
from data.pairing import Pair
from data.soundness import Notes, file_problems, require_sound
from scoring import ScoringOptions, read_truth
from scoring.folders import load_pair
from scoring.jobs import decide_codings, folder_jobs
from utils.errors import UserError
from utils.mask_keys import decided_words

from .made import SQUARE, options_of, save, save_image
from .mask_codings import CODINGS, Coding, cut_out, grey, indexed, instances, outline, photo, write

SIDE = 32


@st.composite
def rectangles(draw) -> np.ndarray:
    """An object that touches the middle of an image, bool (SIDE, SIDE)."""
    top, left = (draw(st.integers(2, 11)) for _ in range(2))
    bottom, right = (draw(st.integers(21, SIDE - 2)) for _ in range(2))
    inside = np.zeros((SIDE, SIDE), bool)
    inside[top:bottom, left:right] = True
    inside[bottom - 4:bottom, left:left + draw(st.integers(0, 6))] = False
    return inside


def as_trained(folder: Path, options) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name → mask, and what is known, as losses get them at the images' own size."""
    pairs = find_masks(f"{folder}/images:{folder}/masks", folder, options=options)
    masks = {}
    for pair in pairs:
        layers = squash(decode_pair(pair, ["image", "mask", "void"], options), SIDE, options)
        sample = finish(layers, options)
        masks[pair.name] = sample["mask"][0].numpy() > 0, ~sample["void"][0].numpy()
    return masks


def as_scored(folder: Path, options) -> dict[str, np.ndarray]:
    """Name → mask as the profiles of scoring cut it; the two cuts must agree."""
    jobs = folder_jobs([folder / "images"], folder / "masks", words=decided_words(options))
    decide_codings(jobs, ScoringOptions(measures=("MAE",)))
    assert not jobs[0].uncertain
    truths = {pair.name: read_truth(pair) for pair in jobs[0].pairs}
    assert all(((truth > 127) == (truth > 128)).all() for truth in truths.values())
    return {name: truth > 128 for name, truth in truths.items()}


@pytest.mark.parametrize("name", CODINGS)
@given(st.lists(rectangles(), min_size=2, max_size=3), st.integers(0, 2**32))
@settings(max_examples=3, deadline=None)
def test_training_and_scoring_read_the_object_in_every_coding(name, objects, seed):
    coding, random = CODINGS[name], np.random.default_rng(seed)
    options = options_of(**coding.keys)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for number, inside in enumerate(objects):
            write(coding, inside, random, folder / f"masks/{number}.png")
        trained, scored = as_trained(folder, options), as_scored(folder, options)
        assert decide(sorted((folder / "masks").iterdir()), options).kind == coding.kind
    for number, inside in enumerate(objects):
        mask, known = trained[str(number)]
        assert (known == (~outline(inside) if coding.border else True)).all()
        assert (mask == inside)[known].all()
        assert (scored[str(number)] == inside)[known].all()


def masks_of(tmp_path: Path, coding: Coding, count: int = 4) -> list[Path]:
    """Files of a set in a coding, of an object that differs from mask to mask."""
    random = np.random.default_rng(0)
    for number in range(count):
        inside = np.zeros((SIDE, SIDE), bool)
        inside[5:20 + number % 5, 8:25] = True
        write(coding, inside, random, tmp_path / f"masks/{number:03d}.png")
    return sorted((tmp_path / "masks").iterdir())


@pytest.mark.parametrize("name, complaint", [
    ("palette, void left out", r"4 of 4 .* void pixels \(255\), for example .*000\.png.*"
                               "mask_void=background, data.mask_void=foreground, or .*ignore"),
    ("colours of VOC, void left out", "void pixels"),
    ("grey classes and void", r"either .* is object and 255 void .*mask_void_value=255.*or 255 is"),
    ("trimap 1/2/3", r"hold 1, 2, 3 and no 0, .*000\.png.*mask_trimap=\[1,2,3\]"),
    ("palette from red to black", "black is another index than 0"),
    ("JPEG of 0 and 128", r"no value clearly above one half, .*data.mask_threshold=T"),
    ("dark greys above a threshold", r"no 0, .*data.mask_threshold=T takes what is above T")])
def test_what_is_not_certain_is_refused_with_the_keys_that_decide_it(tmp_path, name, complaint):
    files = masks_of(tmp_path, CODINGS[name])
    with pytest.raises(UserError, match=complaint):
        decide(files)


@pytest.mark.parametrize("orientation", [1, 6])
def test_numbers_of_jpeg_files_are_no_labels_however_they_are_turned(tmp_path, orientation):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[5:20, 8:25] = 38
    file = save(tmp_path / "0.jpg", mask, orientation, quality=95)
    with pytest.raises(UserError, match="no value clearly above one half"):
        decide([file])


@pytest.mark.parametrize("name, options, kept", [
    ("0.webp", {"quality": 95}, False), ("0.webp", {"lossless": True}, True),
    ("0.tif", {"compression": "jpeg"}, False), ("0.tif", {"compression": "tiff_lzw"}, True),
    ("0.jp2", {"irreversible": True}, False), ("0.jp2", {}, True), ("0.png", {}, True)])
def test_numbers_are_labels_where_the_file_keeps_them(tmp_path, name, options, kept):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[5:20, 8:25] = 38
    file = save(tmp_path / name, mask, **options)
    if kept:
        assert decide([file]).kind == "levels"
    else:
        with pytest.raises(UserError, match="no value clearly above one half"):
            decide([file])


def test_a_file_whose_alpha_is_not_understood_is_named(tmp_path):
    random = np.random.default_rng(0)
    files = [save(tmp_path / f"{n}.png", np.dstack([
        random.integers(0, 256, (SIDE, SIDE, 3), np.uint8),
        np.full((SIDE, SIDE), 255, np.uint8) if n == 0 else
        np.resize(np.arange(0, 256, 8, np.uint8), (SIDE, SIDE))])) for n in range(3)]
    with pytest.raises(UserError, match=r"2 of 3 .* alpha .*for example .*1\.png\. Decide with"):
        decide(files)


@pytest.mark.parametrize("what, value", [("background", 0), ("foreground", 255)])
def test_void_becomes_what_is_decided(tmp_path, what, value):
    files = masks_of(tmp_path, CODINGS["palette, void left out"])
    coding = decide(files, options_of(mask_void=what))
    void = np.asarray(Image.open(files[0])) == 255
    mask = read_mask(files[0], None, coding)
    assert mask.void is None
    assert (mask.values[void] == value).all()
    assert what.replace("foreground", "object") in str(coding)


DEVIATING = [
    ("grey 0/255", grey(SQUARE // 255), "holds 0, 1, unlike"),
    ("grey 0/255", grey(SQUARE // 255 * 38), "holds 0, 38, unlike"),
    ("grey 0/255", indexed(np.where(SQUARE, 1, 0)), "has a palette and the indices 0, 1"),
    ("grey 0/255", indexed(np.where(outline(SQUARE > 0), 255, SQUARE > 0)), "indices 0, 1, 255"),
    ("grey 0/255", cut_out(photo(SQUARE, np.random.default_rng(0), 60), SQUARE > 0), "alpha"),
    ("16 bit 0/1", grey(np.arange(48).reshape(6, 8) * 5), "48 levels"),
    ("grey 0/1", grey(np.where(outline(SQUARE > 0), 255, SQUARE > 0)), "of which 255 may be void"),
    ("palette", grey(SQUARE), "has no palette of colours and holds 0, 255"),
    ("palette", indexed(SQUARE > 0, np.array([[255] * 3, [0] * 3], np.uint8)), "no palette of col"),
    ("cut-outs of dark objects", grey(SQUARE), "no alpha channel"),
    ("cut-outs of dark objects", grey(SQUARE).convert("RGBA"), "opaque everywhere"),
    ("colours of CVAT", Image.fromarray(photo(np.zeros((9, 9)), np.random.default_rng(0))),
     "81 colours"),
    ("real 0/1", grey(SQUARE, np.float32), "values up to 255"),
]


@pytest.mark.parametrize("name, picture, complaint", DEVIATING)
def test_a_file_that_does_not_keep_to_its_sets_coding_is_named(tmp_path, name, picture, complaint):
    coding = decide(masks_of(tmp_path, CODINGS[name]))
    path = save_image(tmp_path / "other.tif", picture)
    if picture.mode == "P":
        path = save_image(tmp_path / "other.png", picture)
    with pytest.raises(CodingError, match=rf"other\.\w+: .*{complaint}"):
        read_mask(path, None, coding)


@pytest.mark.parametrize("name, picture", [
    ("grey 0/255", Image.fromarray(SQUARE > 0)), ("grey 0/255", grey(SQUARE).convert("RGBA")),
    ("grey 0/255", grey(SQUARE).convert("RGB")), ("grey 0/255", grey(SQUARE, np.uint16)),
    ("grey 0/255", indexed(SQUARE > 0, np.array([[0, 0, 0], [255, 0, 0]], np.uint8))),
    ("grey 0/1", grey(SQUARE // 255, np.uint16)), ("colours of CVAT", grey(SQUARE)),
    ("colours of VOC", indexed(np.where(SQUARE, 3, 0)))])
def test_a_file_of_another_form_that_means_the_same_is_read(tmp_path, name, picture):
    coding = decide(masks_of(tmp_path, CODINGS[name]))
    if picture.mode == "I;16":
        coding = MaskCoding(coding.kind, white=255)
    path = save_image(tmp_path / "other.png", picture)
    assert ((decode_mask(path, None, coding) > 128) == (SQUARE > 0)).all()


@pytest.mark.parametrize("name", ["grey 0/255", "grey 0/1", "palette", "colours of CVAT"])
def test_black_masks_keep_to_every_coding_and_are_no_remark(tmp_path, name):
    coding = decide(masks_of(tmp_path, CODINGS[name]))
    for mode in ("1", "L", "P", "RGB", "I;16"):
        path = save_image(tmp_path / "black.png", Image.new(mode, (4, 4)))
        mask = read_mask(path, None, coding)
        assert not mask.values.any()
        assert not mask.remark


def test_a_set_of_black_masks_alone_is_black_to_white(tmp_path):
    files = [save(tmp_path / f"{n}.png", np.zeros((4, 4), np.uint8)) for n in range(3)]
    assert decide(files) == MaskCoding()


def test_grey_masks_of_several_levels_may_be_faint_and_are_kept(tmp_path):
    """PASCAL-S: the share of people who chose an object; nobody may have chosen most of them."""
    inside = np.zeros((SIDE, SIDE), bool)
    inside[5:25, 5:25] = True
    levels = [(85, 255), (127, 255), (42, 255), (42, 85)]
    files = [save(tmp_path / f"{n}.png", instances(inside, pair).astype(np.uint8))
             for n, pair in enumerate(levels)]
    coding = decide(files)
    assert coding.ordinary
    for path in files:
        mask = read_mask(path, None, coding)
        assert (mask.values == np.asarray(Image.open(path))).all()
        assert not mask.remark
    path = save(tmp_path / "x.png", np.array([[0, 3, 9]], np.uint8))
    assert "no foreground" in read_mask(path, None, coding).remark


@pytest.mark.parametrize("values, complaint", [
    ([(3, 140), (17, 181), (90, 2)], ""), ([(60, 200), (120, 90), (62, 140)], "hold 0, 60, 62, 90"),
    ([(n, 120 + 4 * n) for n in range(5, 34)], "classes or instances .*or greys")])
def test_numbers_on_both_sides_of_one_half_are_labels_or_refused(tmp_path, values, complaint):
    inside = np.zeros((SIDE, SIDE), bool)
    inside[5:25, 5:25] = True
    files = [save(tmp_path / f"{n:02d}.png", instances(inside, pair).astype(np.uint8))
             for n, pair in enumerate(values)]
    if not complaint:
        assert decide(files).kind == "levels"
        return
    with pytest.raises(UserError, match=complaint):
        decide(files)


@pytest.mark.parametrize("name, masks", [("DUTS-TR", "DUTS-TR-Mask"),
                                         ("ECSSD", "ground_truth_mask")])
def test_published_masks_are_read_as_they_are_stored(shared, name, masks):
    files = sorted((shared / "data/mini" / name / masks).iterdir())
    coding = decide(files)
    assert coding.ordinary
    assert not coding.grey
    assert not coding.note
    for path in files:
        mask = read_mask(path, None, coding)
        assert (mask.values == np.asarray(Image.open(path).convert("L"))).all()
        assert not mask.remark


def test_a_mask_that_holds_something_and_has_no_foreground_is_a_remark(tmp_path, capsys):
    files = masks_of(tmp_path, CODINGS["grey 0/255"])
    dim = save(tmp_path / "masks/dim.png", np.arange(48, dtype=np.uint8).reshape(6, 8))
    pair = Pair("dim", None, dim, codings={"mask": decide(files)})
    notes = Notes()
    assert file_problems(pair, notes) == []
    (remark,) = notes.masks
    assert "dim.png, which holds 0, 1, 2" in remark
    require_sound([pair], "SET")  # it can be used
    assert "note: SET: masks without foreground (1 in all)" in capsys.readouterr().err


def test_only_a_sample_is_looked_at(tmp_path, monkeypatch):
    files = masks_of(tmp_path, CODINGS["grey 0/1"], 3 * SAMPLE)
    looked = []
    real = mask_files.open_image
    monkeypatch.setattr(mask_files, "open_image", lambda path: (looked.append(path), real(path))[1])
    decide(files)
    assert len(set(looked)) == SAMPLE
    assert {files[0], files[-1]} <= set(looked)


def test_files_that_cannot_be_read_decide_nothing(tmp_path):
    files = masks_of(tmp_path, CODINGS["grey 0/1"])
    files[0].write_bytes(b"no image")
    assert decide(files).kind == "levels"
    assert decide(files[:1]) == MaskCoding()


@pytest.mark.parametrize("keys, complaint", [
    ({"mask_threshold": 9}, "mask_threshold=9 is for data.mask_coding=binary"),
    ({"mask_coding": "palette", "mask_threshold": 9}, "not for palette"),
    ({"mask_coding": "trimap", "mask_trimap": [1, 1, 0]}, "three different numbers"),
    ({"mask_coding": "trimap"}, r"000\.png: is no trimap of foreground 255.*holds 0, 1"),
    ({"mask_coding": "alpha"}, r"000\.png: has no alpha channel")])
def test_keys_that_do_not_fit_are_refused(tmp_path, keys, complaint):
    files = masks_of(tmp_path, CODINGS["grey 0/1"])
    with pytest.raises(UserError, match=complaint):
        read_mask(files[0], None, decide(files, options_of(**keys)))


def test_each_set_has_its_own_coding_and_it_is_printed_once(tmp_path, capsys):
    files = {name: masks_of(tmp_path / name, CODINGS[name]) for name in ("palette", "grey 0/255")}
    pairs = [pair for name, paths in files.items()
             for pair in with_coding([Pair(path.stem, None, path) for path in paths], title=name)]
    assert [pair.codings["mask"].kind for pair in pairs] == ["palette"] * 4 + ["binary"] * 4
    assert capsys.readouterr().out == \
        "masks: palette, 0 = background, others = object, 255 = void (palette)\n"


def test_void_pixels_do_not_count_in_scores(tmp_path):
    files = masks_of(tmp_path, CODINGS["palette, void left out"])
    (pair,) = with_coding([Pair("000", None, files[0])], options_of(mask_void="ignore"))
    codes = np.asarray(Image.open(files[0]))
    truth = np.where((codes > 0) & (codes < 255), 255, 0).astype(np.uint8)
    for in_void in (0, 200, 255):
        path = save(tmp_path / "map.png", np.where(codes == 255, in_void, truth).astype(np.uint8))
        loaded = load_pair(path, pair, resize=False)
        assert (loaded.prediction == loaded.truth).all()
        assert loaded.truth.shape == (1, (codes < 255).sum())
    with pytest.raises(UserError, match="mask_void=ignore: wF, S look at where pixels lie"):
        ScoringOptions().require_measures(options_of(mask_void="ignore"))


def test_void_pixels_of_colours_are_named_by_their_colour(tmp_path):
    files = masks_of(tmp_path, CODINGS["colours of VOC, void left out"])
    with pytest.raises(UserError, match=r"void pixels \(224 224 192\), for example"):
        decide(files)
    with pytest.raises(UserError, match=r"pixels are void \(224 224 192\)"):
        read_mask(files[0], None, MaskCoding("levels", void_value=255, of_colours=True))


def test_the_coding_is_part_of_what_scores_are_of(tmp_path):
    files = masks_of(tmp_path, CODINGS["palette, void left out"])
    path = save(tmp_path / "map.png", np.zeros((SIDE, SIDE), np.uint8))
    digests = set()
    for void in ("background", "foreground", "ignore"):
        (pair,) = with_coding([Pair("000", None, files[0])], options_of(mask_void=void))
        digests.add(load_pair(path, pair, resize=False).digest)
    assert len(digests) == 3
