"""A page in a real browser, where Playwright and a Chromium are installed; tests skip elsewhere."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from report.attributes.kept import SetAttributes
from report.attributes.table import ATTRIBUTES
from report.methods import SetScores

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None)

IN_A_BROWSER = [pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
                pytest.mark.xdist_group("browser")]  # one process of pytest starts it once

WIDE = (1280, 900)
#: Without them Chromium waits for services that a machine without network does not reach.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def attributes_of(scores: SetScores) -> SetAttributes:
    """Made up, as of images without photos, in the set's order: all have a size, all but the first
    three a complexity, and the last quarter touches the border."""
    values = {pair.name: dict.fromkeys(ATTRIBUTES, np.nan) | {
        "size": (40 - number) / 100,
        "complexity": np.nan if number < 3 else 1 + number / 7,
        "border": float(number >= 3 / 4 * len(scores.pairs))}
        for number, pair in enumerate(scores.pairs)}
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
