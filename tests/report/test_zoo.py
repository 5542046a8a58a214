"""The table of networks: the pages hold it as it is now, and each cell follows from a datum."""

from __future__ import annotations

import functools
import json
import re

import pytest
from omegaconf import OmegaConf

import model
from report import zoo
from tests.model.released import RELEASED
from utils.config import load_config
from utils.errors import UserError
from utils.paths import DOCS

HEADINGS = list(zoo.COLUMNS)


recipe = functools.cache(load_config)


def cells_of(name: str, records: list[dict] = (), speed: dict | None = None) -> dict[str, str]:
    """Heading → cell of a network."""
    entry = zoo.Entry(name, recipe(name), records, (2_500_000, 7_004_000_000), speed or {})
    *_, line = zoo.table([entry], zoo.COLUMNS, "../").splitlines()
    first, *cells = line.strip("| ").split(" | ")
    assert first == f"[`{name}`](../configs/{name}.yaml)"
    return dict(zip(HEADINGS, cells, strict=True))


def record_of(within: tuple = (), published: bool = False, **groups: dict) -> dict:
    """A record of CPD-VGG with these values of configuration groups, and comparisons."""
    config = OmegaConf.merge(recipe("cpd_vgg"), groups)
    origin = {"checkpoint": "…/CPD.pth"} if published else {"checkpoint": "last.pt", "steps": 9}
    measures = ("maxF", "MAE", "Sm")
    return {"recipe": "configs/cpd_vgg.yaml", "run": "cpd_vgg", "date": "2026-11-27T02:27:02Z",
            "configuration": OmegaConf.to_container(config), "origin": origin,
            "comparisons": [{"dataset": "ECSSD", "paper_measure": measure, "protocol": "cpd",
                             "source": "README", "reported": "0.936", "ours": "0.93",
                             "within_third_digit": value}
                            for measure, value in zip(measures, within, strict=False)]}


@pytest.fixture(scope="module")
def pages() -> dict:
    """Page → its text as it would be written now, without counting again: parameters are those
    that the tests of networks hold, multiply–adds those of docs/zoo.md."""
    text = (DOCS / "zoo.md").read_text(encoding="utf-8")
    products = {name: float(number) * 1e9 for name, number in
                re.findall(r"^\| \[`(\w+)`\].* \| [\d.]+ M \| ([\d.]+) G \| ", text, re.M)}

    def known(config) -> tuple[int, int]:
        return RELEASED[config.model.name].parameters, products.get(config.model.name, 0)

    return zoo.documents(zoo.entries(model.names(), known))


def test_the_pages_hold_the_tables_of_today(pages):
    for path, now in pages.items():
        assert path.read_text(encoding="utf-8") == now, f"{path.name}: run python -m report zoo"


def test_every_network_has_a_row_with_its_trunk_and_size(pages):
    rows = re.findall(r"^\| \[`(\w+)`\]\S+ \| [^|]+ \| (\S+) \| (\S+) \|", pages[DOCS / "zoo.md"],
                      re.M)
    assert [name for name, *_ in rows] == model.names()
    rows = {name: cells for name, *cells in rows}
    assert rows["minet_res50"] == ["resnet50_split", "320×320"]
    assert rows["u2netp"] == ["–", "320×320"]
    assert rows["egnet_vgg"] == ["vgg16_caffe", "native"]


@pytest.mark.parametrize("name", ["egnet_vgg", "nldf_vgg", "wssa"])
def test_counts_are_those_of_the_network_at_its_recipes_size(pages, name):
    """EGNet takes images of any size, and WSSA takes edges outside of torch."""
    parameters, products = zoo.counted(load_config(name))
    assert parameters == RELEASED[name].parameters
    row = next(line for line in pages[DOCS / "zoo.md"].splitlines() if f"[`{name}`]" in line)
    assert f"| {parameters / 1e6:.2f} M | {products / 1e9:.2f} G |" in row


