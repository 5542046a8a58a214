"""python -m report: what the page holds; a browser opens it elsewhere."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import signal
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eval as eval_script
from metrics import PROFILES
from report import __main__ as report_script
from report.attributes import kept
from report.attributes.kept import kept_attributes
from report.attributes.table import ATTRIBUTES
from report.curves import draw_set, to_bytes
from report.methods import score_sets
from report.page.page import write_page
from report.page.thumbnails import fit, make_pictures
from tests.made_methods import ODD, ODD_IMAGE, write_maps, write_set
from utils.stop import terminable

SET = "SMALL-TE"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with datasets/ and maps/ of six images and three methods, not to be changed."""
    folder = tmp_path_factory.mktemp("report")
    write_set(folder / "datasets", SET, 6)
    write_maps(folder / "datasets", folder / "maps", SET)
    return folder


@pytest.fixture
def copied(made, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "copied"))


def report(folder: Path, *more: str) -> int:
    return report_script.main([more[0], "--pred", str(folder / "maps"), "--root",
                               str(folder / "datasets"), *more[1:]])


def blocks(page: Path) -> dict[str, object]:
    """Id → content of each JSON block of a page."""
    scripts = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>',
                       page.read_text(encoding="utf-8"), re.DOTALL)
    return {name: json.loads(text) for name, text in scripts}


@pytest.fixture(scope="module")
def scored(made):
    (data_set,), refused = score_sets(made / "maps", made / "datasets")
    assert refused == 0
    return data_set


@pytest.fixture(scope="module")
def page(made, scored, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    assert write_page(path, [scored], "pysodmetrics", 320).embedded
    return path


def test_the_scores_are_those_of_eval(made, page, tmp_path):
    file, images = tmp_path / "scores.json", tmp_path / "images.csv"
    assert eval_script.main(["--pred", str(made / "maps"), "--root", str(made / "datasets"),
                             "--json", str(file), "--per-image", str(images)]) == 0
    text = page.read_text(encoding="utf-8")
    rows = json.loads(file.read_text())
    assert len(rows) == 3
    for row in rows:
        for measure in ("MAE", "maxF", "wF", "Sm", "adpE"):
            assert f'<td data-value="{row[measure]}"' in text
    (entry,) = blocks(page)["data"]["sets"]
    measures = [measure["name"] for measure in entry["measures"]]
    assert len(measures) == 9
    lines = images.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 18
    copy = entry["scores"][entry["methods"].index("copy")]
    assert [image[measures.index("MAE")] for image in copy] == [0] * 6
    assert [measure["name"] for measure in entry["measures"] if measure["lower"]] == ["MAE"]


def test_a_papers_numbers_stand_beside_those_of_the_table(made, tmp_path):
    recipe, table, out = (tmp_path / name for name in ("paper.yaml", "table.json", "page.html"))
    recipe.write_text("paper: A <b>paper</b>\nreported:\n" + "".join(
        f"- {{dataset: {name}, measure: {measure}, value: .9, source: Table 2, "
        f"verified: {verified}, protocol: adaptive}}\n" for name, measure, verified in (
            (SET, "F", "true"), (SET, "E", "false"), ("PASCAL-S", "F", "true"))))
    told = ["--pred", str(made / "maps"), "--root", str(made / "datasets"), "--reported",
            f"inverse={recipe}"]
    assert eval_script.main([*told, "--table", "--save", str(table)]) == 0
    assert report_script.main(["page", *told, "--out", str(out)]) == 0
    section = re.search('<section id="papers".*?</section>', out.read_text(encoding="utf-8"),
                        re.DOTALL)[0]
    assert "A &lt;b&gt;paper&lt;/b&gt;" in section
    cells = [re.findall("<td[^>]*>([^<]*)</td>", line)
             for line in re.findall('<tr(?: class="unsure")?>(.*?)</tr>', section, re.DOTALL)[1:]]
    expected = [row for row in json.loads(table.read_text())["comparisons"]
                if row["dataset"] == SET]
    assert cells == [[SET, row["paper_measure"], row["measure"], "matlab", "Table 2", "6", "0.900",
                      row["ours"], row["difference"], sign]
                     for row, sign in zip(expected, ("", "?"), strict=True)]
    assert section.count('class="unsure"') == 1
    assert "PASCAL-S" not in section


def test_of_one_method_nothing_is_best(made, page, tmp_path):
    alone = tmp_path / "page.html"
    assert report(made, "page", "--methods", "copy", "--out", str(alone)) == 0
    for path, marked in ((page, True), (alone, False)):
        text = path.read_text(encoding="utf-8")
        assert ('class="best"' in text) == ("underlined" in text) == marked
        assert 'id="papers"' not in text  # no recipe is called so


def test_the_best_and_the_second_best_of_each_measure_are_marked(page):
    text = page.read_text(encoding="utf-8")
    measures = re.findall(r'>(\w+)<span aria-hidden="true">[↓↑]<', text)
    assert len(measures) == 9
    rows = [re.findall(r'<td data-value="[^"]+"(?: class="(\w+)")?>([\d.]+)</td>', line)[1:]
            for line in re.findall('<th scope="row".*?</tr>', text, re.DOTALL)]
    for measure, cells in zip(measures, zip(*rows, strict=True), strict=True):
        order = sorted({value for _, value in cells}, reverse=measure != "MAE")
        expected = dict(zip(order, ("best", "second", ""), strict=False))  # equal ones share theirs
        assert cells == tuple((expected[value], value) for _, value in cells), measure
        assert len(order) == 3 or measure != "MAE"


def test_all_pictures_are_in_the_page_and_lie_over_each_other(made, page):
    content = blocks(page)
    entry = content["data"]["sets"][0]
    for number, name in enumerate(entry["names"]):
        pictures = content[f"pictures-0/{number}"]
        assert list(pictures) == entry["pictures"][number] == ["truth", "image", "0", "1", "2"]
        opened = {kind: Image.open(io.BytesIO(base64.b64decode(text)))
                  for kind, text in pictures.items()}
        with Image.open(made / f"datasets/{SET}/masks/{name}.png") as mask:
            assert {picture.size for picture in opened.values()} == {mask.size}
            difference = np.array(opened["truth"]).astype(int) - np.array(mask)
        assert abs(difference).mean() < 3
        assert (opened["truth"].mode, opened["image"].mode) == ("L", "RGB")


def test_names_are_text_wherever_they_stand(page):
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; &#34;it&#39;s&#34; $x_{1}$ 100%#?" in text
    entry = blocks(page)["data"]["sets"][0]
    assert ODD in entry["methods"]
    assert ODD_IMAGE in entry["names"]
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)  # well formed


