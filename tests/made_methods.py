"""Methods whose maps are made of the masks, for reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from data.sample import draw_pair

#: Markup, a formula, a quote, a percent sign: whatever a name may hold, it is only text.
ODD = "<img src=x onerror=alert(1)> & \"it's\" $x_{1}$ 100%#?"
ODD_IMAGE = "a <b>name<b> & 'such' #1 50%"


def write_set(root: Path, name: str, count: int) -> None:
    """``count`` pairs, the first with an odd name."""
    random = np.random.default_rng(count)
    for folder in ("images", "masks"):
        (root / name / folder).mkdir(parents=True)
    for number in range(count):
        image, mask = draw_pair(random)
        stem = ODD_IMAGE if number == 0 else f"{number:02d}"
        Image.fromarray(image).save(root / name / "images" / f"{stem}.jpg")
        Image.fromarray(mask).save(root / name / "masks" / f"{stem}.png")


def write_maps(root: Path, out: Path, name: str) -> None:
    """Three methods for a set: ``copy`` is perfect, ``inverse`` all wrong, the third wrong in its
    first rows, and better the later an image's name comes."""
    paths = sorted((root / name / "masks").iterdir())
    for number, path in enumerate(paths):
        mask = np.array(Image.open(path))
        wrong = np.arange(len(mask))[:, None] < (0.9 - 0.8 * number / len(paths)) * len(mask)
        maps = {"copy": mask, "inverse": 255 - mask, ODD: np.where(wrong, 255 - mask, mask)}
        for method, values in maps.items():
            (out / method / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(out / method / name / path.name)