def test_cells_without_records_are_those_of_tests_and_recipes():
    cells = cells_of("cpd_vgg")
    assert cells == {
        "paper": "[CPD-VGG, CVPR 2019](https://arxiv.org/abs/1904.08739)", "trunk": "vgg16",
        "size": "352×352", "parameters": "2.50 M", "multiply–adds": "7.00 G", "training": "–",
        "inference": "–", "outputs equal": "yes", "losses equal": "yes",
        "official weights": "published, no licence", "file": "`CPD.pth`",
        "official weights scored": "–", "trained here": "–", "reported → here": "–",
        "verified numbers": "30 of 30", "within the paper": "–"}
    assert cells_of("dss_vgg")["official weights"] == "port, MIT"
    cells = cells_of("tracer_vgg")
    assert [cells[key] for key in ("paper", "outputs equal", "losses equal", "official weights",
                                   "file", "verified numbers")] == [
        "TRACER on VGG-16, which the paper does not have", "–", "yes", "none", "–", "–"]
    assert cells_of("bgnet")["losses equal"] == "–"


def test_the_text_of_the_tests_tells_which_outputs_they_hold():
    assert zoo.held_outputs() == {name for name in RELEASED if RELEASED[name].golden}


def test_the_text_of_the_tests_tells_which_losses_they_hold(golden):
    """They hold those of every paper of which there are reference values."""
    names = {name for path in golden.folder.glob("losses*.json")
             for name in json.loads(path.read_text(encoding="utf-8"))["losses"]}
    networks = {path.stem.removeprefix("train_") for path in golden.folder.glob("train_*.json")}
    assert zoo.held_losses() == {name.partition("/")[0] for name in names} | \
        {model.network_class(name).__module__.rpartition(".")[2] for name in networks}


def test_a_recipe_that_lists_no_official_weights_has_a_dash():
    entry = zoo.Entry("x", OmegaConf.create({"official": []}), [], (0, 0), {})
    assert zoo.publication(entry) == "–"


def test_records_fill_their_columns():
    columns = ("official weights scored", "trained here", "reported → here", "within the paper")

    def of(*records: dict) -> list[str]:
        cells = cells_of("cpd_vgg", records)
        return [cells[column] for column in columns]

    uncounted = "ECSSD Sm 0.936 → 0.93 (does not count)"
    assert of(record_of((True, False, None))) == [
        "–", "2026-11-27", f"ECSSD maxF 0.936 → 0.93, ECSSD MAE 0.936 → 0.93, {uncounted}",
        "1 of 2"]
    assert of(record_of((False,), published=True, test={"data": ["ECSSD"]})) == [
        "2026-11-27", "–", "ECSSD maxF 0.936 → 0.93", "0 of 1"]
    # Two records of one day are of the same numbers.
    assert of(record_of((False, True)), record_of((True, False)))[1::2] == ["2026-11-27", "2 of 2"]


def test_a_run_that_departs_from_its_recipe_does_not_count():
    cells = cells_of("cpd_vgg", [record_of((True,), train={"epochs": 3})])
    assert cells["trained here"] == cells["within the paper"] == "–"


def test_published_weights_count_where_their_maps_are_the_recipes():
    """Training's keys change no maps of given weights."""
    def days(**groups) -> str:
        record = record_of((True,), published=True, **groups)
        return cells_of("cpd_vgg", [record])["official weights scored"]

    assert days(train={"epochs": 3}) == "2026-11-27"
    assert days(data={"size": 224}) == "–"


def test_a_missing_folder_of_records_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no records"):
        zoo.entries([], records=tmp_path / "none")


def test_speeds_are_those_of_the_file():
    cells = cells_of("cpd_vgg", speed={"size": "160", "training": {"here": 7.093, "ratio": 1.974},
                                       "inference": {"here": 28.6, "ratio": 2.2}})
    assert (cells["training"], cells["inference"]) == ("7.09 (×1.97) at 160",
                                                       "28.60 (×2.20) at 160")


def test_a_page_without_the_markers_is_an_error(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- zoo: begin -->\ntext\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"page\.md lacks the line <!-- zoo: end -->"):
        zoo.filled(page, "zoo", "content")
