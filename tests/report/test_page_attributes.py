"""Attributes on the page, in a real browser: orders, filters, and an image's own page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from report.methods import score_sets
from report.page.page import write_page
from tests.made_methods import ODD_IMAGE, write_maps, write_set

from .window import IN_A_BROWSER, Window, attributes_of

pytestmark = IN_A_BROWSER

NAMES = [*(f"{number:02d}" for number in range(1, 12)), ODD_IMAGE]


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """A page of two sets, of which the second has no attributes."""
    folder = tmp_path_factory.mktemp("attributes")
    for name, count in (("MANY-TE", len(NAMES)), ("FEW-TE", 2)):
        write_set(folder / "datasets", name, count)
        write_maps(folder / "datasets", folder / "maps", name)
    sets, _ = score_sets(folder / "maps", folder / "datasets", data=("MANY-TE", "FEW-TE"),
                         methods=["copy"])
    write_page(folder / "page.html", sets, "pysodmetrics", 32,
               attributes={"MANY-TE": attributes_of(sets[0])})
    return folder / "page.html"


@pytest.fixture
def window(browser, page) -> Iterator[Window]:
    window = Window(browser, page)
    yield window
    window.close()


def test_attributes_order_and_filter(window):
    window.set("#order", "object size: lowest first")
    assert window.names() == NAMES[::-1]
    assert window.texts(".card header")[0].endswith("object 29.0 %")
    window.set("#least", "0.35")
    assert window.names() == NAMES[5::-1]
    window.set("#most", "0.38")
    assert window.names() == NAMES[5:1:-1]
    window.set("#attribute", "shape complexity")  # without the range, which was of the size
    assert window.texts("#status") == ['12 of 12 images of MANY-TE; last: 3 without "shape '
                                       'complexity"']
    assert window.names() == NAMES[3:] + NAMES[:3]
    assert window.texts(".card header span:last-child")[:2] == ["shape complexity 1.429",
                                                                "shape complexity 1.571"]
    window.set("#order", "shape complexity: highest first")
    assert window.names() == NAMES[:2:-1] + NAMES[:3]
    window.set("#search", "0")  # not 11; but the odd one, which has 50 in its name
    assert window.texts("#status")[0].startswith("11 of 12 images")
    window.set("#least", "1.571")  # as the card says it
    assert window.names() == [ODD_IMAGE, "10", "09", "08", "07", "06", "05"]
    window.set("#order", "worst first")
    assert window.texts("#status") == ['7 of 12 images of MANY-TE; left out: 3 without "shape '
                                       'complexity"']
    window.set("#attribute", "touches the border")
    assert window.texts("#status") == ["11 of 12 images of MANY-TE"]
    window.set("#least", "1")
    assert sorted(window.names()) == ["10", ODD_IMAGE]
    assert window.texts("#unit") == ["1 yes, 0 no"]


def test_an_images_page_lists_its_attributes(browser, page):
    window = Window(browser, page, fragment="#/MANY-TE/10")
    assert window.texts("#single h2") == ["Scores of this image", "Attributes of this image"]
    rows = "[aria-labelledby=attributes-title] tbody tr"
    assert [window.texts(f"{rows}:nth-child({row}) > *")[:-1] for row in (1, 2, 3)] == [
        ["object size", "0.31", "share of the image", "17 % of images"],
        ["touches the border", "yes", "", "75 % of images"],
        ["shape complexity", "2.286", "", "67 % of images"]]
    window.page.evaluate("location.hash = '#/MANY-TE/01'")
    window.page.locator("#single h1", has_text="01").wait_for()
    assert window.texts(f"{rows}:nth-child(3) > *")[:-1] == ["shape complexity", "–", "", "–"]
    window.close()


def test_a_set_without_attributes_has_no_orders_of_them(window):
    window.set("#order", "object size: lowest first")
    window.set("#least", "0.35")
    window.page.select_option("#set", label="FEW-TE")
    assert window.texts("#status") == ["2 of 2 images of FEW-TE"]
    assert window.texts("#order option:checked") == ["worst first"]
    assert not window.page.locator("#attribute").is_visible()
    window.page.select_option("#set", label="MANY-TE")
    assert window.page.locator("#attribute").is_visible()
    assert window.texts("#attribute option") == ["object size", "touches the border",
                                                 "shape complexity"]
    assert window.texts("#status") == ["12 of 12 images of MANY-TE"]
