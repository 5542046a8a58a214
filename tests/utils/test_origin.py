"""What test.py leaves beside its maps."""

from __future__ import annotations

import torch

from utils.config import merge_config
from utils.origin import MapsOrigin, origin_of


<<<<<<< HEAD
def test_kept_maps_of_other_weights_are_counted(tmp_path):
    (tmp_path / "best.pt").write_bytes(b"weights")
    config = SimpleNamespace(name="trial", paper="", data=SimpleNamespace(root="datasets"))
    origin = MapsOrigin(tmp_path / "best.pt", config, torch.device("cpu"))
    folder = tmp_path / "maps/exact/TINY-TE"
    origin.begin(folder, kept=3)
=======
def test_an_entry_tells_maps_of_other_weights_settings_and_images(tmp_path):
    weights, folder = tmp_path / "best.pt", tmp_path / "maps/exact/TINY-TE"
    weights.write_bytes(b"weights")

    def origin(**recipe) -> MapsOrigin:
        return MapsOrigin(weights, merge_config({"name": "trial", **recipe}), torch.device("cpu"))

    assert origin().differs_from(folder, "photos") == \
        "unknown weights and unknown settings and unknown images"
    origin().begin(folder, "photos")
>>>>>>> 9816ee5 (Runs: one training of a name at a time; a resume loses nothing and takes only what is whole; maps are kept only if they are those of now)
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
