"""Names that differ in form, hold spaces, have an affix or folders; and lists of names."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from data.affixes import Affix, candidates
from data.catalog import find_set, locate
from data.edges import find_masks
from data.listing import list_images
from data.pairing import Names, Pair, assign
from data.stems import listed
from utils.errors import UserError

from .made import COLOUR, SQUARE, save


def make_set(root: Path, images: list[str], masks: list[str], name: str = "SET") -> Path:
    for folder, names, pixels in (("images", images, COLOUR), ("masks", masks, SQUARE)):
        (root / name / folder).mkdir(parents=True, exist_ok=True)
        for each in names:
            save(root / name / folder / each, pixels, format="png")
    return root / name


def stems(names: list[str], prefix: str = "", suffix: str = "") -> list[str]:
    return [f"{prefix}{name}{suffix}.png" for name in names]


NUMBERS = [f"{n:03d}" for n in range(8)]


@pytest.mark.parametrize("prefix, suffix", [
    ("", "_mask"), ("", "_GT"), ("", "-gt"), ("", "_sal_fuse"), ("GT_", ""), ("mask-", ""),
    ("", "GT"), ("", " (mask)"), ("gt", ""), ("", ".mask"), ("", "_ä")])
@pytest.mark.parametrize("names", [NUMBERS, ["cat", "dog 2", "b.v2", "图", "x_1"]])
def test_one_affix_of_all_masks_is_recognised(tmp_path, capsys, prefix, suffix, names):
    if suffix == "GT" and names is not NUMBERS:
        names = ["cat", "dog 2"]
    if prefix == "gt":
        names = NUMBERS
    folder = make_set(tmp_path, stems(names), stems(names, prefix, suffix))
    pairs = find_set("SET", tmp_path).pairs
    assert [pair.name for pair in pairs] == sorted(names)
    assert all(pair.mask.stem == f"{prefix}{pair.image.stem}{suffix}" for pair in pairs)
    kind = f"prefix {prefix}" if prefix else f"suffix {suffix}"
    assert capsys.readouterr().err == f"note: {folder}/masks: masks are named with the {kind}\n"


def test_an_affix_of_images_leaves_the_maps_named_like_the_images(tmp_path, capsys):
    make_set(tmp_path, stems(NUMBERS, suffix="_rgb"), stems(NUMBERS))
    assert [pair.name for pair in find_set("SET", tmp_path).pairs] == \
        [f"{name}_rgb" for name in NUMBERS]
    assert "images are named with the suffix _rgb" in capsys.readouterr().err


@pytest.mark.parametrize("image, mask, expected", [
    ("{}_image", "{}_mask", "masks are named with the suffix _mask, images with the suffix _image"),
    ("img_{}", "gt_{}", "masks are named with the prefix gt_, images with the prefix img_"),
    # What all of both begin with is no affix.
    ("v_{}_rgb", "v_{}_GT", "masks are named with the suffix _GT, images with the suffix _rgb")])
def test_an_affix_of_the_images_and_another_of_the_masks_are_recognised(
        tmp_path, capsys, image, mask, expected):
    make_set(tmp_path, [f"{image.format(name)}.png" for name in NUMBERS],
             [f"{mask.format(name)}.png" for name in NUMBERS])
    pairs = find_set("SET", tmp_path).pairs
    assert [(pair.name, pair.mask.stem) for pair in pairs] == \
        [(image.format(name), mask.format(name)) for name in NUMBERS]
    assert expected in capsys.readouterr().err
    maps = [tmp_path / f"{name}_sal.png" for name in NUMBERS]
    masks = [Pair(mask.format(name), None, tmp_path / mask.format(name)) for name in NUMBERS]
    table, problems, notes = assign(maps, masks)
    assert (list(table.values()), problems, len(notes)) == (maps, [], 1)


@pytest.mark.parametrize("images, masks, expected", [
    # A number is not the end of another, a word not the end of another.
    (["1", "2"], ["11", "12"], None), (["at"], ["cat"], None), (["2"], ["1", "12"], None),
    # What fits some only, or in two ways, is named and not assumed.
    (NUMBERS, [*(f"{name}_mask" for name in NUMBERS[:6]), "x", "y"],
     "6 of 8 masks without a partner would have one without the suffix _mask "
     "(data.mask_suffix=_mask"),
    (NUMBERS, [f"{name}{end}" for name in NUMBERS for end in ("_a", "_b")], "the suffix _b"),
    (NUMBERS, [*NUMBERS[:4], *(f"{name}_mask" for name in NUMBERS[4:])],
     "4 of 4 masks without a partner would have one without the suffix _mask"),
    # As the image of the one is missing, one mask too many must not become the mask of another.
    (["a_1", "a_2"], ["a_1", "b_2"], None), (["a_1", "a_2"], ["b_1", "b_3"], None),
    (["a_1"], ["b_1"], None)])
def test_what_is_not_one_affix_of_all_is_not_assumed(tmp_path, images, masks, expected):
    make_set(tmp_path, stems(images), stems(masks))
    located = locate("SET", tmp_path)
    assert [pair.name for pair in located.pairs] == sorted({*images} & {*masks})
    message = "\n".join(located.problems)
    assert located.problems
    assert ("would have one without" in message) == (expected is not None)
    assert expected is None or expected in message
    assert located.notes == [""] * 2


def test_the_lines_of_files_that_an_affix_explains_are_one(tmp_path):
    names = [f"{n:03d}" for n in range(90)]
    make_set(tmp_path, stems(names), [*stems(names[:89], suffix="_mask"), "x.png"])
    problems = locate("SET", tmp_path).problems
    assert len(problems) == 3  # the affix, the image without a mask, and the mask without an image


def test_a_given_affix_chooses_and_names_what_it_leaves_out(tmp_path, capsys):
    make_set(tmp_path, stems(NUMBERS), [*stems(NUMBERS, suffix="_a"), *stems(NUMBERS, suffix="_b")])
    pairs = find_set("SET", tmp_path, Names(affix=Affix(suffix="_b"))).pairs
    assert [pair.mask.stem for pair in pairs] == [f"{name}_b" for name in NUMBERS]
    assert "masks: 8 without the suffix _b are left out: 000_a.png" in capsys.readouterr().err
    make_set(tmp_path, stems(NUMBERS), stems(NUMBERS), "PLAIN")  # a run has sets of both kinds
    assert len(find_set("PLAIN", tmp_path, Names(affix=Affix(suffix="_b"))).pairs) == 8
    assert "none is named with the suffix _b" in capsys.readouterr().err


def test_masks_with_an_affix_may_lie_among_the_images(tmp_path):
    for name in NUMBERS:
        save(tmp_path / f"all/{name}.jpg", COLOUR)
        save(tmp_path / f"all/{name}_mask.jpg", SQUARE)
    names = Names(affix=Affix(suffix="_mask"))
    pairs = find_set(f"{tmp_path}/all:{tmp_path}/all", tmp_path, names).pairs
    assert [(pair.image.stem, pair.mask.stem) for pair in pairs] == \
        [(name, f"{name}_mask") for name in NUMBERS]


@pytest.mark.parametrize("affix", [Affix(), Affix(suffix="_nope")])
def test_an_image_is_never_its_own_mask(tmp_path, affix):
    for name in NUMBERS:
        save(tmp_path / f"all/{name}.png", COLOUR)
    with pytest.raises(UserError, match=r"\(1 in all\):\n.* holds both images and masks; data\."
                                        r"mask_suffix .*name the folder once"):
        find_set(f"{tmp_path}/all:{tmp_path}/all", tmp_path, Names(affix=affix))


def test_png_masks_with_an_affix_may_lie_among_jpeg_images(tmp_path, capsys):
    for name in NUMBERS:
        save(tmp_path / f"SET/{name}.jpg", COLOUR)
        save(tmp_path / f"SET/{name}_mask.png", SQUARE)
    assert [pair.mask.stem for pair in find_set("SET", tmp_path).pairs] == \
        [f"{name}_mask" for name in NUMBERS]
    assert capsys.readouterr().err == "note: masks are named with the suffix _mask\n"


def test_candidates_keep_to_the_folder():
    assert [str(each.affix) for each in candidates(["a/1_m", "b/2_m"], ["a/1", "b/2"])] == \
        ["the suffix _m"]
    assert candidates(["a/1_m"], ["b/1"]) == []


# --- Unicode -------------------------------------------------------------------------------------

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("image, mask", [(DECOMPOSED, COMPOSED), (COMPOSED, DECOMPOSED)])
def test_both_forms_are_one_name_and_the_map_has_the_images(tmp_path, image, mask):
    make_set(tmp_path, [f"{image}.png"], [f"{mask}.png"])
    (pair,) = find_set("SET", tmp_path).pairs
    assert pair.name == image
    for form in (image, mask):
        table, problems, _ = assign([tmp_path / f"{form}.png"], [pair])
        assert (list(table), problems) == ([image], [])


def test_two_files_that_differ_in_form_alone_are_duplicates(tmp_path):
    folder = make_set(tmp_path, [f"{COMPOSED}.png", f"{DECOMPOSED}.png"], [f"{COMPOSED}.png"])
    if len(list(folder.glob("images/*"))) == 1:
        pytest.skip("the file system knows one form")
    with pytest.raises(UserError, match=r"same stem, but for the form of their Unicode"):
        find_set("SET", tmp_path)


# --- subfolders ----------------------------------------------------------------------------------

def test_names_hold_the_subfolders(tmp_path):
    names = ["0.png", "night/0.png", "night/deep/er/0.png", "day/1.png"]
    folder = make_set(tmp_path, names, names)
    for name in names:
        save(folder / "edges" / name, SQUARE)
    located = find_set("SET", tmp_path, Names(recursive=True))
    assert [pair.name for pair in located.pairs] == ["0", "day/1", "night/0", "night/deep/er/0"]
    assert all(pair.image.relative_to(folder / "images") == pair.mask.relative_to(folder / "masks")
               for pair in located.pairs)
    for pair in find_masks("SET", tmp_path, "files", Names(recursive=True)):
        assert pair.edge == folder / f"edges/{pair.name}.png"
    (flat,) = find_set("SET", tmp_path).pairs
    assert flat.name == "0"
    assert located.problems == []
    (folder / "masks/night/0.png").unlink()
    with pytest.raises(UserError, match=r"no mask for .*images/night/0.png"):
        find_set("SET", tmp_path, Names(recursive=True))


# --- lists ---------------------------------------------------------------------------------------

#: Line of a list → the image that it means, of the images below; None for none.
LINES = {
    "my photo": "my photo", "my photo.jpg": "my photo", "my": "my", "photo 1.png": None,
    "image/my photo.jpg mask/my photo.png": "my photo", "image/my.jpg mask/my.png": "my",
    "image/my.jpg\tmask/my.png": "my", "image/my photo.jpg\tmask/my photo.png": "my photo",
    "image\\my photo.jpg mask\\my photo.png": "my photo", "my my": "my", "a b c": "a b c",
    "a b c a b c": "a b c", "a b": None, "im/1.jpg gt/2.png": "1", "1 2": "1", "  1  ": "1",
    "1.jpg 1.png edge/1.png": "1", "/home/x/set/image/2.jpg": "2", "1 label_7": "1",
    "im/my photo 1.jpg gt/my photo 1.png": "my photo 1",
    "im/my photo 1 gt/my photo 1": "my photo 1",
    "my pictures/2.jpg": "2", "b.v2": "b.v2", "b.v2.jpg": "b.v2", f"{DECOMPOSED}.jpg": COMPOSED}
IMAGES = ["my photo", "my photo 1", "my", "a b c", "1", "2", "b.v2", COMPOSED]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_line_means_the_file_that_it_names(tmp_path, line, end):
    folder = make_set(tmp_path, stems(IMAGES), stems(IMAGES))
    (tmp_path / "list.txt").write_bytes(f"\ufeff{end}{line}{end}{end}".encode())
    images, masks = (list_images(folder / part) for part in ("images", "masks"))
    images, masks, problems = listed(images, masks, tmp_path / "list.txt")
    expected = [] if LINES[line] is None else [LINES[line]]
    assert [path.stem for path in images] == [path.stem for path in masks] == expected
    number = 2 if end else 1
    assert problems == ([] if expected else
                        [f"listed in {tmp_path}/list.txt, line {number}, not found: {line}"])


def test_a_list_names_files_in_subfolders(tmp_path):
    folder = make_set(tmp_path, ["0.png", "night/0.png"], ["0.png", "night/0.png"])
    listings = [list_images(folder / part, recursive=True) for part in ("images", "masks")]
    for line, name in (("night/0.jpg", "night/0"), ("images/night/0.png", "night/0"),
                       ("/x/images/0.png /x/masks/0.png", "0"), ("0", "0"), ("day/0", None)):
        (tmp_path / "list.txt").write_text(line)
        images, _, problems = listed(*listings, tmp_path / "list.txt")
        assert [images.name(path) for path in images] == ([name] if name else [])
        assert bool(problems) == (name is None)


def test_a_list_may_name_masks_that_have_an_affix(tmp_path):
    folder = make_set(tmp_path, stems(NUMBERS), stems(NUMBERS, suffix="_mask"), "DUTS")
    folder.joinpath("train.txt").write_text("images/001.jpg masks/001_mask.png\n002\n003_mask.png")
    assert [pair.name for pair in find_set("DUTS-TR", tmp_path).pairs] == ["001", "002", "003"]
