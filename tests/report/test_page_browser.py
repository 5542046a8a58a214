"""The report in a real browser: sorting, filters, keys, pictures, light and dark, narrow and wide.

Skipped where Playwright or a Chromium is not installed. SOD_REPORT names a report that is opened
as well; SOD_SCREENSHOTS a folder for pictures of the pages.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from report.methods import score_sets
from report.page.page import write_page
from report.page.sheets import Sheets
from tests.made_methods import ODD, ODD_IMAGE, write_maps, write_set

from .made_sheets import TEXT, write_sheet
from .window import IN_A_BROWSER, Window, attributes_of

pytestmark = IN_A_BROWSER

LOOKS = [("light", 400), ("dark", 1280)]


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict[str, Path]:
    """One report of two sets, in one file, and one of a set with its pictures beside it."""
    folder = tmp_path_factory.mktemp("reports")
    for name, count in (("MANY-TE", 40), ("FEW-TE", 3)):
        write_set(folder / "datasets", name, count)
        write_maps(folder / "datasets", folder / "maps", name)
    (folder / "maps/copy/MANY-TE/07.png").unlink()
    sets, refused = score_sets(folder / "maps", folder / "datasets", data=("MANY-TE", "FEW-TE"))
    assert refused == 1
    write_sheet(folder / "copy/a.png", folder / "datasets/FEW-TE/images/01.jpg")
    sheets = Sheets([str(folder / "copy")]).shown(sets)
    write_page(folder / "one.html", sets, "pysodmetrics", 320, sheets=sheets,
               attributes={"MANY-TE": attributes_of(sets[0])})
    assert not write_page(folder / "a folder.html", sets[1:], "pysodmetrics", 320, 1000,
                          sheets).embedded
    return {"one": folder / "one.html", "beside": folder / "a folder.html"}


@pytest.fixture
def window(browser, reports) -> Iterator[Window]:
    window = Window(browser, reports["one"])
    yield window
    window.close()


def test_the_table_sorts(window):
    window.page.select_option("#set", label="FEW-TE")

    def column(number: int) -> list[str]:
        return window.texts(f"#summary tbody tr > :nth-child({number})")

    heading = window.page.locator("#summary thead th", has_text="MAE")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    numbers = [float(text) for text in column(4)[:-1]]
    assert numbers == sorted(numbers)
    assert (column(2)[-1], column(4)[-1], column(3)[-1]) == ("copy", "–", "39/40")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(4)[:-1]] == numbers[::-1]
    assert column(2)[-1] == "copy"
    window.page.locator("#summary thead th", has_text="method").get_by_role("button").click()
    assert column(2) == [ODD, ODD, "copy", "copy", "inverse", "inverse"]
    assert window.page.locator("#summary [aria-sort]").count() == 1


def test_the_worst_come_first_and_filters_filter(window):
    assert window.names()[0] == "07"  # without a score
    assert window.texts("#status") == ["40 of 40 images of MANY-TE"]
    assert window.texts(".card .missing") == ["no map"]
    window.set("#of", ODD)
    window.set("#order", "worst first")
    scores = [float(text.split()[-1]) for text in window.texts(".card header a + span")]
    assert len(scores) >= 24
    assert scores == sorted(scores, reverse=True)
    window.set("#order", "best first")
    assert window.names()[0] != "01"
    best = [float(text.split()[-1]) for text in window.texts(".card header a + span")]
    assert best[0] < scores[0]
    assert best == sorted(best)
    window.set("#measure", "Sm ↑")
    scores = [float(text.split()[-1]) for text in window.texts(".card header a + span")]
    assert scores == sorted(scores, reverse=True)
    window.set("#low", str(scores[4]))
    window.set("#high", str(scores[1]))
    assert len(window.names()) == 4
    window.set("#low", "")
    window.set("#high", "")
    window.set("#search", "B>NAME")
    assert window.names() == [ODD_IMAGE]
    window.set("#search", "")
    window.page.check("#unscored")
    assert window.names() == ["07"]
    window.page.uncheck("#methods label:has-text('copy') input")
    assert window.names() == []


def test_scrolling_brings_all_images(window):
    assert 0 < len(window.names()) < 40
    window.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    window.page.locator(".card").nth(39).wait_for(state="attached")
    assert len(window.names()) == len(set(window.names())) == 40
    assert not window.page.locator("#more").is_visible()
    # From the top: at the end of the page the next images would follow at once.
    window.page.evaluate("scrollTo(0, 0)")
    window.set("#order", "methods furthest apart")
    assert 0 < len(window.names()) < 40


def test_pictures_are_made_for_the_cards_that_are_seen(window):
    last = window.page.locator(".card").nth(23)
    assert last.locator("img").count() == 0
    last.scroll_into_view_if_needed()
    last.locator("img").first.wait_for()
    assert window.page.locator(".card").first.locator("img").count() > 1


def test_an_address_of_no_image_opens_the_gallery(browser, reports):
    window = Window(browser, reports["one"], fragment="#/100%/x")
    for fragment in (None, "#/%E0%A4%A/", "#/FEW-TE/none"):
        if fragment is not None:
            window.page.evaluate("fragment => { location.hash = fragment; }", fragment)
        window.page.locator("#status", has_text="There is no image").wait_for()
        assert window.page.locator("#overview").is_visible()
        window.page.locator("nav a", has_text="Gallery").click()
        window.page.locator("#status", has_text="40 of 40 images").wait_for()
    window.close()


def test_methods_and_error_maps_can_be_hidden_and_sets_changed(window):
    figures = window.page.locator(".card").first.locator("figure")
    assert figures.count() == 4
    window.page.uncheck("#methods label:has-text('inverse') input")
    assert figures.count() == 3
    assert window.page.locator(".card .error").first.is_visible()
    window.page.keyboard.press("e")
    assert not window.page.locator(".card .error").first.is_visible()
    assert window.page.locator(".figures:visible").count() == 1
    window.page.select_option("#set", label="FEW-TE")
    assert window.texts("#status") == ["3 of 3 images of FEW-TE"]
    assert window.page.locator(".figures:visible").get_attribute("data-set") == "1"
    assert window.page.locator(".figures:visible svg").count() == 4  # too few for sizes


def test_keys_lead_through_the_gallery_and_the_images(window):
    page = window.page
    window.set("#order", "by name")
    page.locator("h1").first.click()
    for key in ("j", "ArrowRight", "j", "k"):
        page.keyboard.press(key)
    assert window.texts(".card.selected header a") == ["02"]
    for _ in range(30):
        page.keyboard.press("j")
    assert window.texts(".card.selected header a") == ["32"]
    page.keyboard.press("Enter")
    page.wait_for_selector("#single h1")
    assert window.texts("#single h1") == ["32"]
    assert "32 of 40" in page.locator("#single .moves").inner_text()
    assert not page.locator("#overview").is_visible()
    page.keyboard.press("ArrowLeft")
    page.locator("#single h1", has_text="31").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_selector("#overview:not([hidden])")
    assert window.texts(".card.selected header a") == ["31"]
    page.keyboard.press("/")
    page.locator("#search:focus").wait_for()
    page.keyboard.type("1jk")  # letters, not moves
    assert window.texts("#status") == ["0 of 40 images of MANY-TE"]
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()


@pytest.mark.parametrize("kind", ["one", "beside"])
def test_pictures_show_and_an_image_has_an_address(browser, reports, kind):
    window = Window(browser, reports[kind], fragment="#/FEW-TE/01")
    assert window.texts("#single h1") == ["01"]
    assert window.pictures_load()
    assert window.texts("#set option:checked") == ["FEW-TE"]
    assert len(window.texts("#single table tbody tr")) == 3
    assert window.texts("#single .best")[:2] == ["0.0000", "1.0000"]
    window.page.locator("#single button", has_text="Back").click()
    window.page.wait_for_selector("#overview:not([hidden])")
    assert window.pictures_load()
    window.page.locator(".card header a").first.click()
    window.page.wait_for_selector("#single:not([hidden])")
    window.page.locator("nav a", has_text="Scores").click()
    window.page.wait_for_selector("#overview:not([hidden])")
    assert window.page.evaluate("scrollY") < 300
    window.close()


@pytest.mark.parametrize("kind, scheme, width", [
    (kind, *look) for kind, look in zip(("one", "beside"), LOOKS, strict=True)])
def test_a_sheet_stands_on_its_images_page(browser, reports, kind, scheme, width):
    window = Window(browser, reports[kind], scheme, (width, 800), "#/FEW-TE/01")
    assert window.texts("#single h2")[1:] == ["Inside copy"]
    sheet = window.page.get_by_role("img", name="sheet of copy for 01: " + TEXT)
    sheet.scroll_into_view_if_needed()
    assert window.pictures_load()
    box = window.page.get_by_role("region", name="Inside copy")
    assert "not recorded" in window.page.locator(".sheet + figcaption b").inner_text()
    assert window.page.evaluate("document.documentElement.scrollWidth") <= width
    whole = sheet.evaluate("node => [node.naturalWidth, node.getBoundingClientRect().width]")
    assert whole[0] == whole[1] > 1000
    assert box.evaluate("node => node.clientWidth") <= width
    keep_screenshot(window.page, f"sheet-{scheme}-{width}")
    if width < 1000:
        box.focus()
        window.page.keyboard.press("ArrowRight")  # scrolls, and leads to no other image
        assert box.evaluate("""async (node) => {
            for (let frame = 0; frame < 300 && !node.scrollLeft; frame++)
              await new Promise(requestAnimationFrame);
            return node.scrollLeft;
        }""") > 0
    assert window.texts("#single h1") == ["01"]
    window.page.keyboard.press("j")
    window.page.locator("#single h1", has_not_text="01").wait_for()
    assert window.page.locator(".sheet").count() == 0
    window.close()


@pytest.mark.parametrize("kind", ["one", "beside"])
def test_error_maps_say_what_is_missed_and_what_is_too_much(browser, reports, kind):
    window = Window(browser, reports[kind], fragment="#/FEW-TE/01")
    window.error_maps_load()

    def share(method: str, colour: tuple[int, int, int]) -> float:
        number = window.texts("#single figcaption").index(
            next(text for text in window.texts("#single figcaption") if method in text))
        pixels = window.pixels(f"#single figure:nth-child({number + 1}) .error")
        return (abs(pixels - colour).max(axis=2) < 40).mean()

    masks = reports["one"].parent / "datasets/FEW-TE/masks/01.png"
    with Image.open(masks) as mask:
        foreground = (np.array(mask) > 128).mean()
    assert share("copy", (255, 255, 255)) == pytest.approx(foreground, abs=0.03)
    assert share("copy", (0, 0, 0)) == pytest.approx(1 - foreground, abs=0.03)
    assert share("inverse", (0, 101, 255)) == pytest.approx(foreground, abs=0.03)
    assert share("inverse", (255, 154, 0)) == pytest.approx(1 - foreground, abs=0.03)
    window.close()


@pytest.mark.parametrize("scheme, width", LOOKS)
def test_it_fits_the_window_and_the_light(browser, reports, scheme, width):
    window = Window(browser, reports["one"], scheme, (width, 800))
    for part in ("scores", "curves", "gallery", "single"):
        if part == "single":
            window.page.locator(".card header a").first.click()
            window.page.wait_for_selector("#single h1")
        else:
            window.page.locator(f"#{part}").scroll_into_view_if_needed()
        wide = window.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, part
        keep_screenshot(window.page, f"{part}-{scheme}-{width}")
    paper = window.page.evaluate("getComputedStyle(document.body).backgroundColor")
    ink = window.page.evaluate("getComputedStyle(document.body).color")
    assert (brightness(paper) > brightness(ink)) == (scheme == "light")
    assert abs(brightness(paper) - brightness(ink)) > 180
    window.close()


def brightness(colour: str) -> float:
    """Mean of ``rgb(1, 2, 3)``."""
    return float(np.mean([float(part) for part in colour[4:-1].split(",")]))


def keep_screenshot(page, name: str) -> None:
    folder = os.environ.get("SOD_SCREENSHOTS")
    if folder:
        page.wait_for_timeout(400)  # pictures are decoded when they come into view
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_report_that_was_made_before(browser):
    """The demo's, where .ci/run has made it."""
    if not os.environ.get("SOD_REPORT"):
        pytest.skip("SOD_REPORT names no report")
    for scheme, width in LOOKS:
        window = Window(browser, Path(os.environ["SOD_REPORT"]), scheme, (width, 800))
        assert window.texts("#summary tbody th") == ["centre_prior", "demo"]
        assert window.texts("#status") == ["64 of 64 images of SAMPLE-TE"]
        assert window.pictures_load()
        keep_screenshot(window.page, f"demo-{scheme}-{width}")
        window.page.keyboard.press("j")
        window.page.keyboard.press("Enter")
        window.page.wait_for_selector("#single h1")
        assert window.pictures_load()
        window.close()
