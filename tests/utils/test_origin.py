"""What test.py leaves beside its maps."""

from __future__ import annotations

import torch

from utils.config import merge_config
from utils.origin import MapsOrigin, origin_of


def test_an_entry_tells_maps_of_other_weights_settings_and_images(tmp_path):
    weights, folder = tmp_path / "best.pt", tmp_path / "maps/exact/TINY-TE"
    weights.write_bytes(b"weights")

    def origin(**recipe) -> MapsOrigin:
        return MapsOrigin(weights, merge_config({"name": "trial", **recipe}), torch.device("cpu"))

    assert origin().differs_from(folder, "photos") == \
        "unknown weights and unknown settings and unknown images"
    origin().begin(folder, "photos")
    assert not origin_of(folder)["finished"]
    origin().end(folder)
    assert origin_of(folder)["finished"]
    origin().begin(folder, "photos")
    assert origin().differs_from(folder, "photos") == ""
    assert origin(data={"root": "/else", "workers": 3}, train={"batch": 2}).differs_from(
        folder, "photos") == ""
    assert origin(test={"minmax": True}).differs_from(folder, "photos") == "other settings"
    assert origin(model={"options": {"width": 2}}).differs_from(folder, "p") == \
        "other settings and other images"
    origin().begin(folder, "photos", kept=1)
    assert origin().differs_from(folder, "photos") == "earlier weights, settings or images"
    weights.write_bytes(b"weightS")
    assert origin().differs_from(folder, "photos") == "other weights"