def test_the_same_maps_give_the_same_bytes(scored, page, tmp_path):
    write_page(tmp_path / "report.html", [scored], "pysodmetrics", 320)
    assert (tmp_path / "report.html").read_bytes() == page.read_bytes()
    first, second = (draw_set(scored, dict.fromkeys(
        (pair.name for pair in scored.pairs), 0.2)) for _ in range(2))
    for kind in ("pdf", "png", "svg"):
        assert to_bytes(first[0], kind) == to_bytes(second[0], kind)


def test_the_page_names_nothing_of_this_machine_and_nothing_elsewhere(made, page):
    text = page.read_text(encoding="utf-8")
    assert str(made) not in text
    outside = set(re.findall(r"(?:https?:)?//[a-z0-9.]+\.[a-z]{2,}[^\s\"'<]*", text))
    assert all("w3.org" in address for address in outside)  # names of XML, not fetched


def test_missing_maps_are_shown_and_named_and_give_no_row(copied, tmp_path, capsys):
    (copied / f"maps/copy/{SET}/03.png").unlink()
    Image.new("L", (5, 5)).save(copied / f"maps/copy/{SET}/04.png")
    out = tmp_path / "report.html"
    assert report(copied, "page", "--out", str(out)) == 2
    captured = capsys.readouterr()
    assert "not given: 1 score, because" in captured.err
    assert str(out) in captured.out
    text, content = out.read_text(encoding="utf-8"), blocks(out)
    entry = content["data"]["sets"][0]
    copy = entry["methods"].index("copy")
    assert entry["reasons"][copy].keys() == {"2", "3"}
    assert entry["reasons"][copy]["2"] == "no map"
    assert "04.png is 5×5" in entry["reasons"][copy]["3"]
    assert entry["scores"][copy][2] is None
    assert entry["scores"][copy][4] is not None
    assert "4/6" in text
    assert "copy on SMALL-TE: 2" in text
    assert str(copied) not in text
    assert "no map for masks/03.png" in text
    row = text[text.index(">copy</th>"):]
    assert row[:row.index("</tr>")].count("<td>–</td>") == 9

    assert report(copied, "page", "--out", str(out), "--allow-missing") == 0
    row = out.read_text(encoding="utf-8")
    row = row[row.index(">copy</th>"):]
    assert row[:row.index("</tr>")].count("<td>–</td>") == 0


