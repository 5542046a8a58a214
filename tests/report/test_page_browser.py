"""The report in a real browser: sorting, filters, keys, pictures, light and dark, narrow and wide.

Skipped where Playwright or a Chromium is not installed. SOD_REPORT names a report that is opened
as well; SOD_SCREENSHOTS a folder for pictures of the pages.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from report.attributes.kept import SetAttributes
from report.attributes.table import ATTRIBUTES
from report.methods import SetScores, score_sets
from report.page.page import write_page
from report.page.sheets import Sheets
from tests.made_methods import ODD, ODD_IMAGE, write_maps, write_set

from .made_sheets import TEXT, write_sheet

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None)

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
              pytest.mark.xdist_group("browser")]  # one process of pytest starts it once

WIDE = (1280, 900)
LOOKS = [("light", 400), ("dark", 1280)]
#: Without them Chromium waits for services that a machine without network does not reach.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


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


def attributes_of(scores: SetScores) -> SetAttributes:
    """Made up, of images 0 to 39 in the set's order: all have a size, and all but the first three
    a complexity; the later ones touch the border. They have no photos."""
    values = {pair.name: dict.fromkeys(ATTRIBUTES, np.nan) | {
        "size": (40 - number) / 100, "complexity": np.nan if number < 3 else 1 + number / 7,
        "border": float(number >= 30)} for number, pair in enumerate(scores.pairs)}
    return SetAttributes(values, len(values))


class Window:
    """A page in the browser, with what went wrong on it."""

    def __init__(self, browser, path: Path, scheme: str = "light", size=WIDE, fragment: str = ""):
        self.page = browser.new_page(color_scheme=scheme,
                                     viewport={"width": size[0], "height": size[1]})
        self.page.set_default_timeout(20_000)
        self.wrong, self.asked = [], []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("requestfailed", lambda request: self.wrong.append(request.url))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.absolute().as_uri() + fragment)
        self.page.wait_for_selector("body[data-ready]")

    def texts(self, selector: str) -> list[str]:
        # Not the inner texts: those of cards out of view are empty.
        return [text.strip() for text in self.page.locator(selector).all_text_contents()]

    def names(self) -> list[str]:
        """Of the images in the gallery, as far as they have cards."""
        return self.texts(".card header a")

    def set(self, field: str, value: str) -> None:
        if self.page.locator(field).evaluate("node => node.tagName") == "SELECT":
            self.page.select_option(field, label=value)
        else:
            self.page.fill(field, value)

    def pixels(self, selector: str) -> np.ndarray:
        """(H, W, 3) of what stands there on the screen."""
        png = self.page.locator(selector).first.screenshot()
        return np.array(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)

    def pictures_load(self) -> bool:
        return self.page.evaluate("""async () => {
            const pictures = [...document.images].slice(0, 40);
            for (const picture of pictures) picture.loading = 'eager';
            await Promise.all(pictures.map((picture) => picture.decode()));
            return pictures.every((picture) => picture.naturalWidth > 20);
        }""")

    def error_maps_load(self) -> None:
        """Wait for the pictures that error maps are laid together of."""
        self.page.evaluate("""async () => {
            const layers = [...document.querySelectorAll('#single .error i')];
            await Promise.all(layers.map((layer) => Object.assign(new Image(),
                {src: layer.style.backgroundImage.slice(5, -2)}).decode()));
            for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
        }""")

    def close(self) -> None:
        self.page.close()
        assert self.wrong == []
        assert all(url.startswith(("file:", "blob:", "data:")) for url in self.asked)


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


def test_attributes_order_and_filter(window):
    ordered = [*(f"{number:02d}" for number in range(1, 40)), ODD_IMAGE]
    window.set("#order", "object size: lowest first")
    assert window.names()[:3] == ordered[:-4:-1]
    assert window.texts(".card header")[0].endswith("object 1.0 %")
    window.set("#least", "0.35")
    assert sorted(window.names()) == sorted(ordered[:6])
    window.set("#most", "0.38")
    assert window.names() == ordered[5:1:-1]
    window.set("#attribute", "shape complexity")  # without the range, which was of the size
    assert window.texts("#status") == ['40 of 40 images of MANY-TE; last: 3 without "shape '
                                       'complexity"']
    assert window.names()[:3] == ordered[3:6]
    assert window.texts(".card header span:last-child")[:2] == ["shape complexity 1.429",
                                                                "shape complexity 1.571"]
    window.set("#order", "shape complexity: highest first")
    assert window.names()[:3] == ordered[:-4:-1]
    window.set("#search", "0")
    assert window.names()[-4:] == ["04", "01", "02", "03"]
    window.set("#least", "1.429")  # as the card says it
    assert window.names()[-2:] == ["05", "04"]
    assert "left out: 3 without" in window.texts("#status")[0]
    window.set("#order", "worst first")
    assert "left out: 3 without" in window.texts("#status")[0]
    window.set("#attribute", "touches the border")
    window.set("#search", "")
    window.set("#least", "1")
    assert sorted(window.names()) == ordered[30:]
    assert window.texts("#unit") == ["1 yes, 0 no"]


def test_an_images_page_lists_its_attributes(browser, reports):
    window = Window(browser, reports["one"], fragment="#/MANY-TE/32")
    assert window.texts("#single h2") == ["Scores of this image", "Attributes of this image"]
    rows = [window.texts(f"#single table:last-of-type tr:nth-child({row}) > *")[-5:-1]
            for row in (1, 2, 3)]
    assert rows == [["object size", "0.09", "share of the image", "20 % of images"],
                    ["touches the border", "yes", "", "75 % of images"],
                    ["shape complexity", "5.429", "", "76 % of images"]]
    window.page.evaluate("location.hash = '#/MANY-TE/01'")
    window.page.locator("#single h1", has_text="01").wait_for()
    assert window.texts("#single table:last-of-type tr:nth-child(3) > *")[-4:-1] == ["–", "", "–"]
    window.close()


def test_a_set_without_attributes_has_no_orders_of_them(window):
    window.set("#order", "object size: lowest first")
    window.set("#least", "0.1")
    window.page.select_option("#set", label="FEW-TE")
    assert window.texts("#status") == ["3 of 3 images of FEW-TE"]
    assert window.page.locator("#order option:checked").text_content() == "worst first"
    assert not window.page.locator("#attribute").is_visible()
    window.page.select_option("#set", label="MANY-TE")
    assert window.texts("#attribute option") == ["object size", "touches the border",
                                                 "shape complexity"]
    assert window.page.locator("#attribute").is_visible()
    assert window.texts("#status") == ["40 of 40 images of MANY-TE"]


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
