"""``python -m report attributes`` on a small made set: what it keeps, writes and prints."""

from __future__ import annotations

import csv
import itertools
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import attributes as benchmark
from data.pairing import Pair
from metrics import PROFILES
from report import __main__ as report_script
from report.attributes import kept
from report.attributes.analysis import correlations, group_means
from report.attributes.figures import draw_groups, draw_scatter
from report.attributes.kept import read_attributes
from report.attributes.output import interval, strongest_table
from report.attributes.statistics import spearman
from report.attributes.table import ATTRIBUTES
from report.curves import to_bytes
from report.methods import score_sets
from tests.made_methods import ODD, write_maps, write_set

SET, IMAGES = "SMALL-TE", 9
PROFILE = PROFILES["pysodmetrics"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with data/ and maps/ of three methods."""
    folder = tmp_path_factory.mktemp("attributes")
    write_set(folder / "data", SET, IMAGES)
    write_maps(folder / "data", folder / "maps", SET)
    return folder


@pytest.fixture(scope="module")
def written(made) -> Path:
    """What the command writes of two methods, which it compares."""
    assert report_script.main([
        "attributes", "--pred", str(made / "maps"), "--root", str(made / "data"), "--out",
        str(made / "out"), "--methods", "inverse", ODD, "--formats", "png", "--measures", "MAE",
        "MAE", "--save",
        *(str(made / f"saved/all.{kind}") for kind in ("md", "tex", "csv", "json"))]) == 0
    return made / "out"


@pytest.fixture(scope="module")
def scores(made) -> dict[str, dict]:
    (scored,), _ = score_sets(made / "maps", made / "data")
    return {method.name: method.evaluator.per_image for method in scored.methods}


def rows(path: Path) -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pairs_of(folder: Path) -> list[Pair]:
    return [Pair(mask.stem, mask.parents[1] / "images" / f"{mask.stem}.jpg", mask)
            for mask in sorted((folder / SET / "masks").iterdir())]


# --- what is kept ---------------------------------------------------------------------------------


def test_a_second_call_measures_nothing_wherever_the_files_lie(made, tmp_path):
    shutil.copytree(made / "data", tmp_path / "data")
    path = tmp_path / "kept.json"
    first = read_attributes(pairs_of(made / "data"), PROFILE, path)
    content = path.read_bytes()
    second = read_attributes(pairs_of(tmp_path / "data"), PROFILE, path)
    assert (first.computed, second.computed) == (IMAGES, 0)
    assert first.values == second.values
    assert path.read_bytes() == content


def test_a_changed_file_is_measured_again(made, tmp_path):
    shutil.copytree(made / "data", tmp_path / "data")
    pairs, path = pairs_of(tmp_path / "data"), tmp_path / "kept.json"
    before = read_attributes(pairs, PROFILE, path).values
    mask = np.array(Image.open(pairs[0].mask))
    Image.fromarray(mask[::-1]).save(pairs[0].mask)
    after = read_attributes(pairs, PROFILE, path)
    assert after.computed == 1
    changed = {name for name in before if before[name] != after.values[name]}
    assert changed == {pairs[0].name}
    mask = np.array(Image.open(pairs[1].mask))
    mask[:, ::2][mask[:, ::2] > 0] = 128  # object for TRACER's script alone
    Image.fromarray(mask).save(pairs[1].mask)
    sizes = {name: read_attributes(pairs, PROFILES[name], path).values[pairs[1].name]["size"]
             for name in ("pysodmetrics", "tracer")}
    assert sizes == pytest.approx({"pysodmetrics": (mask == 255).mean(),
                                   "tracer": (mask > 0).mean()})


@pytest.mark.parametrize("content", ["", "[]", '{"version": "v", "images": 3}',
                                     '{"version": "v", "images": {"a": {"size": 1}}}'])
def test_a_damaged_or_old_file_keeps_nothing(made, tmp_path, monkeypatch, content):
    path, pairs = tmp_path / "kept.json", pairs_of(made / "data")[:2]
    monkeypatch.setattr(kept, "definitions", lambda: "v")
    path.write_text(content)
    assert read_attributes(pairs, PROFILE, path).computed == 2
    assert read_attributes(pairs, PROFILE, path).computed == 0
    monkeypatch.setattr(kept, "definitions", lambda: "other")
    assert read_attributes(pairs, PROFILE, path).computed == 2


def test_what_cannot_be_measured_is_named_each_time(made, tmp_path):
    shutil.copytree(made / "data", tmp_path / "data")
    pairs, path = pairs_of(tmp_path / "data"), tmp_path / "kept.json"
    Image.open(pairs[0].image).resize((40, 160)).save(pairs[0].image)
    pairs[1].mask.write_bytes(b"")
    pairs[2] = Pair(pairs[2].name, None, pairs[2].mask)
    Image.fromarray(np.zeros((50, 60), np.uint8)).save(pairs[3].mask)
    pairs[3] = Pair("empty", None, pairs[3].mask)
    for _ in range(2):
        attributes = read_attributes(pairs, PROFILE, path)
        notes = "\n".join(attributes.notes)
        assert "40×160, its mask" in notes and "empty file" in notes
        assert "no photo of 2 images" in notes and "no object in 1 image:" in notes
        assert pairs[1].name not in attributes.values
        lacking = {name for name, a in ATTRIBUTES.items() if a.of_photo}
        for number in (0, 2):
            values = attributes.values[pairs[number].name]
            assert {name for name in values if math.isnan(values[name])} == lacking
    assert math.isnan(attributes.column("size", ["nobody"])[0])


def test_objects_too_small_and_too_large_are_told(tmp_path):
    small, large = np.zeros((600, 800), np.uint8), np.full((600, 800), 255, np.uint8)
    small[300, 400] = 255
    pairs = []
    for name, mask in (("small", small), ("large", large)):
        pairs.append(Pair(name, tmp_path / f"{name}.jpg", tmp_path / f"{name}.png"))
        Image.fromarray(np.stack([mask] * 3, axis=2)).save(pairs[-1].image)
        Image.fromarray(mask).save(pairs[-1].mask)
    notes = read_attributes(pairs, PROFILE, tmp_path / "kept.json").notes
    assert notes == [
        "the object of 1 image is lost at 256 pixels, and of its attributes only the size is given",
        "too little background is left, or too near to the object, for: contrast (1 image), "
        "background_colours (1 image), background_edges (1 image)"]


# --- what is held against what --------------------------------------------------------------------


def test_groups_are_the_same_for_a_method_that_lacks_maps(made, scores, tmp_path):
    attributes = read_attributes(pairs_of(made / "data"), PROFILE, tmp_path / "kept.json")
    order = sorted(attributes.values, key=lambda name: attributes.values[name]["gabor"])
    few = {name: scores[ODD][name] for name in (order[0], *order[5:])}
    groups = {method: [row for row in group_means(method, own, attributes, ["MAE"])
                       if row["attribute"] == "gabor"]
              for method, own in (("all", scores[ODD]), ("few", few))}
    of_all, of_few = groups["all"], groups["few"]
    assert [row["images"] for row in of_all] == [3, 2, 2, 2]
    assert [(row["group"], row["images"]) for row in of_few] == [(1, 1), (3, 2), (4, 2)]
    assert [row["values"] for row in of_few] == [of_all[i]["values"] for i in (0, 2, 3)]
    assert math.isnan(of_few[0]["low"]) and interval(of_few[0]) == f"{of_few[0]['mean']:.4f}"
    assert [of_few[i]["mean"] for i in (1, 2)] == [of_all[i]["mean"] for i in (2, 3)]
    draw_groups(SET, "MAE", groups["few"], {"few": 0})


def test_equal_scores_have_no_correlations_and_are_named(made, scores, tmp_path):
    """Sm of perfect maps is 1 but for rounding."""
    attributes = read_attributes(pairs_of(made / "data"), PROFILE, tmp_path / "kept.json")
    records = correlations("copy", scores["copy"], attributes, ["maxF", "Sm"])
    assert np.ptp([row["Sm"] for row in scores["copy"].values()]) > 0
    table = strongest_table(SET, records, [])
    assert table.groups == [[]]
    assert "where all images score the same: copy maxF, copy Sm" in table.notes[-1]
    few = correlations("few", dict(list(scores[ODD].items())[:2]), attributes, ["MAE"])
    assert strongest_table(SET, few, []).notes[1:] == ["no correlation is defined: it takes 3 "
                                                       "images"]


# --- what is written ------------------------------------------------------------------------------


def test_attributes_of_all_images(made, written):
    table = rows(written / SET / "attributes.csv")
    assert list(table[0]) == ["image", *ATTRIBUTES]
    pairs = pairs_of(made / "data")
    assert sorted(row["image"] for row in table) == sorted(pair.name for pair in pairs)
    for pair in pairs:
        share = (np.array(Image.open(pair.mask)) > 128).mean()
        row = next(row for row in table if row["image"] == pair.name)
        assert float(row["size"]) == pytest.approx(share, rel=1e-5)


def test_correlations_and_means_are_of_the_scores(written, scores):
    table = {row["image"]: row for row in rows(written / SET / "attributes.csv")}
    names = sorted(table)
    x = np.array([float(table[name]["gabor"]) for name in names])
    table = {(row["method"], row["measure"], row["attribute"]): row
             for row in rows(written / SET / "correlations.csv")}
    for method, measure in itertools.product(("inverse", ODD), scores[ODD][names[0]]):
        y = np.array([scores[method][name][measure] for name in names])
        record = table[method, measure, "gabor"]
        assert record["images"] == str(IMAGES)
        expected = np.corrcoef(x, y)[0, 1] if np.ptp(y) > 1e-9 else math.nan
        assert float(record["pearson"] or "nan") == pytest.approx(expected, abs=1e-5, nan_ok=True)
    order = [names[i] for i in np.argsort(x)]
    groups = order[:3], order[3:5], order[5:7], order[7:]  # of nine, the third is the quartile
    means = [float(row["mean"]) for row in rows(written / SET / "groups.csv")
             if (row["attribute"], row["method"], row["measure"]) == ("gabor", ODD, "MAE")]
    assert means == pytest.approx([np.mean([scores[ODD][name]["MAE"] for name in group])
                                   for group in groups], rel=1e-5)


def test_advantages_are_positive_where_a_is_better(written, scores):
    stem = next((written / SET).glob("inverse_against_*_groups.csv"))
    records = [row for row in rows(stem)
               if (row["attribute"], row["measure"]) == ("border", "MAE")]
    names = {"no": 0.0, "yes": 1.0}
    table = {row["image"]: float(row["border"]) for row in rows(written / SET / "attributes.csv")}
    for record in records:
        own = [scores[ODD][image]["MAE"] - scores["inverse"][image]["MAE"] for image in table
               if table[image] == names[record["values"]]]
        assert float(record["mean"]) == pytest.approx(np.mean(own), rel=1e-4)
        assert float(record["low"]) <= float(record["mean"]) <= float(record["high"]) < 0


def test_saved_tables(made, written):
    saved = {path.suffix: path.read_text(encoding="utf-8") for path in (made / "saved").iterdir()}
    records = json.loads(saved[".json"])
    assert list(records) == ["correlations", "groups", "difference_correlations",
                             "difference_groups", "notes"]
    assert {record["dataset"] for record in records["groups"]} == {SET}
    assert "where inverse beats" in saved[".md"] and r"\begin{tabular}" in saved[".tex"]
    assert not set("−±") & set(saved[".tex"])  # letters that pdflatex does not know
    assert "| attribute | images | MAE Spearman | MAE Pearson |\n" in saved[".md"]
    assert {record["measure"] for record in records["groups"]} > {"MAE", "wF"}
    assert saved[".csv"].startswith("part,dataset,method,measure,attribute")


def test_figures_are_the_same_bytes_every_time(made, written, scores, tmp_path):
    names = {path.name for path in (written / SET).glob("*.png")}
    assert len(names) == 4  # quartiles, two scatters, and the comparison
    assert {"quartiles_MAE.png", "scatter_inverse_MAE.png"} < names
    attributes = read_attributes(pairs_of(made / "data"), PROFILE, tmp_path / "kept.json")
    figure = draw_scatter(SET, "inverse", 0, "MAE", scores["inverse"], attributes)
    assert to_bytes(figure, "png") == (written / SET / "scatter_inverse_MAE.png").read_bytes()


def test_lines_of_groups_are_their_means():
    means = [{"method": method, "attribute": "size", "group": group, "values": "", "middle": 0.1,
              "images": 5, "measure": "MAE", "mean": mean, "low": mean - 0.1, "high": mean + 0.2}
             for method, shift in (("a", 0), ("b", 0.3)) for group, mean in ((1, shift), (2, 0.5))]
    panel, = draw_groups(SET, "MAE", means, {"a": 0, "b": 1}).drawing.axes
    assert [line.get_ydata().tolist() for line in panel.lines] == [[0, 0.5], [0.3, 0.5]]
    bars = [path.vertices[:, 1].tolist() for bar in panel.collections for path in bar.get_paths()]
    assert bars == [pytest.approx(ends) for ends in ([-0.1, 0.2], [0.4, 0.7], [0.2, 0.5],
                                                     [0.4, 0.7])]


def test_a_point_for_each_image(made, scores, tmp_path):
    attributes = read_attributes(pairs_of(made / "data"), PROFILE, tmp_path / "kept.json")
    figure = draw_scatter(SET, ODD, 2, "MAE", scores[ODD], attributes)
    panels = {panel.get_title("left"): panel for panel in figure.drawing.axes}
    line, = panels["contrast to the surround"].lines
    np.testing.assert_allclose(line.get_xdata(), [attributes.values[name]["contrast"]
                                                  for name in scores[ODD]])
    np.testing.assert_allclose(line.get_ydata(), [scores[ODD][name]["MAE"]
                                                  for name in scores[ODD]])
    line, = panels["touches the border"].lines
    assert set(np.round(line.get_xdata())) <= {0, 1}
    # Nothing lies over the points; ρ stands below.
    assert not any(panel.texts for panel in panels.values())
    rho = spearman(*(panels["object size"].lines[0].get_xydata().T))
    assert panels["object size"].get_xlabel() == \
        f"share of the image   ρ {rho:+.2f}".replace("-", "−")
    for values in attributes.values.values():
        values["objects"] = 1.0
    figure = draw_scatter(SET, ODD, 2, "MAE", scores[ODD], attributes)
    assert {tick % 1 for tick in figure.drawing.axes[1].get_xticks()} == {0}


# --- what is printed ------------------------------------------------------------------------------


def test_masks_alone_have_no_attributes_of_photos(made, tmp_path, capsys):
    assert report_script.main(["attributes", "--pred", str(made / f"maps/inverse/{SET}"), "--gt",
                               str(made / f"data/{SET}/masks"), "--out", str(tmp_path),
                               "--formats"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "no image has a photo" in out and "contrast" in out
    assert "hang on most" in out and "object size" in out
    assert not list(tmp_path.rglob("*.png"))
    table, = tmp_path.rglob("attributes.csv")
    assert rows(table)[0]["contrast"] == "" != rows(table)[0]["thin"]


@pytest.mark.parametrize("words, message", [
    (["--measures", "maxf"], "did you mean 'maxF'?"),
    (["--compare", "copy", "copy"], "give two methods"),
    (["--compare", "copy", "invers"], "did you mean 'inverse'?"),
    (["--save", "t.doc"], ".md, .tex, .csv, .json"),
    (["--save", "{out}/SMALL-TE.json"], "attributes are kept there"),
    (["--save", "{out}/SMALL-TE/groups.csv", "--formats"], "a table of the set is written there"),
    (["--out", __file__], "is a file")])
def test_mistakes(made, tmp_path, capsys, words, message):
    assert report_script.main(["attributes", "--pred", str(made / "maps"), "--root",
                               str(made / "data"), "--out", str(tmp_path),
                               *(word.format(out=tmp_path) for word in words)]) == 2
    assert message in capsys.readouterr().err


def test_maps_that_are_missing_are_told_and_leave_the_status(made, tmp_path, capsys):
    shutil.copytree(made / "maps/copy", tmp_path / "maps/copy")
    next((tmp_path / f"maps/copy/{SET}").iterdir()).unlink()
    words = ["attributes", "--pred", str(tmp_path / "maps"), "--root", str(made / "data"), "--out",
             str(tmp_path / "out"), "--formats"]
    assert report_script.main(words) == 2
    assert not (tmp_path / f"out/{SET}/groups.csv").exists()
    assert len(rows(tmp_path / f"out/{SET}/attributes.csv")) == IMAGES
    assert "not given: 1 score, because" in capsys.readouterr().err
    assert report_script.main([*words, "--allow-missing"]) == 0
    assert rows(tmp_path / f"out/{SET}/correlations.csv")[0]["images"] == str(IMAGES - 1)


def test_a_set_on_which_nothing_can_be_compared_is_named(made, tmp_path, capsys):
    for name in ("A-TE", "B-TE"):
        write_set(tmp_path / "data", name, 3)
        write_maps(tmp_path / "data", tmp_path / "maps", name)
    shutil.rmtree(tmp_path / "maps/inverse/B-TE")
    words = ["attributes", "--pred", str(tmp_path / "maps"), "--root", str(tmp_path / "data"),
             "--out", str(tmp_path / "out"), "--formats", "--allow-missing",
             "--compare", "inverse", "copy"]
    assert report_script.main(words) == 0
    assert "B-TE: nothing is compared, as no scores of inverse are given" in capsys.readouterr().out
    next((tmp_path / "maps/inverse/A-TE").iterdir()).unlink()
    for path in sorted((tmp_path / "maps/copy/A-TE").iterdir())[1:]:
        path.unlink()
    kept = {path.stem for path in (tmp_path / "maps/copy/A-TE").iterdir()}
    for path in (tmp_path / "maps/inverse/A-TE").iterdir():
        if path.stem in kept:
            path.unlink()
    assert report_script.main(words) == 0
    assert "A-TE: nothing is compared, as no image has scores of both" in capsys.readouterr().out


def test_the_benchmark_of_attributes(made, capsys):
    words = ["--data", SET, "--root", str(made / "data"), "--images"]
    assert benchmark.main([*words, "2"]) == 0
    out = capsys.readouterr().out
    assert "2 images read and measured" in out and all(name in out for name in ATTRIBUTES)
    assert benchmark.main([*words, "0"]) == 2
    assert "--images 0: at least 1" in capsys.readouterr().err
    of_none = np.full((2, 3, len(ATTRIBUTES)), math.nan)
    assert all(row[1].text == "of no image" for row in benchmark.table_of(of_none).groups[0])