def test_a_method_without_maps_of_a_set_is_named(copied, tmp_path, capsys):
    write_set(copied / "datasets", "OTHER-TE", 2)
    write_maps(copied / "datasets", copied / "maps", "OTHER-TE")
    shutil.rmtree(copied / "maps/copy/OTHER-TE")
    out = tmp_path / "page.html"
    assert report(copied, "page", "--data", SET, "OTHER-TE", "--out", str(out)) == 2
    text = " ".join(out.read_text(encoding="utf-8").split())
    assert "copy on OTHER-TE: 1 problem</summary> <ul> <li>no maps of OTHER-TE</li>" in text
    assert '<td class="text">OTHER-TE</td> <th scope="row" class="text">copy</th> <td ' \
        'data-value="0" class="incomplete">0/2</td>' in text
    assert "copy has no maps of OTHER-TE" in capsys.readouterr().err


def test_a_page_of_folders_without_images_or_scores(copied, tmp_path):
    out = tmp_path / "pair.html"
    assert report_script.main(["page", "--pred", str(copied / f"maps/copy/{SET}"), "--gt",
                               str(copied / f"datasets/{SET}/masks"), "--out", str(out)]) == 0
    entry = blocks(out)["data"]["sets"][0]
    assert entry["pictures"][0] == ["truth", "0"]
    assert entry["attributes"].keys() == {name for name, attribute in ATTRIBUTES.items()
                                          if not attribute.of_photo}
    for path in (copied / "maps/copy" / SET).iterdir():
        path.write_bytes(b"")
    assert report(copied, "page", "--methods", "copy", "--out", str(out)) == 2
    assert f"No method has scores of {SET}" in out.read_text(encoding="utf-8")


def test_an_unreadable_mask_is_named(copied, tmp_path):
    (copied / f"datasets/{SET}/masks/03.png").write_bytes(b"")
    out = tmp_path / "report.html"
    assert report(copied, "page", "--out", str(out), "--allow-missing") == 0
    entry = blocks(out)["data"]["sets"][0]
    assert entry["attributes"]["size"][2] is None
    assert all(entry["attributes"]["size"][:2])
    assert "empty file" in entry["reasons"][0]["2"]
    assert entry["pictures"][2] == []


def test_attributes_are_those_of_report_attributes_and_kept_with_them(copied, tmp_path, capsys,
                                                                      monkeypatch):
    Image.new("L", (96, 96)).save(copied / f"datasets/{SET}/masks/03.png")
    Image.new("RGB", (96, 96), (90, 160, 20)).save(copied / f"datasets/{SET}/images/03.jpg")
    pages = [tmp_path / "first.html", tmp_path / "second.html"]
    words = ("--methods", "copy", "--resize", "--size", "32")
    assert report(copied, "page", "--out", str(pages[0]), *words) == 0
    assert "no object in 1 image" in capsys.readouterr().err
    content = blocks(pages[0])["data"]
    (entry,) = content["sets"]
    assert [each["name"] for each in content["attributes"]] == list(ATTRIBUTES)
    columns = entry["attributes"]
    assert {name for name in columns if columns[name][2] is None} == {
        name for name, attribute in ATTRIBUTES.items() if attribute.of_object}
    assert columns["canny"][2] == 0

    monkeypatch.setattr(kept, "measure", None)  # all of them are kept
    (scored,), _ = score_sets(copied / "maps", copied / "datasets", methods=["copy"], resize=True)
    own = kept_attributes(SET, scored.pairs, PROFILES["pysodmetrics"])
    for name, column in columns.items():
        expected = own.column(name, entry["names"])
        assert [np.nan if value is None else value for value in column] == \
            pytest.approx(expected, rel=5.1e-4, nan_ok=True)
    assert report(copied, "page", "--out", str(pages[1]), *words) == 0
    assert pages[0].read_bytes() == pages[1].read_bytes()
    assert len(re.search(r'"complexity": \[([^]]*)', pages[0].read_text())[1]) < 6 * 8


