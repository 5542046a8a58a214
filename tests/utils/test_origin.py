"""What test.py leaves beside its maps."""

from __future__ import annotations

import torch

from utils.config import merge_config
from utils.origin import MapsOrigin, origin_of


def test_an_entry_tells_maps_of_other_weights_and_settings(tmp_path):
    folder = tmp_path / "maps/exact/TINY-TE"

    def origin(sha256: str = "5f3a", **recipe) -> MapsOrigin:
        config = merge_config({"name": "trial", **recipe})
        return MapsOrigin(tmp_path / "best.pt", sha256, config, torch.device("cpu"))

    assert origin().differs_from(folder) == \
        "unknown weights and unknown settings"
    origin().begin(folder)
    assert not origin_of(folder)["finished"]
    origin().end(folder)
    assert origin_of(folder)["finished"]
    origin().begin(folder)
    assert origin().differs_from(folder) == ""
    idle = {"data": {"root": "/else", "workers": 3, "mask_void": "ignore"}, "train": {"batch": 2}}
    assert origin(**idle).differs_from(folder) == ""
    assert origin(**idle).entry["masks"] == ["data.mask_void=ignore"]
    assert origin(test={"minmax": True}).differs_from(folder) == "other settings"
    assert origin(model={"options": {"width": 2}}).differs_from(folder) == \
        "other settings"
    origin().begin(folder, kept=1)
    assert origin().differs_from(folder) == "earlier weights or settings"
    assert origin("e0b1").differs_from(folder) == "other weights"