def test_attributes_that_cannot_be_kept_stand_on_the_page(made, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "file" / "_attributes")
    out = tmp_path / "page.html"
    assert report(made, "page", "--methods", "copy", "--out", str(out), "--size", "32") == 0
    assert "attributes are not kept" in capsys.readouterr().err
    assert len(blocks(out)["data"]["sets"][0]["attributes"]["size"]) == 6


def test_pictures_that_are_too_many_lie_beside_the_page(scored, page, tmp_path):
    out = tmp_path / "all scores.html"
    store = write_page(out, [scored], "pysodmetrics", 320, limit=20_000)
    assert (store.embedded, store.folder) == (False, tmp_path / "_all scores")
    assert blocks(out).keys() == {"data"}
    assert blocks(out)["data"]["folder"] == "_all scores"
    files = sorted(path.relative_to(store.folder).as_posix()
                   for path in store.folder.rglob("*.jpg"))
    assert len(files) == 6 * 5
    assert files[:2] == ["0/0-0.jpg", "0/0-1.jpg"]
    assert out.stat().st_size < 200_000 < page.stat().st_size

    assert write_page(out, [scored], "pysodmetrics", 320).embedded
    assert [path.name for path in tmp_path.iterdir()] == ["all scores.html"]


def test_a_stop_leaves_nothing_behind(scored, tmp_path, monkeypatch):
    def stopped(*arguments):
        for number, made in enumerate(make_pictures(*arguments)):
            if number == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            yield made

    monkeypatch.setattr("report.page.page.make_pictures", stopped)
    with pytest.raises(SystemExit, match="143"), terminable():
        write_page(tmp_path / "report.html", [scored], "pysodmetrics", 320, limit=0)
    assert not any(tmp_path.iterdir())


def test_a_folder_of_the_users_is_not_replaced(made, scored, tmp_path, capsys):
    (tmp_path / "_report").mkdir()
    (tmp_path / "_report/thesis.tex").write_text("years of work")
    out = tmp_path / "report.html"
    assert report(made, "page", "--out", str(out)) == 2
    assert "thesis.tex" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*.*") if tmp_path / "kept" not in path.parents] \
        == ["thesis.tex"]


@pytest.mark.parametrize("more, message", [
    (["page", "--size", "5"], "--size 5"), (["page", "--out", "."], "--out . is a folder"),
    (["page", "--data", "ECSSD"], "ECSSD not found"),
    (["curves", "--methods", "nobody"], "method nobody")])
def test_mistakes_are_named(made, capsys, more, message):
    assert report(made, *more) == 2
    assert message in capsys.readouterr().err


def test_the_results_folder_may_hold_a_report(copied, capsys):
    """What the report writes beside the methods is not taken for a method."""
    (data_set,), _ = score_sets(copied / "maps", copied / "datasets")
    assert not write_page(copied / "maps/report.html", [data_set], "pysodmetrics", 64, 0).embedded
    (again,), refused = score_sets(copied / "maps", copied / "datasets")
    assert (refused, len(again.methods)) == (0, 3)
    assert "not scored" not in capsys.readouterr().err


def test_pictures_shrink_and_do_not_grow(scored):
    assert fit((4000, 1000), 320) == (320, 80)
    assert fit((100, 3000), 320) == (11, 320)
    assert fit((5000, 1), 320) == (320, 1)
    assert fit((100, 80), 320) == (100, 80)
    made = list(make_pictures(scored, PROFILES["pysodmetrics"], 64))
    shares = scored.object_sizes(PROFILES["pysodmetrics"])
    for pair, pictures in zip(scored.pairs, made, strict=True):
        assert pictures.area == shares[pair.name]
        with Image.open(io.BytesIO(pictures.files["0"])) as picture:
            assert max(picture.size) == 64


def test_names_that_are_not_utf8(copied):
    name = os.fsdecode(b"\xb2\xe2")
    (copied / "maps/copy").rename(copied / "maps" / name)
    for path in (*copied.glob("datasets/*/*/01.*"), *copied.glob("maps/*/*/01.png")):
        path.rename(path.with_stem(name))
    page = copied / "page.html"
    assert report(copied, "page", "--methods", name, "--out", str(page), "--size", "32") == 0
    assert r"\udcb2\udce2" in page.read_text(encoding="utf-8")
    assert any(name in block.get("names", ()) for block in blocks(page)["data"]["sets"])
